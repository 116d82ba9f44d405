import JSON
import NIOCore

/// The native skin: NUL-terminated JSON messages, answered in the order they came (UAPI.20 Varlink).
///
/// Who may call what is decided from the method's name as soon as that is there. Long messages are read by workers, so
/// that those of other connections don't wait for them.
final class VarlinkConnection: ChannelInboundHandler, CallOwner {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// A message, and how long it was.
    private typealias Sized = (message: CallMessage, bytes: Int)

    /// In how much of a long message its method is looked for, in bytes.
    private static let beginningBytes = 4 << 10
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
    /// A `more` call that waits for the calls before it, or runs; nothing after it is read until it ends.
    private var waiting: Sized?
    private var streaming: (id: UInt64, pump: StreamPump?)?
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
        streaming = nil
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
        if message.more {
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
        // As much as is there in any case, so that the answer does not depend on how the message comes.
        let length = min(VarlinkConnection.beginningBytes, host.limits.promptBytes, terms.messageBytes)
        let beginning = Array(message.readableBytesView.prefix(length))
        guard let method = CallMessage.method(beginning: beginning),
            let refusal = host.refusal(of: method, for: terms.peer)
        else { return }
        refuse(refusal, context)
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
            peer: terms.peer,
            queue: queue,
            post: mailbox.sender(to: self, call: id)
        )
        if message.more { streaming = (id, nil) }
        if message.upgrade {
            call.fail(.methodNotImplemented(message.method))
        } else if message.parameters.count > host.limits.promptBytes {
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
        guard let context else { return }
        switch event {
        case .reply(let parameters):
            finish(call, VarlinkConnection.reply(parameters, continues: false))
            answeredBytes += parameters.count
        case .encode(let parameters):
            do throws(VarlinkError) {
                finish(call, VarlinkConnection.reply(try parameters(), continues: false))
            } catch {
                finish(call, error.encoded + [0])
            }
        case .fail(let error): finish(call, error.encoded + [0])
        case .stream(let next):
            guard streaming?.id == call else { return }
            let post = mailbox.sender(to: self, call: call)
            streaming = (call, StreamPump(next: next, workers: terms.workers) { post(.step($0), .atOnce) })
        case .step(let step):
            guard streaming?.id == call else { return }
            streaming?.pump?.took(step)
            switch step {
            case .item(let parameters): write(VarlinkConnection.reply(parameters, continues: true), context)
            case .last(let parameters): finish(call, VarlinkConnection.reply(parameters, continues: false))
            case .failed(let error): finish(call, error.encoded + [0])
            case .wait: break
            }
        case .wake:
            guard streaming?.id == call else { return }
            streaming?.pump?.wake()
        case .resource: return
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
        if streaming?.id == call { streaming = nil }
        answers.fill(call, answer)
    }

    /// Writes the answers whose turn it is.
    private func writeAnswers(_ context: ChannelHandlerContext) {
        while let answer = answers.next() {
            if !answer.isEmpty { write(answer, context) }
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

    private func write(_ bytes: [UInt8], _ context: ChannelHandlerContext) {
        context.write(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil)
    }

    private static func reply(_ parameters: [UInt8], continues: Bool) -> [UInt8] {
        Array((continues ? "{\"continues\":true,\"parameters\":" : "{\"parameters\":").utf8) + parameters
            + [UInt8(ascii: "}"), 0]
    }

    // MARK: The end of who was refused

    /// Answers what can't be taken, after the calls before it, and ends the connection. Until then what comes is read
    /// and dropped, for a client that still sends would never see the answer.
    private func refuse(_ error: VarlinkError, _ context: ChannelHandlerContext) {
        if isEnding { return }
        isEnding = true
        droppedBytes = framer.count
        framer.clear()
        waiting = nil
        _ = lease?.hold(0)
        answers.fill(answers.open(isOneway: false, bytes: 0), error.encoded + [0])
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
