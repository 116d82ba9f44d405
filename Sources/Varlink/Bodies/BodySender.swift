import NIOCore

/// A body that a connection sends. It belongs to the event loop of the connection, which must `cut` it where not all is
/// sent.
final class BodySender {
    /// Pieces that may be on their way while the next is made.
    private static let ahead = 2
    private let outlet: BodyOutlet
    private let post: @Sendable (BodyEvent) -> Void
    private var watch: PaceWatch?
    /// Pieces handed to the channel that the client has not taken.
    private var unsent = 0
    private var isPulling = false
    private var hasAll = false

    /// - Parameters:
    ///   - post: takes the pieces, on any thread, and must bring them back to the loop.
    ///   - tooSlow: called on the loop where the client does not take them; the body is not cut yet.
    init(
        _ outlet: BodyOutlet,
        _ limits: VarlinkLimits,
        _ loop: any EventLoop,
        post: @escaping @Sendable (BodyEvent) -> Void,
        tooSlow: @escaping () -> Void
    ) {
        self.outlet = outlet
        self.post = post
        watch = PaceWatch(
            limits,
            loop,
            isAwaited: { [weak self] in self.map { $0.unsent > 0 } ?? false },
            tooSlow: tooSlow
        )
        pull()
    }

    /// Notes a piece that goes to the channel with this promise.
    func sends(_ piece: ByteBuffer, isLast: Bool, _ sent: EventLoopPromise<Void>) {
        isPulling = false
        hasAll = isLast
        unsent += 1
        let bytes = piece.readableBytes
        sent.futureResult.assumeIsolated().whenComplete { [self] _ in
            unsent -= 1
            watch?.move(bytes)
            pull()
        }
        pull()
    }

    /// Says that the rest is not wanted. Without effect where all was made.
    func cut() {
        watch?.stop()
        watch = nil
        hasAll = true
        outlet.cut()
    }

    private func pull() {
        if hasAll, unsent == 0 { watch?.stop() }
        guard !hasAll, !isPulling, unsent < BodySender.ahead else { return }
        isPulling = true
        outlet.pull(post)
    }
}
