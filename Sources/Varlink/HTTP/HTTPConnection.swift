import JSON
import NIOCore
import NIOHTTP1

/// The HTTP skin: `POST /call/METHOD` with bare parameters (the Varlink HTTP binding of UAPI.20) and read-only GETs.
///
/// Who may call what is decided from the head; the body of a call that is refused is not kept.
final class HTTPConnection: ChannelInboundHandler, CallOwner {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    /// How long a client that got its last answer may take to end its request.
    private static let endingSeconds: Int64 = 5
    private let host: ServerHost
    private let terms: ConnectionTerms
    private let mailbox: Mailbox
    private let queue: CallQueue
    private var lease: InputLease?
    var isInBurst = false
    private var context: ChannelHandlerContext?
    /// The request at hand, until it is answered.
    private var head: HTTPRequestHead?
    private var route = HTTPRoute.resource("")
    /// Its answer, where that does not depend on the body.
    private var refusal: CallEvent?
    private var body: [UInt8] = []
    /// Whether the request at hand is all there.
    private var hasEnd = false
    /// Whether it is so, and not yet routed.
    private var isComplete = false
    private var droppedBytes = 0
    private var callID: UInt64 = 0
    private var pump: StreamPump?
    private var isStreaming = false
    private var deadline = ConnectionDeadline()
    /// Whether `deadline` is that of a request that has begun, which more bytes of it do not put off.
    private var isTimingMessage = true
    private var lastWrite: EventLoopFuture<Void>?
    private var peerIsDone = false
    /// Whether the last answer is given; what comes after it is dropped.
    private var isClosing = false
    /// Whether it has been sent.
    private var isSent = false

    private let edge: RequestEdge

    /// - Parameter edge: knows whether the client is within a request; it stands before the decoder.
    init(host: ServerHost, terms: ConnectionTerms, mailbox: Mailbox, edge: RequestEdge) {
        self.edge = edge
        self.host = host
        self.terms = terms
        self.mailbox = mailbox
        queue = CallQueue(workers: terms.workers, mailbox: mailbox)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        let post = mailbox.sender(to: self, call: 0)
        lease = InputLease(host.budget, terms.share) { post(.evicted, .atOnce) }
        // The first head has begun.
        deadline.set(terms.messageSeconds, context)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        deadline.cancel()
        pump = nil
        lease = nil
        queue.close()
        self.context = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): if !isClosing { begin(head, context) }
        case .body(let part): receive(part, context)
        case .end:
            hasEnd = true
            if isClosing {
                if isSent { context.close(promise: nil) }
                return
            }
            deadline.cancel()
            isTimingMessage = false
            isComplete = true
            routeIfWritable(context)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        context.flush()
        // The beginning of a head is seen by its bytes alone.
        if head == nil, !isClosing, edge.isWithin { timeMessage(context) }
        if context.channel.isWritable || isClosing { context.read() }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        guard context.channel.isWritable else { return }
        pump?.pull()
        routeIfWritable(context)
        context.read()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case ChannelEvent.inputClosed = event else { return context.fireUserInboundEventTriggered(event) }
        peerIsDone = true
        guard head == nil || !hasEnd || pump?.isWaiting == true else { return }
        guard let lastWrite else { return context.close(promise: nil) }
        deadline.set(terms.partingSeconds, context)
        close(context.channel, after: lastWrite)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    /// Has a request that has begun end in time.
    private func timeMessage(_ context: ChannelHandlerContext) {
        if isTimingMessage { return }
        isTimingMessage = true
        deadline.set(terms.messageSeconds, context)
    }

    private func close(_ channel: any Channel, after write: EventLoopFuture<Void>) {
        write.whenComplete { _ in channel.close(promise: nil) }
    }

    // MARK: Requests

    private func begin(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        self.head = head
        route = HTTPRoute(head)
        refusal = nil
        body = []
        hasEnd = false
        isComplete = false
        callID += 1
        timeMessage(context)
        // More than an Int holds is too large in any case.
        let length = head.headers.first(name: "content-length").map { Int($0) ?? Int.max } ?? 0
        switch route {
        case .malformed(let resource): return respond(resource, close: true)
        case .refused(let resource): refusal = .resource(resource)
        case .call(let method, _): refusal = host.refusal(of: method, for: terms.peer).map { .fail($0) }
        case .resource: break
        }
        // RFC 9110 section 10.1.1: a client that waits before it sends the body is told to go on, or what is wrong.
        // HTTP/1.0 knows nothing of it.
        let isAsking =
            !head.isHTTP10
            && head.headers["expect"].contains { $0.utf8.asciiLowercased.elementsEqual("100-continue".utf8) }
        let isShort = !head.headers.contains(name: "transfer-encoding") && length <= host.limits.shortBodyBytes
        if let refusal, isAsking || !isShort || length > terms.messageBytes { return refuseAtOnce(refusal) }
        guard length <= terms.messageBytes else { return refuseAtOnce(.fail(.tooLarge(limit: terms.messageBytes))) }
        guard isAsking else { return }
        context.writeAndFlush(wrapOutboundOut(.head(.init(version: .http1_1, status: .continue))), promise: nil)
    }

    private func receive(_ part: ByteBuffer, _ context: ChannelHandlerContext) {
        if isClosing {
            droppedBytes += part.readableBytes
            if droppedBytes > terms.drainBytes { context.close(promise: nil) }
            return
        }
        if refusal != nil { return }
        guard body.count + part.readableBytes <= terms.messageBytes else {
            return refuseAtOnce(.fail(.tooLarge(limit: terms.messageBytes)))
        }
        body.append(contentsOf: part.readableBytesView)
        if lease?.hold(body.count) == false { refuseAtOnce(.fail(.busy)) }
    }

    /// Answers before the request has ended, and ends the connection with it.
    private func refuseAtOnce(_ refusal: CallEvent) {
        body = []
        switch refusal {
        case .fail(let error): respond(error, close: true)
        case .resource(let resource): respond(resource, close: true)
        default: break
        }
    }

    /// A request is answered only once the client took the answers before it, or a client that never reads would have
    /// them pile up here.
    private func routeIfWritable(_ context: ChannelHandlerContext) {
        guard isComplete, context.channel.isWritable else { return }
        isComplete = false
        handOn()
    }

    /// Hands the request on. Every answer comes through the mailbox: one given here would deliver the next pipelined
    /// request from within, as deep as a client cares to send them.
    private func handOn() {
        let post = mailbox.sender(to: self, call: callID)
        if let refusal { return post(refusal, .atOnce) }
        switch route {
        case .call(let method, let more):
            let parameters = body.isEmpty ? Array("{}".utf8) : body
            body = []
            let call = VarlinkCall(
                method: method,
                parameters: parameters,
                more: more,
                peer: terms.peer,
                queue: queue,
                post: post
            )
            guard parameters.count > host.limits.promptBytes else { return HTTPConnection.handle(call, host) }
            queue.add { [host] in HTTPConnection.handle(call, host) }
        case .resource(let path):
            let (service, peer) = (host.service, terms.peer)
            queue.add { post(.resource(service.get(path, peer: peer)), .atOnce) }
        case .refused, .malformed: break
        }
    }

    private static func handle(_ call: VarlinkCall, _ host: ServerHost) {
        guard isObject(call.parameters) else {
            return call.fail(.invalidParameter("body: must be one strict JSON object"))
        }
        host.handle(call)
    }

    private static func isObject(_ text: [UInt8]) -> Bool {
        var reader = JSONReader(text)
        do throws(JSONError) {
            let range = try reader.skip()
            try reader.finish()
            return text[range.lowerBound] == UInt8(ascii: "{")
        } catch {
            return false
        }
    }

    // MARK: Answers

    func take(_ event: CallEvent, for call: UInt64) {
        if case .evicted = event { return giveUpRoom() }
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
        case .resource(let resource): respond(resource)
        case .fail(let error): respond(error)
        case .stream(let next):
            let post = mailbox.sender(to: self, call: call)
            let started = StreamPump(next: next, workers: terms.workers) { post(.step($0), .atOnce) }
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
        case .read, .handedOver, .evicted: break
        }
    }

    /// An HTTP connection has one call at a time, whose answer goes out whole.
    func endBurst() {}

    private func giveUpRoom() {
        guard lease?.hasLostRoom == true else { return }
        // What is all there is being answered.
        if head != nil, !hasEnd, !isClosing { refuseAtOnce(.fail(.busy)) }
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
        case .wait: if peerIsDone, pump?.isWaiting == true { context.close(promise: nil) }
        }
    }

    /// RFC 7464: a record separator, the JSON text, a line feed. To HTTP/1.0 the end of the connection is that of the
    /// body (RFC 9112 section 6.1: no chunks).
    private func writeItem(_ bytes: [UInt8], _ context: ChannelHandlerContext) {
        if !isStreaming {
            isStreaming = true
            let takesChunks = head?.isHTTP10 != true
            var headers = HTTPHeaders([("date", HTTPDate.now), ("content-type", "application/json-seq")])
            if takesChunks { headers.add(name: "transfer-encoding", value: "chunked") }
            if !takesChunks || !keepsAlive { headers.add(name: "connection", value: "close") }
            context.write(wrapOutboundOut(.head(.init(version: .http1_1, status: .ok, headers: headers))), promise: nil)
        }
        context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: [0x1E] + bytes + [0x0A])))), promise: nil)
    }

    private func endStream(_ context: ChannelHandlerContext) {
        isStreaming = false
        endResponse(context, keepAlive: keepsAlive && head?.isHTTP10 != true)
    }

    /// A client that sent all it will, or a protocol we do not switch to, leaves nothing to keep a connection for.
    private var keepsAlive: Bool {
        guard let head, !peerIsDone else { return false }
        return head.isKeepAlive && head.method != .CONNECT && !head.headers.contains(name: "upgrade")
    }

    private func endResponse(_ context: ChannelHandlerContext, keepAlive: Bool) {
        pump = nil
        head = nil
        _ = lease?.hold(0)
        let channel = context.channel
        isTimingMessage = false
        if keepAlive, edge.isWithin {
            timeMessage(context)
        } else if keepAlive {
            deadline.set(terms.idleSeconds, context)
        } else if hasEnd {
            // Nor may it leave the last answer where it is for ever. A request that goes on has its own time.
            deadline.set(terms.partingSeconds, context)
        }
        isClosing = !keepAlive
        let end = context.eventLoop.makePromise(of: Void.self)
        lastWrite = end.futureResult
        if !keepAlive {
            end.futureResult.assumeIsolated().whenComplete { [self] _ in
                isSent = true
                if hasEnd || peerIsDone { return channel.close(promise: nil) }
                deadline.set(HTTPConnection.endingSeconds, context)
                // A client that still sends would see a broken pipe in place of the answer.
                channel.close(mode: .output, promise: nil)
            }
        }
        // This write may deliver the next pipelined request at once: nothing of this one may come after it.
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: end)
    }

    private func respond(_ error: VarlinkError, close: Bool = false) {
        respond(error.httpStatus, "application/json", error.encoded, retryAfter: error.retryAfter, close: close)
    }

    private func respond(_ resource: HTTPResource, close: Bool = false) {
        respond(resource.status, resource.contentType, resource.body, allow: resource.allow, close: close)
    }

    private func respond(
        _ status: Int,
        _ contentType: String,
        _ body: [UInt8],
        allow: String? = nil,
        retryAfter: Int64? = nil,
        close: Bool = false
    ) {
        guard let context else { return }
        let isHead = head?.method == .HEAD
        let keepAlive = !close && keepsAlive
        var headers = HTTPHeaders([
            ("date", HTTPDate.now), ("content-type", contentType), ("content-length", String(body.count)),
        ])
        if let allow { headers.add(name: "allow", value: allow) }
        if let retryAfter { headers.add(name: "retry-after", value: String(retryAfter)) }
        // HTTP/1.0 takes the end of the connection for granted unless it is told otherwise.
        if !keepAlive { headers.add(name: "connection", value: "close") }
        if keepAlive, head?.isHTTP10 == true { headers.add(name: "connection", value: "keep-alive") }
        let head = HTTPResponseHead(version: .http1_1, status: .init(statusCode: status), headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if !isHead { context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: body)))), promise: nil) }
        endResponse(context, keepAlive: keepAlive)
    }
}
