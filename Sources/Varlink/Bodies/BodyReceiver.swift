import NIOCore

/// A body that a connection receives. It belongs to the event loop of the connection, which must `cut` it where not all
/// comes.
final class BodyReceiver {
    private let intake: BodyIntake
    private let watch: PaceWatch

    /// - Parameters:
    ///   - post: takes what the workers have to say, on any thread.
    ///   - tooSlow: called on the loop where the client does not move on; the body is not cut yet.
    init(
        _ sink: any ByteSink,
        _ place: BodyPlace,
        _ terms: ConnectionTerms,
        _ limits: VarlinkLimits,
        _ loop: any EventLoop,
        post: @escaping @Sendable (BodyEvent) -> Void,
        tooSlow: @escaping () -> Void
    ) {
        let intake = BodyIntake(sink, place, workers: terms.bodyWorkers, post: post)
        self.intake = intake
        watch = PaceWatch(limits, loop, isAwaited: { intake.isHungry }, tooSlow: tooSlow)
    }

    /// Whether more may be read; where not, `.room` comes when it may.
    var hasRoom: Bool { intake.hasRoom() }

    func receive(_ part: ByteBuffer) {
        watch.move(part.readableBytes)
        intake.add(part)
    }

    /// Says that all is there.
    func end() {
        watch.stop()
        intake.end()
    }

    /// Says that no more comes. Without effect where all was there.
    func cut() {
        watch.stop()
        intake.cut()
    }
}
