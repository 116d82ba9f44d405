import NIOCore

/// What is left of a native connection on which a client is sent a body: the bytes of the source, and then its end. Where
/// not all bytes come, it ends before.
final class SourceConnection: ChannelInboundHandler, CallOwner {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let host: ServerHost
    private let mailbox: Mailbox
    private let outlet: BodyOutlet
    private var sender: BodySender?
    private var context: ChannelHandlerContext?
    var isInBurst = false

    init(_ outlet: BodyOutlet, host: ServerHost, mailbox: Mailbox) {
        self.outlet = outlet
        self.host = host
        self.mailbox = mailbox
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        sender = BodySender(
            outlet,
            host.limits,
            context.eventLoop,
            post: mailbox.bodySender(to: self, call: 0),
            tooSlow: { context.close(promise: nil) }
        )
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        sender?.cut()
        sender = nil
        self.context = nil
    }

    /// Nothing that a client may send now means anything.
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {}

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func take(_ event: CallEvent, for call: UInt64) {
        guard let context, case .body(let event) = event else { return }
        guard case .piece(let piece, let isLast) = event else { return context.close(promise: nil) }
        let sent = context.eventLoop.makePromise(of: Void.self)
        sender?.sends(piece, isLast: isLast, sent)
        if isLast { sent.futureResult.assumeIsolated().whenComplete { _ in context.close(promise: nil) } }
        context.writeAndFlush(wrapOutboundOut(piece), promise: sent)
    }

    func endBurst() {}
}
