import JSON
import Synchronization
import Varlink

/// A service with one method for each way a call can go.
final class ToyService: VarlinkService {
    static let idl = """
        interface org.example.toy

        method Echo() -> ()
        method Twice() -> ()
        method Encode() -> ()
        method Hold(id: int) -> (id: int)
        method Fail(error: string) -> ()
        method Count(count: int, bytes: int, failAt: int) -> (index: int, padding: string)
        method Follow() -> (index: int)
        method Seek(steps: int) -> (index: int)
        method Put(bytes: int) -> (bytes: int)
        method Get(bytes: int) -> (bytes: int)
        method Who() -> (pid: int, uid: int, gid: int)

        """

    private struct State {
        var held: [Int64: VarlinkCall] = [:]
        var seen: [Int64] = []
        var pulled = 0
        var calls = 0
        var followers: [VarlinkCall] = []
        var news: [Int64] = []
        var isOver = false
        var principal: String? = "someone"
        var asked = 0
    }

    let vendor = "Example"
    let product = "Toy \"1\""
    let version = "0.1"
    let url = "https://toy.example/"
    let interfaces = [
        VarlinkInterface(name: "org.example.toy", description: ToyService.idl),
        VarlinkInterface(name: "org.example.other", description: "interface org.example.other\n"),
    ]
    private let state = Mutex(State())

    var hasCallsInFlight: Bool { state.withLock { !$0.held.isEmpty } }
    /// The identifiers of the `Hold` calls in the order they were handed over.
    var seen: [Int64] { state.withLock { $0.seen } }
    /// Items asked of `Count` streams.
    var pulled: Int { state.withLock { $0.pulled } }
    var calls: Int { state.withLock { $0.calls } }
    var followers: Int { state.withLock { $0.followers.count } }

    func handle(_ call: VarlinkCall) {
        state.withLock { $0.calls += 1 }
        let parameters = (try? JSONReader.parse(call.parameters)) ?? .null
        switch call.method {
        case "org.example.toy.Echo": call.reply(call.parameters)
        case "org.example.toy.Twice":
            call.reply(Array("{\"answer\":1}".utf8))
            call.reply(Array("{\"answer\":2}".utf8))
            call.fail(.expectedMore)
        case "org.example.toy.Encode": call.reply(encoding: { Array("{\"late\":true}".utf8) })
        case "org.example.toy.Hold": hold(call, parameters)
        case "org.example.toy.Fail":
            call.fail(VarlinkError(name: parameters["error"]?.string ?? "", parameters: Array("{\"why\":7}".utf8)))
        case "org.example.toy.Count": count(call, parameters)
        case "org.example.toy.Follow": follow(call)
        case "org.example.toy.Seek": seek(call, parameters)
        case "org.example.toy.Put":
            let bytes = UInt64(parameters["bytes"]?.int ?? 0)
            bodies.calls.append(call)
            call.upgrade(to: bodies.sink(parameters), bytes: bytes, reply: call.parameters)
        case "org.example.toy.PutLater": bodies.calls.append(call)
        case "org.example.toy.Get": call.upgrade(from: bodies.source(parameters), reply: call.parameters)
        case "org.example.toy.Who":
            call.reply(
                JSONValue.members([
                    "pid": .int(Int64(call.peer.pid)), "uid": .int(Int64(call.peer.uid)),
                    "gid": .int(Int64(call.peer.gid)),
                ]).canonicalBytes
            )
        default: call.fail(.methodNotFound(call.method))
        }
    }

    /// What the service puts bodies into, and takes them from.
    let bodies = ToyBodies()

    func upgrades(_ method: String) -> Bool {
        ["org.example.toy.Put", "org.example.toy.PutLater", "org.example.toy.Get"].contains(method)
    }

    func takesBody(at path: String) -> Bool { path == "/put" }

    func receive(_ request: BodyRequest, peer: PeerCredentials) -> Result<any ByteSink, VarlinkError> {
        bodies.receive(request)
    }

    func get(_ path: String, query: String?, peer: PeerCredentials) -> HTTPResource {
        switch path {
        case "/hello": HTTPResource(status: 200, contentType: "text/x-toy", body: Array("hello\n".utf8))
        case "/query": HTTPResource(status: 200, contentType: "text/plain", body: Array((query ?? "none").utf8))
        case "/put": HTTPResource(status: 405, contentType: "text/plain", body: [], allow: "PUT")
        case "/get": bodies.get(query)
        default: HTTPResource(status: 404, contentType: "text/plain", body: Array("nothing".utf8))
        }
    }

    /// On whose account the next connections go: any name, or nil for a stranger's.
    func connectAs(_ name: String?) { state.withLock { $0.principal = name } }

    let principals = 3

    /// How often the server asked whose a connection is.
    var asked: Int { state.withLock { $0.asked } }

    func principal(of peer: PeerCredentials) -> String? {
        state.withLock { state in
            state.asked += 1
            return state.principal
        }
    }

    func refusal(of method: String, for peer: PeerCredentials) -> VarlinkError? {
        guard method.hasSuffix("Forbidden") else { return nil }
        return VarlinkError(name: "org.varlink.service.PermissionDenied")
    }

    /// Gives a held call away.
    func take(_ id: Int64) -> VarlinkCall? { state.withLock { $0.held.removeValue(forKey: id) } }

    /// Answers a held call.
    func release(_ id: Int64) {
        take(id)?.reply(JSONValue.members(["id": .int(id)]).canonicalBytes)
    }

    /// Gives the followers an item each, or ends their streams.
    func publish(_ items: [Int64], isOver: Bool = false) {
        let followers = state.withLock { state in
            state.news += items
            state.isOver = isOver
            return state.followers
        }
        for follower in followers { follower.wake() }
    }

    private func hold(_ call: VarlinkCall, _ parameters: JSONValue) {
        let id = parameters["id"]?.int ?? 0
        state.withLock { state in
            state.held[id] = call
            state.seen.append(id)
        }
    }

    private func count(_ call: VarlinkCall, _ parameters: JSONValue) {
        let last = (parameters["count"]?.int ?? 1) - 1
        let failAt = parameters["failAt"]?.int
        let padding = String(repeating: "x", count: Int(parameters["bytes"]?.int ?? 0))
        let next = Atomic64()
        call.stream { [self] in
            state.withLock { $0.pulled += 1 }
            let index = next.take()
            if index == failAt { return .failed(VarlinkError(name: "org.example.toy.Busy")) }
            let item = JSONValue.members(["index": .int(index), "padding": .string(padding)]).canonicalBytes
            return index == last ? .last(item) : .item(item)
        }
    }

    /// Wakes itself before it says that there is nothing yet, as a search does that others may interrupt.
    private func seek(_ call: VarlinkCall, _ parameters: JSONValue) {
        let steps = parameters["steps"]?.int ?? 0
        let next = Atomic64()
        call.stream {
            guard next.take() < steps else { return .last(Array("{\"index\":\(steps)}".utf8)) }
            call.wake()
            return .wait
        }
    }

    private func follow(_ call: VarlinkCall) {
        let next = Atomic64()
        state.withLock { $0.followers.append(call) }
        call.stream { [self] in
            state.withLock { state in
                let index = Int(next.value)
                if index < state.news.count {
                    _ = next.take()
                    return .item(JSONValue.members(["index": .int(state.news[index])]).canonicalBytes)
                }
                return state.isOver ? .last(Array("{\"over\":true}".utf8)) : .wait
            }
        }
    }
}

/// A counter that streams share with no one but must still be Sendable.
private final class Atomic64: Sendable {
    private let next = Mutex<Int64>(0)

    var value: Int64 { next.withLock { $0 } }

    func take() -> Int64 {
        next.withLock { next in
            defer { next += 1 }
            return next
        }
    }
}
