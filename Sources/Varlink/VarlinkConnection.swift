import DequeModule
import JSON
import NIOCore

/// The native skin: NUL-terminated JSON messages, answered in the order they came (UAPI.20 Varlink).
final class VarlinkConnection: ChannelInboundHandler, CallOwner {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// A call that was handed out; its answer is kept until those before it are written.
    private struct Slot {
        let id: UInt64
        let isOneway: Bool
        var answer: [UInt8]?
    }

    private let host: ServerHost
    private let peer: PeerCredentials
    private let mailbox: Mailbox
    private var context: ChannelHandlerContext?
    private let queue: CallQueue
    private var pending = ByteBuffer()
    /// How much of `pending` was searched for a NUL before.
    private var searched = 0
    private var slots: Deque<Slot> = []
    private var nextID: UInt64 = 0
    /// A `more` call that waits for the calls before it, or runs; nothing after it is read until it ends.
    private var waiting: Message?
    private var streaming: (id: UInt64, pump: StreamPump?)?
    private var deadline: Scheduled<Void>?
    /// Whether `deadline` is that of the message in `pending`, which more bytes of it do not put off.
    private var isTimingMessage = false
    private var peerIsDone = false
    var isInBurst = false
    /// Bytes of answers taken from workers and not yet reported back to `queue`.
    private var answeredBytes = 0

    init(host: ServerHost, peer: PeerCredentials, mailbox: Mailbox) {
        self.host = host
        self.peer = peer
        self.mailbox = mailbox
        queue = CallQueue(workers: host.workers, mailbox: mailbox)
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) {
        deadline?.cancel()
        streaming = nil
        queue.close()
        self.context = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        pending.writeBuffer(&bytes)
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

    private struct Message {
        var method: String
        var parameters: [UInt8] = Array("{}".utf8)
        var more = false
        var oneway = false
        var upgrade = false
    }

    private var isPaused: Bool {
        waiting != nil || streaming != nil || slots.count >= host.limits.inFlight
            || context?.channel.isWritable == false
    }

    private func process(_ context: ChannelHandlerContext) {
        var hasNewMessage = false
        while !isPaused {
            let start = pending.readerIndex
            let view = pending.viewBytes(at: start + searched, length: pending.readableBytes - searched)
            guard let view, let end = view.firstIndex(of: 0) else {
                searched = pending.readableBytes
                if searched > host.limits.messageBytes { return context.close(promise: nil) }
                break
            }
            let length = end - start
            searched = 0
            hasNewMessage = true
            guard length <= host.limits.messageBytes, let bytes = pending.readBytes(length: length),
                let message = VarlinkConnection.parse(bytes)
            else { return context.close(promise: nil) }
            pending.moveReaderIndex(forwardBy: 1)
            if message.more {
                waiting = message
                startWaiting(context)
            } else {
                dispatch(message, context)
            }
        }
        // Once for all messages of a burst: each time what is left is moved.
        if hasNewMessage { pending.discardReadBytes() }
        watchTheClock(context, hasNewMessage: hasNewMessage)
    }

    /// A message that has begun must end in time; a silent connection may be closed.
    private func watchTheClock(_ context: ChannelHandlerContext, hasNewMessage: Bool) {
        let hasBegun = pending.readableBytes > 0 && !isPaused
        if hasBegun, isTimingMessage, !hasNewMessage { return }
        deadline?.cancel()
        deadline = nil
        isTimingMessage = hasBegun
        let isIdle = pending.readableBytes == 0 && slots.isEmpty && streaming == nil && waiting == nil
        let seconds = hasBegun ? host.limits.messageSeconds : isIdle ? host.limits.idleSeconds : 0
        guard seconds > 0 else { return }
        let channel = context.channel
        deadline = context.eventLoop.scheduleTask(in: .seconds(seconds)) { channel.close(promise: nil) }
    }

    private static func parse(_ bytes: [UInt8]) -> Message? {
        var method: String?
        var message = Message(method: "")
        var reader = JSONReader(bytes)
        do throws(JSONError) {
            try reader.object { (name, reader) throws(JSONError) in
                switch name {
                case "method": method = try reader.string()
                case "parameters":
                    let range = try reader.skip()
                    if bytes[range].first == UInt8(ascii: "{") {
                        message.parameters = Array(bytes[range])
                    } else if !bytes[range].elementsEqual("null".utf8) {
                        throw JSONError(.wrongType, at: range.lowerBound)
                    }
                case "more": message.more = try reader.bool()
                case "oneway": message.oneway = try reader.bool()
                case "upgrade": message.upgrade = try reader.bool()
                default: throw JSONError(.unexpectedByte, at: reader.position)
                }
            }
            try reader.finish()
        } catch {
            return nil
        }
        guard let method, [message.more, message.oneway, message.upgrade].count(where: { $0 }) <= 1 else { return nil }
        message.method = method
        return message
    }

    private func dispatch(_ message: Message, _ context: ChannelHandlerContext) {
        nextID += 1
        slots.append(Slot(id: nextID, isOneway: message.oneway))
        let call = VarlinkCall(
            method: message.method,
            parameters: message.parameters,
            more: message.more,
            peer: peer,
            queue: queue,
            post: mailbox.sender(to: self, call: nextID)
        )
        if message.more { streaming = (nextID, nil) }
        if message.upgrade {
            call.fail(.methodNotImplemented(message.method))
        } else {
            host.handle(call)
        }
    }

    private func startWaiting(_ context: ChannelHandlerContext) {
        guard slots.isEmpty, let message = waiting else { return }
        waiting = nil
        dispatch(message, context)
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
            streaming = (call, StreamPump(next: next, workers: host.workers) { post(.step($0), .atOnce) })
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
        guard let first = slots.first, call >= first.id, call - first.id < slots.count else { return }
        slots[Int(call - first.id)].answer = answer
    }

    /// Writes the answers whose turn it is and goes on with what was held back.
    private func proceed(_ context: ChannelHandlerContext) {
        while let slot = slots.first, let answer = slot.answer {
            slots.removeFirst()
            if !slot.isOneway { write(answer, context) }
        }
        startWaiting(context)
        if let pump = streaming?.pump, context.channel.isWritable { pump.pull() }
        process(context)
        closeIfDone(context)
        readOn(context)
    }

    private func readOn(_ context: ChannelHandlerContext) {
        if !isPaused { context.read() }
    }

    /// A client that closed its side still gets the answers it waits for, but a stream with nothing to say ends.
    private func closeIfDone(_ context: ChannelHandlerContext) {
        // What was read while the client did not read answers is still to be handled.
        let isIdle = slots.isEmpty && waiting == nil && context.channel.isWritable
        guard peerIsDone, isIdle || streaming?.pump?.isWaiting == true else { return }
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
}
