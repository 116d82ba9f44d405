import Synchronization

/// One step of a reply that goes on.
public enum StreamStep: Sendable {
    /// An item, with more to come.
    case item([UInt8])
    /// The last item.
    case last([UInt8])
    /// Nothing yet; asked again after `wake()`.
    case wait
    case failed(VarlinkError)
}

/// What a call tells the connection it came from.
enum CallEvent: Sendable {
    case reply([UInt8])
    /// A reply whose parameters the connection's own thread makes.
    case encode(@Sendable () throws(VarlinkError) -> [UInt8])
    case fail(VarlinkError)
    case stream(@Sendable () -> StreamStep)
    /// What a worker pulled from the stream.
    case step(StreamStep)
    case wake
    /// The answer to a GET.
    case resource(HTTPResource)
    /// A reply, and the body that comes or goes behind it.
    case upgrade([UInt8], UpgradeBody)
    case body(BodyEvent)
    /// What a worker made of a long message; nil where it is no call.
    case read(CallMessage?)
    /// A worker has handed a call with long parameters to the service.
    case handedOver
    /// The room of what the connection has sent was given to others.
    case evicted

    /// Lets go of what nobody takes.
    func discard(_ workers: Workers) {
        switch self {
        case .resource(let resource): workers { resource.discard() }
        case .upgrade(_, let body): body.discard(workers)
        default: break
        }
    }
}

/// The body of a call.
enum UpgradeBody: Sendable {
    /// So many bytes that the client sends.
    case sink(any ByteSink, bytes: UInt64)
    /// What the client is sent.
    case source(any ByteSource)

    /// Lets go of it.
    func discard(_ workers: Workers) { workers { abandon() } }

    func abandon() {
        switch self {
        case .sink(let sink, _): sink.abandon()
        case .source(let source): source.abandon()
        }
    }
}

/// One call of a client, from either skin. It must be answered exactly once, by `reply`, `fail` or `stream`; further
/// answers are ignored.
public final class VarlinkCall: Sendable {
    /// Fully qualified.
    public let method: String
    /// The parameters, a JSON object.
    public let parameters: [UInt8]
    /// Whether the client takes more than one reply.
    public let more: Bool
    /// Whether a body comes or goes on its connection, which then serves nothing else. True of the methods that the
    /// service says upgrade, and of no others.
    public let upgrade: Bool
    public let peer: PeerCredentials
    private let answered = Atomic<Bool>(false)
    private let queue: CallQueue
    private let post: @Sendable (CallEvent, Wake) -> Void

    init(
        method: String,
        parameters: [UInt8],
        more: Bool,
        upgrade: Bool = false,
        peer: PeerCredentials,
        queue: CallQueue,
        post: @escaping @Sendable (CallEvent, Wake) -> Void
    ) {
        self.method = method
        self.parameters = parameters
        self.more = more
        self.upgrade = upgrade
        self.peer = peer
        self.queue = queue
        self.post = post
    }

    /// Has `work` done on a worker thread, in the order of the connection's calls and while its client takes answers.
    public func perform(_ work: @escaping @Sendable () -> Void) { queue.add(work) }

    /// Answers with parameters, a JSON object. Within `perform` the answer may go out with others of the connection.
    public func reply(_ parameters: [UInt8], isOneOfMany: Bool = false) {
        answer(.reply(parameters), isOneOfMany ? .held : .atOnce)
    }

    /// Answers with parameters that the connection's event loop encodes, so that the caller's thread need not.
    ///
    /// - Parameter isOneOfMany: the answer goes out with others, at the next `VarlinkServer.deliverAnswers` or at the
    ///   end of what `perform` runs.
    public func reply(
        isOneOfMany: Bool = false,
        encoding parameters: @escaping @Sendable () throws(VarlinkError) -> [UInt8]
    ) {
        answer(.encode(parameters), isOneOfMany ? .held : .atOnce)
    }

    /// - Parameter isOneOfMany: as for `reply`.
    public func fail(_ error: VarlinkError, isOneOfMany: Bool = false) {
        answer(.fail(error), isOneOfMany ? .held : .atOnce)
    }

    /// Answers with a stream: `next` is called on a worker thread, one call at a time, whenever the client can take
    /// an item, until it gives `.last` or `.failed` or the client leaves and lets go of the closure.
    ///
    /// A client that takes one reply only is told `ExpectedMore`.
    public func stream(_ next: @escaping @Sendable () -> StreamStep) {
        answer(more ? .stream(next) : .fail(.expectedMore))
    }

    /// Answers with parameters and takes the body that the client sends once it has them. What the sink answers is a
    /// second reply, with which the connection ends.
    ///
    /// - Parameters:
    ///   - bytes: how many bytes there are, as the call's parameters say.
    ///   - reply: a JSON object.
    public func upgrade(to sink: any ByteSink, bytes: UInt64, reply: [UInt8]) {
        answer(.sink(sink, bytes: bytes), reply)
    }

    /// Answers with parameters, and with exactly the bytes of the source behind them, with which the connection ends.
    ///
    /// - Parameter reply: a JSON object, which says how many bytes there are.
    public func upgrade(from source: any ByteSource, reply: [UInt8]) { answer(.source(source), reply) }

    /// Has a stream that waits asked again.
    public func wake() { post(.wake, .atOnce) }

    /// A client that did not say `upgrade` is told `ExpectedUpgrade`.
    private func answer(_ body: UpgradeBody, _ reply: [UInt8]) {
        if upgrade { return answer(.upgrade(reply, body)) }
        body.abandon()
        fail(.expectedUpgrade)
    }

    private func answer(_ event: CallEvent, _ wake: Wake = .atOnce) {
        guard !answered.exchange(true, ordering: .acquiringAndReleasing) else { return event.discard { $0() } }
        if case .reply(let bytes) = event { queue.made(bytes.count) }
        post(event, wake)
    }
}
