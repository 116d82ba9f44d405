import NIOCore

/// The body that an HTTP connection receives or sends for the request at hand; one at once. It belongs to the event loop
/// of the connection.
final class HTTPBodies {
    private let host: ServerHost
    private let terms: ConnectionTerms
    private var receiver: BodyReceiver?
    private var sender: BodySender?
    /// The head that goes before the first bytes that are sent.
    private var head: HTTPAnswerHead?

    init(_ host: ServerHost, _ terms: ConnectionTerms) {
        self.host = host
        self.terms = terms
    }

    var isReceiving: Bool { receiver != nil }

    /// Whether the answer has begun, and can't be taken back.
    var hasBegunToSend: Bool { sender != nil && head == nil }

    /// Whether more may be read; where not, `.room` comes when it may.
    var hasRoom: Bool { receiver?.hasRoom != false }

    /// Has the body of a PUT received.
    ///
    /// - Parameters:
    ///   - post: takes what the workers have to say, on any thread.
    ///   - tooSlow: called on the loop where the client does not move on.
    /// - Returns: why it is not.
    func receive(
        _ request: BodyRequest,
        _ loop: any EventLoop,
        post: @escaping @Sendable (BodyEvent) -> Void,
        tooSlow: @escaping () -> Void
    ) -> VarlinkError? {
        if terms.share.isStrangers { return .permissionDenied }
        guard let place = host.bodies.admit(terms.share) else { return .busy }
        switch host.service.receive(request, peer: terms.peer) {
        case .failure(let error): return error
        case .success(let sink):
            receiver = BodyReceiver(sink, place, terms, host.limits, loop, post: post, tooSlow: tooSlow)
            return nil
        }
    }

    /// Takes a part of the body; false where none is received.
    func take(_ part: ByteBuffer) -> Bool {
        receiver?.receive(part)
        return receiver != nil
    }

    /// Says that the body is all there; false where none is received.
    func end() -> Bool {
        receiver?.end()
        return receiver != nil
    }

    /// Has a body sent behind a head.
    ///
    /// - Parameters:
    ///   - post: takes the pieces, on any thread, and must bring them back to the loop.
    ///   - tooSlow: called on the loop where the client does not take them.
    func send(
        _ outlet: BodyOutlet,
        _ head: HTTPAnswerHead,
        _ loop: any EventLoop,
        post: @escaping @Sendable (BodyEvent) -> Void,
        tooSlow: @escaping () -> Void
    ) {
        self.head = head
        sender = BodySender(outlet, host.limits, loop, post: post, tooSlow: tooSlow)
    }

    /// The head, the first time.
    func takeHead() -> HTTPAnswerHead? {
        defer { head = nil }
        return head
    }

    /// Notes a piece that goes to the channel with this promise.
    func sends(_ piece: ByteBuffer, isLast: Bool, _ sent: EventLoopPromise<Void>) {
        sender?.sends(piece, isLast: isLast, sent)
    }

    /// Lets go of what is not received or sent to its end.
    func cut() {
        receiver?.cut()
        sender?.cut()
        (receiver, sender, head) = (nil, nil, nil)
    }
}
