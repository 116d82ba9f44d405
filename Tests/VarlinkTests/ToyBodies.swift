import Glibc
import JSON
import Synchronization

@testable import Varlink

/// Sinks that count and sum what they take, and sources that give what a rule says, for a toy service.
final class ToyBodies: Sendable {
    /// What happened to the bodies, and how sinks are to behave.
    struct State {
        var begun = 0
        var abandoned = 0
        var finished = 0
        /// Bytes taken by all sinks.
        var taken: UInt64 = 0
        var largest = 0
        var requests: [BodyRequest] = []
        /// Sinks wait before they take more, while this holds.
        var isBlocked = false
        /// Held answers of sinks asked to hold them.
        var held: [@Sendable (Result<[UInt8], VarlinkError>) -> Void] = []
        /// Whether two calls of one sink or source were made at once, or one after the last.
        var isMisused = false
        var given: UInt64 = 0
        /// Whether sinks read what they take, which takes a while, or only count it.
        var isReading = true
    }

    private let lock = Mutex(State())

    var state: State { lock.withLock { $0 } }
    /// `Put` calls, and those to be answered later.
    let calls = Calls()

    func change(_ change: (inout State) -> Void) { lock.withLock { change(&$0) } }

    final class Calls: Sendable {
        private let list = Mutex<[VarlinkCall]>([])

        func append(_ call: VarlinkCall) { list.withLock { $0.append(call) } }
        var all: [VarlinkCall] { list.withLock { $0 } }
    }

    /// Byte `index` of what every source gives, and of what tests send.
    static func byte(_ index: UInt64) -> UInt8 { UInt8(truncatingIfNeeded: index &* 31 &+ index >> 8) }

    static func bytes(_ range: Range<UInt64>) -> [UInt8] { range.map(byte) }

    /// FNV-1a of 64 bits.
    static func hash(_ bytes: some Sequence<UInt8>, _ before: UInt64 = 0xcbf2_9ce4_8422_2325) -> UInt64 {
        bytes.reduce(before) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }

    func sink(_ parameters: JSONValue) -> Sink { Sink(self, failAt: parameters["failAt"]?.int.map { UInt64($0) }) }

    func source(_ parameters: JSONValue) -> Source {
        Source(self, count: UInt64(parameters["bytes"]?.int ?? 0), gives: parameters["gives"]?.int.map { UInt64($0) })
    }

    func receive(_ request: BodyRequest) -> Result<any ByteSink, VarlinkError> {
        change { $0.requests.append(request) }
        do throws(HTTPQueryError) {
            let query = try HTTPQuery(request.query, known: ["failAt", "refuse", "hold"])
            if try query.flag("refuse") == true { return .failure(VarlinkError(name: "org.example.toy.NotFound")) }
            let failAt = try query.number("failAt", in: 0...UInt64.max)
            return .success(Sink(self, failAt: failAt, holds: try query.flag("hold") ?? false))
        } catch {
            return .failure(.invalidParameter("\(error.field): \(error.rule)"))
        }
    }

    func get(_ query: String?) -> HTTPResource {
        do throws(HTTPQueryError) {
            let query = try HTTPQuery(query, known: ["bytes", "gives"])
            let count = try query.number("bytes", in: 0...UInt64.max) ?? 0
            let source = Source(self, count: count, gives: try query.number("gives", in: 0...UInt64.max))
            return HTTPResource(status: 200, contentType: "application/octet-stream", source: source)
        } catch {
            return HTTPResource(status: 400, contentType: "text/plain", body: Array("\(error.field)".utf8))
        }
    }

    /// Sees that calls come one after another, and none after the last.
    final class Turns: Sendable {
        private let phase = Mutex(0)

        /// Begins a call; false where it may not be made.
        func begin() -> Bool {
            phase.withLock { phase in
                defer { phase += phase == 0 ? 1 : 0 }; return phase == 0
            }
        }
        func end(isLast: Bool) { phase.withLock { $0 = isLast ? 2 : 0 } }
    }

    final class Sink: ByteSink {
        private let bodies: ToyBodies
        private let failAt: UInt64?
        private let holds: Bool
        private let turns = Turns()
        private let sum = Mutex((count: UInt64(0), hash: ToyBodies.hash([])))

        init(_ bodies: ToyBodies, failAt: UInt64?, holds: Bool = false) {
            self.bodies = bodies
            self.failAt = failAt
            self.holds = holds
            bodies.change { $0.begun += 1 }
        }

        private func note(_ isFine: Bool) {
            if !isFine { bodies.change { $0.isMisused = true } }
        }

        func take(_ bytes: UnsafeRawBufferPointer) throws(VarlinkError) {
            note(turns.begin() && !bytes.isEmpty)
            defer { turns.end(isLast: false) }
            while bodies.state.isBlocked { usleep(1_000) }
            let isReading = bodies.state.isReading
            let count = sum.withLock { sum in
                let hash = isReading ? ToyBodies.hash(bytes, sum.hash) : sum.hash
                sum = (sum.count + UInt64(bytes.count), hash)
                return sum.count
            }
            bodies.change { state in
                state.taken += UInt64(bytes.count)
                state.largest = max(state.largest, bytes.count)
            }
            if let failAt, count >= failAt { throw VarlinkError(name: "org.example.toy.StoreFull") }
        }

        func finish(_ complete: @escaping @Sendable (Result<[UInt8], VarlinkError>) -> Void) {
            note(turns.begin())
            turns.end(isLast: true)
            let sum = sum.withLock { $0 }
            bodies.change { state in
                state.finished += 1
                if holds { state.held.append(complete) }
            }
            if !holds { complete(.success(Array(ToyBodies.answer(sum.count, sum.hash).utf8))) }
        }

        func abandon() {
            note(turns.begin())
            turns.end(isLast: true)
            bodies.change { $0.abandoned += 1 }
        }
    }

    /// What a sink answers to so many bytes of such a hash.
    static func answer(_ count: UInt64, _ hash: UInt64) -> String {
        "{\"bytes\":\(count),\"hash\":\"\(String(hash, radix: 16))\"}"
    }

    final class Source: ByteSource {
        let count: UInt64
        private let gives: UInt64
        private let bodies: ToyBodies
        private let turns = Turns()
        private let position = Mutex(UInt64(0))

        /// - Parameter gives: after how many bytes it fails, where those are fewer than it says; more it gives.
        init(_ bodies: ToyBodies, count: UInt64, gives: UInt64?) {
            self.bodies = bodies
            self.count = count
            self.gives = gives ?? count
            bodies.change { $0.begun += 1 }
        }

        func next(_ piece: inout [UInt8]) throws(VarlinkError) {
            if !turns.begin() { bodies.change { $0.isMisused = true } }
            let start = position.withLock { $0 }
            let end = min(gives, start + 65_536)
            piece += ToyBodies.bytes(start..<end)
            position.withLock { $0 = end }
            bodies.change { $0.given += end - start }
            turns.end(isLast: start == end && gives >= count)
            if start == end, gives < count { throw VarlinkError(name: "org.example.toy.Corrupt") }
        }

        func abandon() {
            if !turns.begin() { bodies.change { $0.isMisused = true } }
            turns.end(isLast: true)
            bodies.change { $0.abandoned += 1 }
        }
    }
}
