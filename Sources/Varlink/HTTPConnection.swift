import JSON
import NIOCore
import NIOHTTP1

/// The HTTP skin: `POST /call/METHOD` with bare parameters (the Varlink HTTP binding of UAPI.20) and read-only GETs.
final class HTTPConnection: ChannelInboundHandler, CallOwner {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let host: ServerHost
    private let peer: PeerCredentials
    private let mailbox: Mailbox
    private let queue: CallQueue
    var isInBurst = false
    private var context: ChannelHandlerContext?
    private var head: HTTPRequestHead?
    private var body: [UInt8] = []
    private var isTooLarge = false
    /// Whether the request at hand is all there and not yet routed.
    private var isComplete = false
    private var callID: UInt64 = 0
    private var pump: StreamPump?
    private var isStreaming = false
    private var deadline: Scheduled<Void>?
    private var lastWrite: EventLoopFuture<Void>?
    private var peerIsDone = false
    /// Whether the last answer is given; what comes after it is dropped.
    private var isClosing = false

    init(host: ServerHost, peer: PeerCredentials, mailbox: Mailbox) {
        self.host = host
        self.peer = peer
        self.mailbox = mailbox
        queue = CallQueue(workers: host.workers, mailbox: mailbox)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        // The first head has begun.
        closeAfter(host.limits.messageSeconds, context)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        deadline?.cancel()
        pump = nil
        queue.close()
        self.context = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if isClosing { return }
        switch unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            isComplete = false
            body = []
            isTooLarge = false
            closeAfter(host.limits.messageSeconds, context)
            if head.headers["expect"].contains(where: { $0.lowercased() == "100-continue" }) {
                answer(expecting: head, context)
            }
        case .body(let part):
            if isTooLarge { return }
            guard body.count + part.readableBytes <= host.limits.messageBytes else {
                // What comes now is dropped; the answer waits for its end or the connection's.
                isTooLarge = true
                body = []
                return refuseTooLarge(context)
            }
            body.append(contentsOf: part.readableBytesView)
        case .end:
            deadline?.cancel()
            isComplete = true
            routeIfWritable(context)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        context.flush()
        if context.channel.isWritable { context.read() }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        guard context.channel.isWritable else { return }
        pump?.pull()
        routeIfWritable(context)
        context.read()
    }

    /// A request is answered only once the client took the answers before it, or a client that never reads would have
    /// them pile up here.
    private func routeIfWritable(_ context: ChannelHandlerContext) {
        guard isComplete, context.channel.isWritable, let head else { return }
        isComplete = false
        if !isTooLarge { route(head, context) }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case ChannelEvent.inputClosed = event else { return context.fireUserInboundEventTriggered(event) }
        peerIsDone = true
        guard head == nil || pump?.isWaiting == true else { return }
        if let lastWrite { close(context.channel, after: lastWrite) } else { context.close(promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func closeAfter(_ seconds: Int64, _ context: ChannelHandlerContext) {
        deadline?.cancel()
        deadline = nil
        guard seconds > 0 else { return }
        let channel = context.channel
        deadline = context.eventLoop.scheduleTask(in: .seconds(seconds)) { channel.close(promise: nil) }
    }

    private func close(_ channel: any Channel, after write: EventLoopFuture<Void>) {
        write.whenComplete { _ in channel.close(promise: nil) }
    }

    // MARK: Requests

    /// Hands the request on. Every answer comes through the mailbox: one given here would deliver the next pipelined
    /// request from within, as deep as a client cares to send them.
    private func route(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        if head.headers.contains(name: "content-length"), head.headers.contains(name: "transfer-encoding") {
            let refusal = HTTPResource.text(400, "one body length, not two\n")
            return respond(refusal.status, refusal.contentType, refusal.body, close: true)
        }
        let path = head.uri.prefix { $0 != "?" }
        callID += 1
        let post = mailbox.sender(to: self, call: callID)
        switch head.method {
        case .POST:
            guard path.hasPrefix("/call/") else {
                return post(.resource(.text(404, "POST goes to /call/METHOD\n")), .atOnce)
            }
            let more = head.headers["accept"].contains { $0.contains("application/json-seq") }
            let method = String(path.dropFirst(6))
            let parameters = body.isEmpty ? Array("{}".utf8) : body
            guard (try? JSONReader.parse(parameters))?.object != nil else {
                return post(.fail(.invalidParameter("body: must be one strict JSON object")), .atOnce)
            }
            host.handle(
                VarlinkCall(method: method, parameters: parameters, more: more, peer: peer, queue: queue, post: post)
            )
        case .GET, .HEAD:
            let (service, peer, path) = (host.service, peer, String(path))
            queue.add { post(.resource(service.get(path, peer: peer)), .atOnce) }
        default: post(.resource(.text(405, "GET, HEAD or POST\n")), .atOnce)
        }
    }

    /// RFC 9110 section 10.1.1: a client that waits before it sends the body is told to go on, or what is wrong.
    private func answer(expecting head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        let length = head.headers.first(name: "content-length").flatMap { Int($0) } ?? 0
        guard length <= host.limits.messageBytes else {
            isTooLarge = true
            return refuseTooLarge(context)
        }
        context.writeAndFlush(wrapOutboundOut(.head(.init(version: .http1_1, status: .continue))), promise: nil)
    }

    private func refuseTooLarge(_ context: ChannelHandlerContext) {
        let error = VarlinkError(name: "org.varlink.service.TooLarge")
        respond(413, "application/json", error.encoded, close: true)
    }

    // MARK: Answers

    func take(_ event: CallEvent, for call: UInt64) {
        guard let context, call == callID, head != nil else { return }
        switch event {
        case .reply(let bytes):
            respond(200, "application/json", bytes)
            queue.sent(bytes.count, isWritable: true)
        case .encode(let make):
            do throws(VarlinkError) {
                respond(200, "application/json", try make())
            } catch {
                respond(error)
            }
        case .resource(let resource): respond(resource.status, resource.contentType, resource.body)
        case .fail(let error): respond(error)
        case .stream(let next):
            let post = mailbox.sender(to: self, call: call)
            let started = StreamPump(next: next, workers: host.workers) { post(.step($0), .atOnce) }
            pump = started
            started.pull()
        case .step(let step):
            pump?.took(step)
            take(step, context)
            // Woken while it found nothing, it is asked again.
            if case .wait = step, context.channel.isWritable { pump?.pull() }
        case .wake:
            pump?.wake()
            if context.channel.isWritable { pump?.pull() }
        }
    }

    /// An HTTP connection has one call at a time, whose answer goes out whole.
    func endBurst() {}

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
        case .wait: if peerIsDone, pump?.isWaiting == true { context.close(promise: nil) }
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
        isStreaming = false
        endResponse(context, keepAlive: keepsAlive)
    }

    /// A client that sent all it will, or a protocol we do not switch to, leaves nothing to keep a connection for.
    private var keepsAlive: Bool {
        guard let head, !peerIsDone else { return false }
        return head.isKeepAlive && head.method != .CONNECT && !head.headers.contains(name: "upgrade")
    }

    private func endResponse(_ context: ChannelHandlerContext, keepAlive: Bool) {
        pump = nil
        head = nil
        let channel = context.channel
        if keepAlive { closeAfter(host.limits.idleSeconds, context) }
        isClosing = !keepAlive
        let end = context.eventLoop.makePromise(of: Void.self)
        lastWrite = end.futureResult
        if !keepAlive { close(channel, after: end.futureResult) }
        // This write may deliver the next pipelined request at once: nothing of this one may come after it.
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: end)
    }

    private func respond(_ error: VarlinkError) {
        respond(error.httpStatus, "application/json", error.encoded)
    }

    private func respond(_ status: Int, _ contentType: String, _ body: [UInt8], close: Bool = false) {
        guard let context else { return }
        let isHead = head?.method == .HEAD
        let keepAlive = !close && keepsAlive
        var headers = HTTPHeaders([("content-type", contentType), ("content-length", String(body.count))])
        if status == 503 { headers.add(name: "retry-after", value: "1") }
        if !keepAlive { headers.add(name: "connection", value: "close") }
        let head = HTTPResponseHead(version: .http1_1, status: .init(statusCode: status), headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if !isHead { context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: body)))), promise: nil) }
        endResponse(context, keepAlive: keepAlive)
    }
}
