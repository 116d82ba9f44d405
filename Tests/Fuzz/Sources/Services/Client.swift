import Driver
import NIOCore
import NIOEmbedded
import Synchronization

@testable import Varlink

/// A connection to a server of one thread, whose workers and event loop run when they are told to.
final class Client {
    private let channel = EmbeddedChannel()
    private let pending = PendingWork()
    private(set) var received: [UInt8] = []

    init() {
        let host = ServerHost(service: ToyService(), limits: Client.limits, threads: 2) { [pending] in
            pending.add($0)
        }
        guard let terms = host.admit(PeerCredentials(pid: 1, uid: 1, gid: 1)) else { fatalError("not let in") }
        let selector = SkinSelector(
            host: host,
            terms: terms,
            mailbox: Mailbox(loop: channel.embeddedEventLoop)
        )
        do {
            try channel.pipeline.syncOperations.addHandler(selector)
            try channel.connect(to: SocketAddress(unixDomainSocketPath: "/fuzz")).wait()
        } catch {
            fatalError("no connection: \(error)")
        }
    }

    deinit { _ = try? channel.finish(acceptAlreadyClosed: true) }

    /// Limits small enough to be met by an input.
    static let limits: VarlinkLimits = {
        var limits = VarlinkLimits()
        limits.messageBytes = 512
        limits.inFlight = 4
        limits.promptBytes = 96
        limits.shortBodyBytes = 64
        return limits
    }()

    var isOpen: Bool { channel.isActive }

    /// Whether the client reads; where it doesn't, the channel is not writable.
    var takesAnswers: Bool = true {
        didSet {
            guard takesAnswers != oldValue, isOpen else { return }
            channel.isWritable = takesAnswers
            channel.pipeline.fireChannelWritabilityChanged()
            run()
        }
    }

    func send(_ bytes: ArraySlice<UInt8>) {
        guard isOpen else { return }
        // An error that nobody caught is one more way to be refused.
        do { try channel.writeInbound(ByteBuffer(bytes: bytes)) } catch { channel.close(promise: nil) }
        run()
    }

    /// Says that nothing more will come, and waits as long as a message may take.
    func finish() {
        guard isOpen else { return }
        channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        run()
        channel.embeddedEventLoop.advanceTime(by: .seconds(Client.limits.messageSeconds + 1))
        run()
    }

    /// Lets loop and workers do all there is to do.
    private func run() {
        repeat { channel.embeddedEventLoop.run() } while pending.doNext()
        while let part = try? channel.readOutbound(as: ByteBuffer.self) {
            received.append(contentsOf: part.readableBytesView)
        }
    }
}

/// Work for the worker threads there are none of.
private final class PendingWork: Sendable {
    private let work = Mutex<[@Sendable () -> Void]>([])

    func add(_ piece: @escaping @Sendable () -> Void) { work.withLock { $0.append(piece) } }

    /// Does the piece that waits longest; gives whether there was one.
    func doNext() -> Bool {
        guard let piece = work.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) else { return false }
        piece()
        return true
    }
}

/// Answers in every way there is.
struct ToyService: VarlinkService {
    /// What `Count` gives before its last item.
    static let items = 3

    let vendor = "fuzz"
    let product = "fuzz"
    let version = "1"
    let url = "fuzz:"
    let interfaces = [VarlinkInterface(name: "org.example.Fuzz", description: "interface org.example.Fuzz\n")]
    let hasCallsInFlight = false
    let principals = 1

    func principal(of peer: PeerCredentials) -> String? { "fuzz" }

    func refusal(of method: String, for peer: PeerCredentials) -> VarlinkError? {
        method.utf8.elementsEqual("org.example.Fuzz.Forbidden".utf8)
            ? VarlinkError(name: "org.varlink.service.PermissionDenied") : nil
    }

    func handle(_ call: VarlinkCall) {
        let parameters = call.parameters
        switch call.method.split(separator: ".").last {
        case "Echo": call.reply(parameters)
        case "Later": call.perform { call.reply(parameters, isOneOfMany: true) }
        case "Encode": call.reply { parameters }
        case "Fail": call.fail(VarlinkError(name: "org.example.Fuzz.Failed"))
        case "Count":
            let left = Mutex(ToyService.items)
            call.stream {
                left.withLock { left in
                    left -= 1
                    return left < 0 ? .last(parameters) : .item(parameters)
                }
            }
        default: call.fail(.methodNotFound(call.method))
        }
    }

    func upgrades(_ method: String) -> Bool { false }

    func get(_ path: String, query: String?, peer: PeerCredentials) -> HTTPResource {
        HTTPResource(status: path == "/fuzz" ? 200 : 404, contentType: "text/plain", body: Array(path.utf8))
    }

    func takesBody(at path: String) -> Bool { path.utf8.elementsEqual("/put".utf8) }

    func receive(_ request: BodyRequest, peer: PeerCredentials) -> Result<any ByteSink, VarlinkError> {
        .success(CountingSink())
    }
}

/// Answers with how many bytes it took.
private final class CountingSink: ByteSink {
    private let count = Mutex(0)

    func take(_ bytes: UnsafeRawBufferPointer) throws(VarlinkError) { count.withLock { $0 += bytes.count } }

    func finish(_ complete: @escaping @Sendable (Result<[UInt8], VarlinkError>) -> Void) {
        complete(.success(Array("{\"bytes\":\(count.withLock { $0 })}".utf8)))
    }

    func abandon() {}
}
