import DequeModule
import NIOCore
import Synchronization

/// Carries a body from the event loop of its connection to its sink on the workers, piece by piece.
final class BodyIntake: OpenBody {
    private struct State {
        var pieces: Deque<ByteBuffer> = []
        /// Whether the last piece is made here, of small ones, and may grow.
        var isLastOwn = false
        /// Bytes that wait or are being taken.
        var bytes = 0
        var isRunning = false
        var isWhole = false
        var isCut = false
        /// Whether `finish` or `abandon` was called, or is being.
        var isOver = false
        /// Whether the connection waits for room.
        var isRoomAwaited = false

        /// Whether a worker has to be asked for.
        mutating func start() -> Bool {
            guard !isRunning, !isOver, isCut || isWhole || !pieces.isEmpty else { return false }
            isRunning = true
            return true
        }

        mutating func next() -> Step {
            if !isOver, isCut {
                isOver = true
                return .abandon
            }
            if !isOver, let piece = pieces.popFirst() {
                isLastOwn = isLastOwn && !pieces.isEmpty
                return .take(piece)
            }
            if !isOver, isWhole {
                isOver = true
                return .finish
            }
            isRunning = false
            return .rest
        }
    }

    private enum Step {
        case take(ByteBuffer), finish, abandon, rest
    }

    /// With so many bytes waiting no more are read.
    static let roomBytes = 256 << 10
    /// What a worker takes before others have their turn, in bytes.
    private static let turnBytes = 256 << 10
    /// Smaller pieces are copied together: each would hold the memory of all it was read with.
    private static let smallBytes = 16 << 10
    private let sink: any ByteSink
    private let place: BodyPlace
    private let workers: Workers
    private let post: @Sendable (BodyEvent) -> Void
    private let state = Mutex(State())

    init(
        _ sink: any ByteSink,
        _ place: BodyPlace,
        workers: @escaping Workers,
        post: @escaping @Sendable (BodyEvent) -> Void
    ) {
        self.sink = sink
        self.place = place
        self.workers = workers
        self.post = post
        place.hold(self)
    }

    /// Whether more may be read; where not, `.room` is posted when it may.
    func hasRoom() -> Bool {
        state.withLock { state in
            state.isRoomAwaited = state.bytes >= BodyIntake.roomBytes && !state.isOver
            return !state.isRoomAwaited
        }
    }

    /// Whether the sink has all there is, and waits for more.
    var isHungry: Bool { state.withLock { $0.bytes == 0 && !$0.isOver && !$0.isWhole } }

    func add(_ piece: ByteBuffer) {
        guard piece.readableBytes > 0 else { return }
        update { state in
            if state.isOver || state.isCut { return }
            state.bytes += piece.readableBytes
            guard piece.readableBytes < BodyIntake.smallBytes else {
                state.pieces.append(piece)
                state.isLastOwn = false
                return
            }
            let last = state.pieces.count - 1
            if state.isLastOwn, last >= 0, state.pieces[last].readableBytes < BodyIntake.smallBytes {
                state.pieces[last].writeImmutableBuffer(piece)
            } else {
                state.pieces.append(ByteBuffer(bytes: piece.readableBytesView))
                state.isLastOwn = true
            }
        }
    }

    /// Says that all is there.
    func end() { update { $0.isWhole = true } }

    /// Says that no more comes, and not all was there.
    func cut() {
        update { state in
            if state.isOver || state.isWhole { return }
            state.isCut = true
            state.pieces = []
        }
    }

    func abandonNow() {
        let isFirst = state.withLock { state in
            defer { state.isOver = true }
            return !state.isOver
        }
        if isFirst { abandon() }
    }

    private func update(_ change: (inout State) -> Void) {
        let mustStart = state.withLock { state in
            change(&state)
            return state.start()
        }
        if mustStart { submit() }
    }

    private func submit() { workers { [self] in run() } }

    private func run() {
        var taken = 0
        while taken < BodyIntake.turnBytes {
            switch state.withLock({ $0.next() }) {
            case .take(let piece):
                taken += piece.readableBytes
                take(piece)
            case .finish: finish()
            case .abandon: abandon()
            case .rest: return
            }
        }
        submit()
    }

    private func take(_ piece: ByteBuffer) {
        let refusal = piece.withUnsafeReadableBytes { bytes -> VarlinkError? in
            do throws(VarlinkError) {
                try sink.take(bytes)
                return nil
            } catch {
                return error
            }
        }
        if let refusal {
            let isFirst = state.withLock { state in
                state.pieces = []
                defer { state.isOver = true }
                return !state.isOver
            }
            if isFirst { abandon() }
            return post(.failed(refusal))
        }
        let hasRoom = state.withLock { state in
            state.bytes -= piece.readableBytes
            guard state.isRoomAwaited, state.bytes < BodyIntake.roomBytes else { return false }
            state.isRoomAwaited = false
            return true
        }
        if hasRoom { post(.room) }
    }

    private func finish() {
        place.beginFinishing()
        let once = OnceFlag()
        sink.finish { [place, post] result in
            guard once.raise() else { return }
            // Before the answer, which may bring the next body.
            place.release()
            post(.answered(result))
        }
    }

    private func abandon() {
        sink.abandon()
        place.release()
    }
}

/// Raised once.
private final class OnceFlag: Sendable {
    private let isUp = Atomic<Bool>(false)

    /// Whether this call raised it.
    func raise() -> Bool { !isUp.exchange(true, ordering: .acquiringAndReleasing) }
}
