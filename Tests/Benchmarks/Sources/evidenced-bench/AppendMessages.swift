import Glibc
import Synchronization

/// Append calls: deposits with two claims, each in a stream of its own, with its own request key and digest.
final class AppendMessages: MessageSource {
    private static let seeds = Atomic<UInt64>(0)
    /// The event, with zeros where it is patched. Members are in the order they are documented in.
    private static let event = Array(
        """
        {"type":"evidence.deposited","request":"00000000-0000-7000-8000-000000000000","actor":"system",\
        "streams":["object/00000000000000000000000000000000"],\
        "body":{"channel":"api","media_type":"application/pdf","product":"deposit"},\
        "claims":{"object/00000000000000000000000000000000":{"sha256":"\(String(repeating: "0", count: 64))",\
        "size":48213}}}
        """.utf8
    )
    static var eventBytes: Int { event.count }

    private let buffer: UnsafeMutableRawBufferPointer
    private let length: Int
    private let events: Int
    private let firstEvent: Int
    private let request = AppendMessages.offset(after: #""request":""#)
    private let stream = AppendMessages.offset(after: #""streams":["object/"#)
    private let scope = AppendMessages.offset(after: #""claims":{"object/"#)
    private let digest = AppendMessages.offset(after: #""sha256":""#)
    private let digits: HexDigits
    /// Sources never share a number, so their ids never meet.
    private var counter = AppendMessages.seeds.add(1, ordering: .relaxed).newValue << 40

    init(events: Int, proofs: Bool, depth: Int) {
        let head = Array(#"{"method":"org.evidenced.Ledger.Append","parameters":{"events":["#.utf8)
        var message = head
        for position in 0..<events {
            if position > 0 { message.append(UInt8(ascii: ",")) }
            message += AppendMessages.event
        }
        message += Array((proofs ? #"],"proofs":true}}"# : "]}}").utf8) + [0]
        self.events = events
        firstEvent = head.count
        length = message.count
        digits = HexDigits()
        buffer = .allocate(byteCount: length * depth, alignment: 8)
        for position in 0..<depth {
            UnsafeMutableRawBufferPointer(rebasing: buffer[(position * length)...]).copyBytes(from: message)
        }
    }

    deinit { buffer.deallocate() }

    func next(_ count: Int) -> UnsafeRawBufferPointer {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        let milliseconds = UInt64(time.tv_sec) * 1_000 + UInt64(time.tv_nsec) / 1_000_000
        for message in 0..<count {
            var offset = message * length + firstEvent
            for _ in 0..<events {
                patch(offset, milliseconds)
                offset += AppendMessages.event.count + 1
            }
        }
        return UnsafeRawBufferPointer(rebasing: buffer[..<(count * length)])
    }

    /// Ids are what services make: time in the leading 48 bits, random in the rest.
    private func patch(_ event: Int, _ milliseconds: UInt64) {
        counter += 1
        let random = scatter(counter)
        let high = milliseconds << 16 | random >> 48
        digits.write(high, to: buffer, at: event + stream)
        digits.write(random, to: buffer, at: event + stream + 16)
        digits.write(high, to: buffer, at: event + scope)
        digits.write(random, to: buffer, at: event + scope + 16)
        // A UUID of version 7 of the same bits.
        digits.write(high >> 32, count: 8, to: buffer, at: event + request)
        digits.write(high >> 16, count: 4, to: buffer, at: event + request + 9)
        digits.write(high & 0x0FFF | 0x7000, count: 4, to: buffer, at: event + request + 14)
        digits.write(random >> 48 & 0x3FFF | 0x8000, count: 4, to: buffer, at: event + request + 19)
        digits.write(random, count: 12, to: buffer, at: event + request + 24)
        for word in 0..<4 {
            digits.write(scatter(counter &* 4 &+ UInt64(word)), to: buffer, at: event + digest + 16 * word)
        }
    }

    private static func offset(after text: String) -> Int {
        let marker = Array(text.utf8)
        for start in 0...(event.count - marker.count) where event[start...].starts(with: marker) {
            return start + marker.count
        }
        fatalError("the event has no \(text)")
    }
}
