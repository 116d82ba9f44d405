import JSON
import NIOCore

/// The native skin: NUL-terminated JSON messages, answered in the order they came (UAPI.20 Varlink).
///
/// Who may call what is decided from the method's name as soon as that is there. Long messages are read by workers, so
/// that those of other connections don't wait for them.
final class VarlinkConnection: ChannelInboundHandler, RemovableChannelHandler, CallOwner {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// A message, and how long it was.
    private typealias Sized = (message: CallMessage, bytes: Int)

    /// How much more than a message may hold is read of one that is refused, in bytes.
    private static let drainedBeyond = 8 << 20
    /// Bytes of messages taken before other connections have their turn.
    private static let turnBytes = 16 << 10
    /// How long a client that was refused may take to go.
    private static let endingSeconds: Int64 = 2
    private let host: ServerHost
    private let terms: ConnectionTerms
    private let mailbox: Mailbox
    private var context: ChannelHandlerContext?
    private let queue: CallQueue
    private var framer: MessageFramer
    private var lease: InputLease?
    /// Whether there was no room for what came; nothing is read until calls under way are answered.
    private var lacksRoom = false
    /// Whether the method of the long message at the front was looked for.
    private var isFrontChecked = false
    private var answers = AnswerQueue()
    /// The length of a message that a worker reads or hands over; nothing after it is taken until it is done.
    private var handedOff: Int?
    /// A call with `more` or `upgrade` that waits for the calls before it, or runs; nothing after it is read until it ends.
    private var waiting: Sized?
    private var streaming: (id: UInt64, pump: StreamPump?)?
    /// The place of the body, where that call is one with `upgrade`.
    private var place: BodyPlace?
    private var deadline = ConnectionDeadline()
    /// Whether `deadline` is that of the message in `framer`, which more bytes of it do not put off.
    private var isTimingMessage = false
    /// Whether others of the loop have their turn before what is there already is taken.
    private var isYielding = false
    private var peerIsDone = false
    /// Whether the client was refused: what it sends is dropped, and the connection closed once all is answered.
    private var isEnding = false
    private var droppedBytes = 0
    /// Whether all it will ever be told is on its way.
    private var isSaid = false
    /// Whether that has been sent.
    private var isSent = false
    var isInBurst = false
    /// Bytes of answers taken from workers and not yet reported back to `queue`.
    private var answeredBytes = 0

    init(host: ServerHost, terms: ConnectionTerms, mailbox: Mailbox) {
        self.host = host
        self.terms = terms
        self.mailbox = mailbox
        framer = MessageFramer(limit: terms.messageBytes)
        queue = CallQueue(workers: terms.workers, mailbox: mailbox)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        let post = mailbox.sender(to: self, call: 0)
        lease = InputLease(host.budget, terms.share) { post(.evicted, .atOnce) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        deadline.cancel()
        (streaming, place) = (nil, nil)
        lease = nil
        queue.close()
        self.context = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        if isEnding { return drop(bytes.readableBytes, context) }
        framer.append(&bytes)
        process(context)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        context.flush()
        readOn(context)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        queue.sent(0, isWritable: context.channel.isWritable)
        if context.channel.isWritable { proceed(context) }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed = event {
            peerIsDone = true
            closeIfDone(context)
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        streaming = nil
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    // MARK: Messages in

    private var isPaused: Bool {
        waiting != nil || streaming != nil || handedOff != nil || isYielding || answers.count >= host.limits.inFlight
            || context?.channel.isWritable == false
    }

    private func process(_ context: ChannelHandlerContext) {
        var hasNewMessage = false
        var turn = 0
        taking: while !isPaused, !isEnding {
            switch framer.next() {
            case .incomplete:
                if framer.count > host.limits.promptBytes { check(framer.front, context) }
                break taking
            case .tooLong:
                check(framer.front, context)
                refuse(.tooLarge(limit: terms.messageBytes), context)
            case .message(let message):
                hasNewMessage = true
                turn += message.readableBytes
                take(message, context)
                if turn > VarlinkConnection.turnBytes { yield(context) }
            }
        }
        // Once for all messages of a burst: each time what is left is moved.
        if hasNewMessage { framer.compact() }
        makeRoom(context)
        watchTheClock(context, hasNewMessage: hasNewMessage)
    }

    /// Goes on once the loop has looked after its other connections.
    private func yield(_ context: ChannelHandlerContext) {
        isYielding = true
        context.eventLoop.assumeIsolated().execute { [self] in
            isYielding = false
            guard let context = self.context else { return }
            proceed(context)
            context.flush()
        }
    }

    private func take(_ message: ByteBuffer, _ context: ChannelHandlerContext) {
        let bytes = message.readableBytes
        guard bytes > host.limits.promptBytes else {
            return accept(CallMessage(Array(message.readableBytesView)), bytes, context)
        }
        check(message, context)
        isFrontChecked = false
        if isEnding { return }
        handOff(bytes) { CallEvent.read(CallMessage(Array(message.readableBytesView))) }
    }

    /// Has a worker do something with a message; nothing after it is taken before.
    private func handOff(_ bytes: Int, _ work: @escaping @Sendable () -> CallEvent) {
        handedOff = bytes
        let post = mailbox.sender(to: self, call: 0)
        terms.workers { post(work(), .atOnce) }
    }

    private func accept(_ message: CallMessage?, _ bytes: Int, _ context: ChannelHandlerContext) {
        guard let message else { return refuse(.invalidParameter("message"), context) }
        if message.more || message.upgrade {
            waiting = (message, bytes)
            startWaiting(context)
        } else {
            dispatch((message, bytes))
        }
    }

    /// Refuses a long message for its method alone, whether it has ended or not, where that can be told. It may have been
    /// sent to get no answer, so the connection ends with it.
    private func check(_ message: ByteBuffer, _ context: ChannelHandlerContext) {
        if isFrontChecked { return }
        isFrontChecked = true
        let refusal = host.refusal(ofBeginning: message.readableBytesView, terms)
        if let refusal { refuse(refusal, context) }
    }

    /// Asks for the room of what is held. Where there is none, calls under way are waited for; without any the message
    /// is refused.
    private func makeRoom(_ context: ChannelHandlerContext) {
        guard !isEnding, let lease else { return }
        let held = answers.bytes + framer.count + (waiting?.bytes ?? 0) + (handedOff ?? 0)
        lacksRoom = !lease.hold(held)
        if lacksRoom, answers.isEmpty, waiting == nil, handedOff == nil, streaming == nil { refuse(.busy, context) }
    }

    /// A message that has begun must end in time; a silent connection may be closed.
    private func watchTheClock(_ context: ChannelHandlerContext, hasNewMessage: Bool) {
        if isEnding { return }
        let hasBegun = framer.count > 0 && !isPaused
        if hasBegun, isTimingMessage, !hasNewMessage { return }
        isTimingMessage = hasBegun
        let isIdle =
            framer.count == 0 && answers.isEmpty && streaming == nil && waiting == nil && handedOff == nil
        deadline.set(hasBegun ? terms.messageSeconds : isIdle ? terms.idleSeconds : 0, context)
    }

    private func dispatch(_ sized: Sized) {
        let message = sized.message
        let id = answers.open(isOneway: message.oneway, bytes: sized.bytes)
        let call = VarlinkCall(
            method: message.method,
            parameters: message.parameters,
            more: message.more,
            upgrade: message.upgrade,
            peer: terms.peer,
            queue: queue,
            post: mailbox.sender(to: self, call: id)
        )
        if message.more || message.upgrade { streaming = (id, nil) }
        if message.upgrade, host.refusal(of: message.method, upgrade: true, for: terms.peer) == nil {
            place = host.bodies.admit(terms.share)
            if place == nil { return call.fail(terms.share.isStrangers ? .permissionDenied : .busy) }
        }
        if message.parameters.count > host.limits.promptBytes {
            handOff(0) { [host] in
                host.handle(call)
                return .handedOver
            }
        } else {
            host.handle(call)
        }
    }

    private func startWaiting(_ context: ChannelHandlerContext) {
        guard answers.isEmpty, let sized = waiting else { return }
        waiting = nil
        dispatch(sized)
    }

    // MARK: Answers out

    func take(_ event: CallEvent, for call: UInt64) {
        guard let context else { return event.discard(terms.workers) }
        switch event {
        case .reply(let parameters):
            finish(call, ReplyMessage.encode(parameters))
            answeredBytes += parameters.count
        case .encode(let parameters):
            do throws(VarlinkError) {
                finish(call, ReplyMessage.encode(try parameters()))
            } catch {
                finish(call, ReplyMessage.encode(error))
            }
        case .fail(let error): finish(call, ReplyMessage.encode(error))
        case .stream(let next):
            guard streaming?.id == call else { return }
            let post = mailbox.sender(to: self, call: call)
            streaming = (call, StreamPump(next: next, workers: terms.workers) { post(.step($0), .atOnce) })
        case .step(let step):
            guard streaming?.id == call else { return }
            streaming?.pump?.took(step)
            switch step {
            case .item(let parameters):
                let reply = ByteBuffer(bytes: ReplyMessage.encode(parameters, continues: true))
                context.write(wrapOutboundOut(reply), promise: nil)
            case .last(let parameters): finish(call, ReplyMessage.encode(parameters))
            case .failed(let error): finish(call, ReplyMessage.encode(error))
            case .wait: break
            }
        case .wake:
            guard streaming?.id == call else { return }
            streaming?.pump?.wake()
        case .upgrade(let reply, let body): return upgrade(call, reply, body, context)
        case .resource, .body: return event.discard(terms.workers)
        case .read(let message):
            guard let bytes = handedOff else { return }
            handedOff = nil
            if !isEnding { accept(message, bytes, context) }
        case .handedOver: handedOff = nil
        case .evicted: return giveUpRoom(context)
        }
        proceed(context)
    }

    func endBurst() {
        guard let context else { return }
        context.flush()
        if answeredBytes > 0 {
            queue.sent(answeredBytes, isWritable: context.channel.isWritable)
            answeredBytes = 0
        }
    }

    private func finish(_ call: UInt64, _ answer: [UInt8]) {
        if streaming?.id == call { (streaming, place) = (nil, nil) }
        answers.fill(call, answer)
    }

    /// Replies and leaves the connection to a body. Until the reply nothing may come: it could be another call as well
    /// as the beginning of the body.
    private func upgrade(_ call: UInt64, _ reply: [UInt8], _ body: UpgradeBody, _ context: ChannelHandlerContext) {
        guard streaming?.id == call, let place, !isEnding else { return body.discard(terms.workers) }
        if framer.count > 0 || UnreadBytes.areThere(terms.descriptor) {
            body.discard(terms.workers)
            finish(call, ReplyMessage.encode(.invalidParameter("upgrade: nothing may follow before the reply")))
            return refuse(nil, context)
        }
        finish(call, ReplyMessage.encode(reply))
        writeAnswers(context)
        context.flush()
        body.takeOver(context, place, host, terms, mailbox, peerIsDone: peerIsDone)
    }

    /// Writes the answers whose turn it is.
    private func writeAnswers(_ context: ChannelHandlerContext) {
        while let answer = answers.next() {
            if !answer.isEmpty { context.write(wrapOutboundOut(ByteBuffer(bytes: answer)), promise: nil) }
        }
    }

    /// Writes the answers whose turn it is and goes on with what was held back.
    private func proceed(_ context: ChannelHandlerContext) {
        writeAnswers(context)
        if isEnding { return endIfAnswered(context) }
        startWaiting(context)
        if let pump = streaming?.pump, context.channel.isWritable { pump.pull() }
        process(context)
        closeIfDone(context)
        readOn(context)
    }

    private func readOn(_ context: ChannelHandlerContext) {
        if isEnding || !isPaused && !lacksRoom { context.read() }
    }

    /// A client that closed its side still gets the answers it waits for, but a stream with nothing to say ends.
    private func closeIfDone(_ context: ChannelHandlerContext) {
        guard peerIsDone else { return }
        if isSent { return context.close(promise: nil) }
        // What was read while the client did not read answers is still to be handled.
        let isHolding = waiting != nil || handedOff != nil || isYielding
        let isAnswered = answers.isEmpty && !isHolding
        if isAnswered { deadline.set(terms.partingSeconds, context) }
        guard isAnswered && context.channel.isWritable || streaming?.pump?.isWaiting == true else { return }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer())).whenComplete { [channel = context.channel] _ in
            channel.close(promise: nil)
        }
    }

    // MARK: The end of who was refused

    /// Answers what can't be taken, after the calls before it, and ends the connection. Until then what comes is read
    /// and dropped, for a client that still sends would never see the answer.
    ///
    /// - Parameter error: nil where the last call is answered already.
    private func refuse(_ error: VarlinkError?, _ context: ChannelHandlerContext) {
        if isEnding { return }
        isEnding = true
        droppedBytes = framer.count
        framer.clear()
        waiting = nil
        _ = lease?.hold(0)
        if let error { answers.fill(answers.open(isOneway: false, bytes: 0), ReplyMessage.encode(error)) }
        deadline.set(terms.messageSeconds, context)
        writeAnswers(context)
        endIfAnswered(context)
    }

    private func giveUpRoom(_ context: ChannelHandlerContext) {
        guard lease?.hasLostRoom == true else { return }
        // A stream may last for ever, and its end would be waited for.
        if streaming != nil { return context.close(promise: nil) }
        refuse(.busy, context)
    }

    private func drop(_ bytes: Int, _ context: ChannelHandlerContext) {
        droppedBytes += bytes
        if droppedBytes > min(terms.drainBytes, terms.messageBytes + VarlinkConnection.drainedBeyond) {
            context.close(promise: nil)
        }
    }

    private func endIfAnswered(_ context: ChannelHandlerContext) {
        guard answers.isEmpty, !isSaid else { return }
        isSaid = true
        context.read()
        context.writeAndFlush(wrapOutboundOut(ByteBuffer())).assumeIsolated().whenComplete { [self] _ in
            isSent = true
            if peerIsDone { return context.close(promise: nil) }
            deadline.set(VarlinkConnection.endingSeconds, context)
            // The client sees the end behind the answer, and may take its time to send the rest.
            context.close(mode: .output, promise: nil)
        }
    }
}
