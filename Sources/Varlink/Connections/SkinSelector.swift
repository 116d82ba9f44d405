import NIOCore
import NIOHTTP1

/// Waits for the first byte of a connection, which tells the skin: a JSON object begins with a brace or white space, an
/// HTTP request with a letter. Line ends may come before either (RFC 9112 section 2.2). Anything else is closed.
final class SkinSelector: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    /// How many bytes of line ends are passed over.
    private static let maximumLineEnds = 1_024
    private let host: ServerHost
    private let terms: ConnectionTerms
    private let mailbox: Mailbox
    private var deadline = ConnectionDeadline()
    private var lineEnds = 0

    init(host: ServerHost, terms: ConnectionTerms, mailbox: Mailbox) {
        self.host = host
        self.terms = terms
        self.mailbox = mailbox
    }

    func channelActive(context: ChannelHandlerContext) {
        deadline.set(terms.idleSeconds, context)
        context.read()
    }

    func handlerRemoved(context: ChannelHandlerContext) { deadline.cancel() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        let ends = bytes.readableBytesView.prefix { $0 == 0x0D || $0 == 0x0A }.count
        bytes.moveReaderIndex(forwardBy: ends)
        if lineEnds == 0, ends > 0 { deadline.set(terms.messageSeconds, context) }
        lineEnds += ends
        guard lineEnds <= SkinSelector.maximumLineEnds else { return context.close(promise: nil) }
        guard let first = bytes.readableBytesView.first else { return context.read() }
        deadline.cancel()
        do {
            let pipeline = context.pipeline.syncOperations
            switch first {
            case UInt8(ascii: "{"), 0x20, 0x09:
                try pipeline.addHandler(VarlinkConnection(host: host, terms: terms, mailbox: mailbox))
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"):
                // How an answer is framed depends on who asked: HTTPConnection says it itself.
                var encoder = HTTPResponseEncoder.Configuration()
                encoder.automaticallySetFramingHeaders = false
                try pipeline.configureHTTPServerPipeline(withEncoderConfiguration: encoder)
                let edge = RequestEdge()
                let decoder = try pipeline.handler(type: ByteToMessageHandler<HTTPRequestDecoder>.self)
                try pipeline.addHandler(edge, position: .before(decoder))
                try pipeline.addHandler(RequestEdge.End(edge), position: .after(decoder))
                try pipeline.addHandler(HTTPConnection(host: host, terms: terms, mailbox: mailbox, edge: edge))
            default: return context.close(promise: nil)
            }
        } catch {
            return context.close(promise: nil)
        }
        context.fireChannelRead(wrapInboundOut(bytes))
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
