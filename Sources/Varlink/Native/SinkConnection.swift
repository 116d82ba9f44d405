import NIOCore

/// What is left of a native connection on which a client sends a body: so many bytes go to the sink, whose answer is one
/// more reply, and the last.
final class SinkConnection: ChannelInboundHandler, CallOwner {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// How long a client that got its last reply may take to go.
    private static let endingSeconds: Int64 = 5
    private let host: ServerHost
    private let terms: ConnectionTerms
    private let mailbox: Mailbox
    private let sink: any ByteSink
    private let place: BodyPlace
    /// Bytes to come.
    private var left: UInt64
    private var receiver: BodyReceiver?
    private var context: ChannelHandlerContext?
    private var deadline = ConnectionDeadline()
    /// Whether the last reply is on its way: what comes is dropped.
    private var isEnding = false
    private var droppedBytes = 0
    private var peerIsDone: Bool
    var isInBurst = false

    /// - Parameters:
    ///   - bytes: how many the client sends.
    ///   - peerIsDone: whether it has said that it sends no more.
    init(
        _ sink: any ByteSink,
        bytes: UInt64,
        _ place: BodyPlace,
        host: ServerHost,
        terms: ConnectionTerms,
        mailbox: Mailbox,
        peerIsDone: Bool
    ) {
        self.sink = sink
        self.place = place
        self.host = host
        self.terms = terms
        self.mailbox = mailbox
        self.peerIsDone = peerIsDone
        left = bytes
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        let receiver = BodyReceiver(
            sink,
            place,
            terms,
            host.limits,
            context.eventLoop,
            post: mailbox.bodySender(to: self, call: 0),
            tooSlow: { [unowned self] in end(ReplyMessage.encode(.tooSlow)) }
        )
        self.receiver = receiver
        if left == 0 {
            receiver.end()
        } else if peerIsDone {
            context.close(promise: nil)
        } else {
            context.read()
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        deadline.cancel()
        receiver?.cut()
        receiver = nil
        self.context = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let part = unwrapInboundIn(data)
        if isEnding {
            droppedBytes += part.readableBytes
            if droppedBytes > terms.drainBytes { context.close(promise: nil) }
            return
        }
        let isTooLong = UInt64(part.readableBytes) > left
        left -= min(left, UInt64(part.readableBytes))
        // Whoever sends more than he said means something else by it: a longer body, or a call.
        if isTooLong || left == 0 && UnreadBytes.areThere(terms.descriptor) {
            return end(ReplyMessage.encode(.invalidParameter("upgrade: more bytes than the call said")))
        }
        receiver?.receive(part)
        if left == 0 { receiver?.end() }
    }

    func channelReadComplete(context: ChannelHandlerContext) { readOn(context) }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case ChannelEvent.inputClosed = event else { return context.fireUserInboundEventTriggered(event) }
        peerIsDone = true
        // A body that is whole is answered all the same.
        if left > 0 || isEnding { context.close(promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func take(_ event: CallEvent, for call: UInt64) {
        guard let context, case .body(let event) = event else { return event.discard(terms.workers) }
        switch event {
        case .room: readOn(context)
        case .answered(.success(let parameters)): end(ReplyMessage.encode(parameters))
        case .answered(.failure(let error)), .failed(let error): end(ReplyMessage.encode(error))
        case .piece: break
        }
    }

    func endBurst() {}

    private func readOn(_ context: ChannelHandlerContext) {
        if isEnding || left > 0 && receiver?.hasRoom == true { context.read() }
    }

    /// Sends the last reply. A client that still sends would not see it: until it goes, what comes is read and dropped.
    private func end(_ reply: [UInt8]) {
        guard let context, !isEnding else { return }
        isEnding = true
        receiver?.cut()
        deadline.set(terms.partingSeconds, context)
        let sent = context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: reply)))
        sent.assumeIsolated().whenComplete { [self] _ in
            if left == 0 || peerIsDone { return context.close(promise: nil) }
            deadline.set(SinkConnection.endingSeconds, context)
            context.close(mode: .output, promise: nil)
        }
        context.read()
    }
}
