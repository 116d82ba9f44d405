import NIOCore
import NIOHTTP1

/// Waits for the first byte of a connection, which tells the skin: a JSON object begins with a brace, an HTTP request
/// with a letter. Anything else is closed.
final class SkinSelector: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    private let host: ServerHost
    private let peer: PeerCredentials
    private let mailbox: Mailbox
    private var deadline: Scheduled<Void>?

    init(host: ServerHost, peer: PeerCredentials, mailbox: Mailbox) {
        self.host = host
        self.peer = peer
        self.mailbox = mailbox
    }

    func channelActive(context: ChannelHandlerContext) {
        if host.limits.idleSeconds > 0 {
            let channel = context.channel
            deadline = context.eventLoop.scheduleTask(in: .seconds(host.limits.idleSeconds)) {
                channel.close(promise: nil)
            }
        }
        context.read()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard let first = unwrapInboundIn(data).readableBytesView.first else { return context.read() }
        deadline?.cancel()
        do {
            let pipeline = context.pipeline.syncOperations
            switch first {
            case UInt8(ascii: "{"), 0x20, 0x09, 0x0A, 0x0D:
                try pipeline.addHandler(VarlinkConnection(host: host, peer: peer, mailbox: mailbox))
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"):
                try pipeline.configureHTTPServerPipeline()
                try pipeline.addHandler(HTTPConnection(host: host, peer: peer, mailbox: mailbox))
            default: return context.close(promise: nil)
            }
        } catch {
            return context.close(promise: nil)
        }
        context.fireChannelRead(data)
        context.fireChannelReadComplete()
        pipelineDone(context)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed = event { return context.close(promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func pipelineDone(_ context: ChannelHandlerContext) {
        context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
    }
}
