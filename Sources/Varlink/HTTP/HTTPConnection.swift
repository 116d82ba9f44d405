import NIOCore
import NIOHTTP1

/// The HTTP skin: `POST /call/METHOD` with bare parameters (the Varlink HTTP binding of UAPI.20), read-only GETs, and PUTs
/// of bodies of any length.
///
/// Who may call or put what is decided from the head; the body of a call that is refused is not kept, and that of a PUT
/// never is.
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
    private var route = HTTPRoute.resource("", query: nil)
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
    private let bodies: HTTPBodies
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
        bodies = HTTPBodies(host, terms)
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
        bodies.cut()
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
            if bodies.end() { return }
            isComplete = true
            routeIfWritable(context)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        context.flush()
        // The beginning of a head is seen by its bytes alone.
        if head == nil, !isClosing, edge.isWithin { timeMessage(context) }
        readOn(context)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        guard context.channel.isWritable else { return }
        pump?.pull()
        routeIfWritable(context)
        readOn(context)
    }

    /// Reads more where the answers are taken, and what is there of a body.
    private func readOn(_ context: ChannelHandlerContext) {
        if isClosing || context.channel.isWritable && bodies.hasRoom { context.read() }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case ChannelEvent.inputClosed = event else { return context.fireUserInboundEventTriggered(event) }
        peerIsDone = true
        if !hasEnd, bodies.isReceiving { bodies.cut() }
        guard head == nil || !hasEnd || pump?.isWaiting == true else { return }
        guard let lastWrite else { return context.close(promise: nil) }
        deadline.set(terms.partingSeconds, context)
        lastWrite.whenComplete { [channel = context.channel] _ in channel.close(promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    /// Has a request that has begun end in time.
    private func timeMessage(_ context: ChannelHandlerContext) {
        if isTimingMessage { return }
        isTimingMessage = true
        deadline.set(terms.messageSeconds, context)
    }

    // MARK: Requests

    private func begin(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        self.head = head
        route = HTTPRoute(head, takesBody: host.service.takesBody)
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
        case .upload(let request): return beginUpload(request, head, context)
        case .resource: break
        }
        let isShort = !head.headers.contains(name: "transfer-encoding") && length <= host.limits.shortBodyBytes
        if let refusal, head.isAsking || !isShort || length > terms.messageBytes { return refuseAtOnce(refusal) }
        guard length <= terms.messageBytes else { return refuseAtOnce(.fail(.tooLarge(limit: terms.messageBytes))) }
        if head.isAsking { tellToGoOn(context) }
    }

    private func tellToGoOn(_ context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(.head(.init(version: .http1_1, status: .continue))), promise: nil)
    }

    /// Has the body of a PUT received, or refuses it at once.
    private func beginUpload(_ request: BodyRequest, _ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        let refusal = bodies.receive(request, context.eventLoop, post: bodyPost) { [unowned self] in
            respond(.tooSlow, close: true)
        }
        if let refusal { return respond(refusal, close: true) }
        // A body takes what time it takes, if it but moves on.
        deadline.cancel()
        if head.isAsking { tellToGoOn(context) }
    }

    private var bodyPost: @Sendable (BodyEvent) -> Void { mailbox.bodySender(to: self, call: callID) }

    private func receive(_ part: ByteBuffer, _ context: ChannelHandlerContext) {
        if isClosing {
            droppedBytes += part.readableBytes
            if droppedBytes > terms.drainBytes { context.close(promise: nil) }
            return
        }
        if refusal != nil || bodies.take(part) { return }
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
            guard parameters.count > host.limits.promptBytes else { return host.handleRequest(call) }
            queue.add { [host] in host.handleRequest(call) }
        case .resource(let path, let query):
            let isHead = head?.method == .HEAD
            queue.add { [host, terms] in post(host.resource(path, query, isHead: isHead, terms), .atOnce) }
        case .upload, .refused, .malformed: break
        }
    }

    // MARK: Answers

    func take(_ event: CallEvent, for call: UInt64) {
        if case .evicted = event { return giveUpRoom() }
        guard let context, call == callID, head != nil else { return event.discard(terms.workers) }
        switch event {
        case .reply(let bytes):
            respond(bytes)
            queue.sent(bytes.count, isWritable: true)
        case .encode(let make):
            do throws(VarlinkError) {
                respond(try make())
            } catch {
                respond(error)
            }
        case .resource(let resource): respond(resource)
        case .body(let event): take(event, context)
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
        case .upgrade, .read, .handedOver, .evicted: event.discard(terms.workers)
        }
    }

    private func take(_ event: BodyEvent, _ context: ChannelHandlerContext) {
        switch event {
        case .room: readOn(context)
        case .answered(.success(let bytes)): respond(bytes)
        case .answered(.failure(let error)): respond(error)
        // Of a body that has not ended no more is wanted; an answer that has begun can't be taken back.
        case .failed where bodies.hasBegunToSend: context.close(promise: nil)
        case .failed(let error): respond(error, close: !hasEnd)
        case .piece(let piece, let isLast): send(piece, isLast: isLast, context)
        }
    }

    private func send(_ piece: ByteBuffer, isLast: Bool, _ context: ChannelHandlerContext) {
        if let first = bodies.takeHead() { writeHead(first, keepAlive: keepsAlive, context) }
        let sent = context.eventLoop.makePromise(of: Void.self)
        bodies.sends(piece, isLast: isLast, sent)
        context.writeAndFlush(wrapOutboundOut(.body(.byteBuffer(piece))), promise: sent)
        if isLast { endResponse(context, keepAlive: keepsAlive) }
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

    /// RFC 7464: a record separator, the JSON text, a line feed.
    private func writeItem(_ bytes: [UInt8], _ context: ChannelHandlerContext) {
        if !isStreaming {
            isStreaming = true
            let begin = HTTPAnswerHead.sequence(keepsAlive: keepsAlive, isHTTP10: head?.isHTTP10 == true)
            context.write(wrapOutboundOut(.head(begin)), promise: nil)
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
        bodies.cut()
        head = nil
        _ = lease?.hold(0)
        isTimingMessage = false
        if keepAlive, edge.isWithin {
            timeMessage(context)
        } else if keepAlive {
            deadline.set(terms.idleSeconds, context)
        } else {
            // Nor may it leave the last answer where it is for ever, or go on with its request.
            deadline.set(hasEnd ? terms.partingSeconds : terms.messageSeconds, context)
        }
        isClosing = !keepAlive
        // Where a body has held the client up, it goes on: only who can send on gets to read.
        if isClosing, !hasEnd { context.read() }
        let end = context.eventLoop.makePromise(of: Void.self)
        lastWrite = end.futureResult
        if !keepAlive {
            end.futureResult.assumeIsolated().whenComplete { [self] _ in
                isSent = true
                if hasEnd || peerIsDone { return context.close(promise: nil) }
                deadline.set(HTTPConnection.endingSeconds, context)
                // A client that still sends would see a broken pipe in place of the answer.
                context.close(mode: .output, promise: nil)
            }
        }
        // This write may deliver the next pipelined request at once: nothing of this one may come after it.
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: end)
    }

    private func respond(_ parameters: [UInt8]) {
        respond(HTTPAnswerHead(parameters: parameters), parameters, close: false)
    }

    private func respond(_ error: VarlinkError, close: Bool = false) {
        let body = error.encoded
        respond(HTTPAnswerHead(error, length: body.count), body, close: close)
    }

    private func respond(_ resource: HTTPResource, close: Bool = false) {
        switch resource.body {
        case .bytes(let bytes): respond(HTTPAnswerHead(resource, length: UInt64(bytes.count)), bytes, close: close)
        case .length(let length): respond(HTTPAnswerHead(resource, length: length), [], close: close)
        case .outlet(let outlet):
            guard let context else { return outlet.cut() }
            let head = HTTPAnswerHead(resource, length: outlet.count)
            bodies.send(outlet, head, context.eventLoop, post: bodyPost) { context.close(promise: nil) }
        case .source(let source): source.abandon()
        }
    }

    private func respond(_ answer: HTTPAnswerHead, _ body: [UInt8], close: Bool) {
        guard let context else { return }
        let keepAlive = !close && keepsAlive
        writeHead(answer, keepAlive: keepAlive, context)
        let content = IOData.byteBuffer(ByteBuffer(bytes: body))
        if head?.method != .HEAD { context.write(wrapOutboundOut(.body(content)), promise: nil) }
        endResponse(context, keepAlive: keepAlive)
    }

    private func writeHead(_ answer: HTTPAnswerHead, keepAlive: Bool, _ context: ChannelHandlerContext) {
        let head = answer.head(keepsAlive: keepAlive, isHTTP10: self.head?.isHTTP10 == true)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
    }
}
