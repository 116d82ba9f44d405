import NIOCore

/// When a connection is closed, whatever it does until then; one time at once.
struct ConnectionDeadline {
    private var task: Scheduled<Void>?

    /// Puts another time in the place of the one there is.
    ///
    /// - Parameter seconds: from now; 0 for never.
    mutating func set(_ seconds: Int64, _ context: ChannelHandlerContext) {
        cancel()
        guard seconds > 0 else { return }
        let channel = context.channel
        task = context.eventLoop.scheduleTask(in: .seconds(seconds)) { channel.close(promise: nil) }
    }

    /// Has the connection last as long as it will.
    mutating func cancel() {
        task?.cancel()
        task = nil
    }
}
