import NIOCore
import NIOHTTP1

/// Knows whether a client is within a request: whether it has begun one, be it by a byte, that it has not ended. The
/// decoder says nothing of a head before all of it is there.
///
/// It stands before the decoder and hands it the last byte of what came apart from those before, with the line ends behind
/// it: unless a request ends there, another has begun. Line ends between requests are none of one (RFC 9112 section 2.2).
final class RequestEdge: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    /// Whether a request has begun and not ended.
    private(set) var isWithin = true
    /// Bytes to come of the body at hand, where its length is declared.
    private var bodyLeft = 0

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        // Within a long body no request ends and none begins, and its bytes are worth nothing apart.
        if bytes.readableBytes < bodyLeft { return context.fireChannelRead(data) }
        let view = bytes.readableBytesView
        guard let last = view.lastIndex(where: { $0 != 0x0D && $0 != 0x0A }) else {
            return context.fireChannelRead(data)
        }
        if let beginning = bytes.readSlice(length: last - view.startIndex), beginning.readableBytes > 0 {
            context.fireChannelRead(wrapInboundOut(beginning))
        }
        isWithin = true
        context.fireChannelRead(wrapInboundOut(bytes))
    }

    /// Stands behind the decoder and sees where requests end.
    final class End: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias InboundOut = HTTPServerRequestPart

        private let edge: RequestEdge

        init(_ edge: RequestEdge) { self.edge = edge }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .head(let head): edge.bodyLeft = head.headers.first(name: "content-length").flatMap { Int($0) } ?? 0
            case .body(let part): edge.bodyLeft -= part.readableBytes
            case .end:
                edge.isWithin = false
                edge.bodyLeft = 0
            }
            context.fireChannelRead(data)
        }
    }
}
