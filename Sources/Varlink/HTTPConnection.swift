import JSON
import NIOCore
import NIOHTTP1
import NIOPosix

/// The HTTP skin: `POST /call/METHOD` with bare parameters (the Varlink HTTP binding of UAPI.20) and read-only GETs.
final class HTTPConnection: ChannelInboundHandler, CallOwner {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let host: ServerHost
    private let peer: PeerCredentials
    private let mailbox: Mailbox
    private var context: ChannelHandlerContext?
    private var head: HTTPRequestHead?
    private var body: [UInt8] = []
    private var isTooLarge = false
    private var callID: UInt64 = 0
    private var pump: StreamPump?
    private var isStreaming = false
    private var deadline: Scheduled<Void>?

    init(host: ServerHost, peer: PeerCredentials, mailbox: Mailbox) {
        self.host = host
        self.peer = peer
        self.mailbox = mailbox
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) {
        deadline?.cancel()
        pump = nil
        self.context = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            body = []
            isTooLarge = false
            let channel = context.channel
            deadline?.cancel()
            deadline = context.eventLoop.scheduleTask(in: .seconds(host.limits.messageSeconds)) {
                channel.close(promise: nil)
            }
        case .body(let part):
            guard body.count + part.readableBytes <= host.limits.messageBytes else {
                // What comes now is dropped; the answer waits for its end or the connection's.
                isTooLarge = true
                body = []
                return refuseTooLarge(context)
            }
            if !isTooLarge { body.append(contentsOf: part.readableBytesView) }
        case .end:
            deadline?.cancel()
            if let head, !isTooLarge { route(head, context) }
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        context.flush()
        context.read()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { pump?.pull() }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed = event, head == nil || pump?.isWaiting == true {
            return context.close(promise: nil)
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    // MARK: Requests

    private func route(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        if head.headers.contains(name: "content-length"), head.headers.contains(name: "transfer-encoding") {
            return respond(400, "text/plain; charset=utf-8", Array("one body length, not two\n".utf8), close: true)
        }
        let path = head.uri.prefix { $0 != "?" }
        callID += 1
        let post = mailbox.sender(to: self, call: callID)
        switch head.method {
        case .POST:
            guard path.hasPrefix("/call/") else {
                return respond(404, "text/plain; charset=utf-8", Array("POST goes to /call/METHOD\n".utf8))
            }
            let more = head.headers["accept"].contains { $0.contains("application/json-seq") }
            let method = String(path.dropFirst(6))
            let parameters = body.isEmpty ? Array("{}".utf8) : body
            guard (try? JSONReader.parse(parameters))?.object != nil else {
                return respond(VarlinkError.invalidParameter("body: must be one strict JSON object"))
            }
            host.handle(VarlinkCall(method: method, parameters: parameters, more: more, peer: peer, post: post))
        case .GET, .HEAD:
            let (service, peer, path) = (host.service, peer, String(path))
            host.pool.submit { state in
                guard case .active = state else { return }
                post(.resource(service.get(path, peer: peer)))
            }
        default: respond(405, "text/plain; charset=utf-8", Array("GET, HEAD or POST\n".utf8))
        }
    }

    private func refuseTooLarge(_ context: ChannelHandlerContext) {
        let error = VarlinkError(name: "org.varlink.service.TooLarge")
        respond(413, "application/json", error.encoded, close: true)
    }

    // MARK: Answers

    func take(_ event: CallEvent, for call: UInt64) {
        guard let context, call == callID, head != nil else { return }
        switch event {
        case .reply(let bytes): respond(200, "application/json", bytes)
        case .encode(let make): respond(200, "application/json", make())
        case .resource(let resource): respond(resource.status, resource.contentType, resource.body)
        case .fail(let error): respond(error)
        case .stream(let next):
            let post = mailbox.sender(to: self, call: call)
            let started = StreamPump(next: next, pool: host.pool) { post(.step($0)) }
            pump = started
            started.pull()
        case .step(let step):
            pump?.took(step)
            take(step, context)
        case .wake:
            pump?.wake()
            if context.channel.isWritable { pump?.pull() }
        }
    }

    private func take(_ step: StreamStep, _ context: ChannelHandlerContext) {
        switch step {
        case .item(let bytes):
            writeItem(bytes, context)
            context.flush()
            if context.channel.isWritable { pump?.pull() }
        case .last(let bytes):
            writeItem(bytes, context)
            endStream(context)
        case .failed(let error):
            if !isStreaming { return respond(error) }
            writeItem(error.encoded, context)
            endStream(context)
        case .wait: break
        }
    }

    /// RFC 7464: a record separator, the JSON text, a line feed.
    private func writeItem(_ bytes: [UInt8], _ context: ChannelHandlerContext) {
        if !isStreaming {
            isStreaming = true
            let headers = HTTPHeaders([
                ("content-type", "application/json-seq"), ("transfer-encoding", "chunked"),
            ])
            context.write(wrapOutboundOut(.head(.init(version: .http1_1, status: .ok, headers: headers))), promise: nil)
        }
        context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: [0x1E] + bytes + [0x0A])))), promise: nil)
    }

    private func endStream(_ context: ChannelHandlerContext) {
        pump = nil
        isStreaming = false
        head = nil
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }

    private func respond(_ error: VarlinkError) {
        respond(error.httpStatus, "application/json", error.encoded)
    }

    private func respond(_ status: Int, _ contentType: String, _ body: [UInt8], close: Bool = false) {
        guard let context else { return }
        let isHead = head?.method == .HEAD
        let keepAlive = !close && (head?.isKeepAlive ?? false)
        var headers = HTTPHeaders([("content-type", contentType), ("content-length", String(body.count))])
        if status == 503 { headers.add(name: "retry-after", value: "1") }
        if !keepAlive { headers.add(name: "connection", value: "close") }
        let head = HTTPResponseHead(version: .http1_1, status: .init(statusCode: status), headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if !isHead { context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: body)))), promise: nil) }
        pump = nil
        self.head = nil
        let channel = context.channel
        context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in
            if !keepAlive { channel.close(promise: nil) }
        }
    }
}
