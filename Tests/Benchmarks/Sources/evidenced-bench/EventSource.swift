import Glibc

/// Makes Append parameters: deposits of about 300 bytes with two claims, each with its own ids and digest.
struct EventSource {
    private var counter: UInt64
    private let digits = Array("0123456789abcdef".utf8)

    /// - Parameter seed: tells sources apart; ids of different seeds never meet.
    init(seed: UInt64) { counter = seed << 40 }

    mutating func parameters(events: Int, proofs: Bool) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(events * 420 + 64)
        bytes += Array(#"{"events":["#.utf8)
        for position in 0..<events {
            if position > 0 { bytes.append(UInt8(ascii: ",")) }
            event(&bytes)
        }
        bytes += Array(proofs ? #"],"proofs":true}"#.utf8 : "]}".utf8)
        return bytes
    }

    private mutating func event(_ bytes: inout [UInt8]) {
        counter += 1
        let id = identifier()
        bytes += Array(#"{"type":"evidence.deposited","request":""#.utf8)
        // A UUID of version 7 around the same bits.
        bytes += id[0..<8]
        bytes.append(UInt8(ascii: "-"))
        bytes += id[8..<12]
        bytes += Array("-7".utf8)
        bytes += id[13..<16]
        bytes += Array("-8".utf8)
        bytes += id[17..<20]
        bytes.append(UInt8(ascii: "-"))
        bytes += id[20..<32]
        bytes += Array(#"","actor":"system","streams":["object/"#.utf8)
        bytes += id
        bytes += Array(
            #""],"body":{"channel":"api","media_type":"application/pdf","product":"deposit"},"claims":{"object/"#.utf8
        )
        bytes += id
        bytes += Array(#"":{"sha256":""#.utf8)
        // Any 64 digits will do, but they must look random, or the digest index would grow in order.
        for word in 0..<4 { hex(scatter(counter &* 4 &+ UInt64(word)), &bytes) }
        bytes += Array(#"","size":48213}}}"#.utf8)
    }

    /// Time in the leading 48 bits, the counter in the rest.
    private func identifier() -> [UInt8] {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        let milliseconds = UInt64(time.tv_sec) * 1_000 + UInt64(time.tv_nsec) / 1_000_000
        var id: [UInt8] = []
        id.reserveCapacity(32)
        hex(milliseconds << 16 | counter >> 48, &id)
        hex(counter << 16 | scatter(counter) & 0xFFFF, &id)
        return id
    }

    private func scatter(_ value: UInt64) -> UInt64 {
        var mixed = value &+ 0x9E37_79B9_7F4A_7C15
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }

    private func hex(_ value: UInt64, _ bytes: inout [UInt8]) {
        for shift in stride(from: 60, through: 0, by: -4) { bytes.append(digits[Int(value >> UInt64(shift) & 15)]) }
    }
}
