import NIOCore
import Synchronization

/// Carries the bytes of a source from the workers to the event loop of a connection, a piece whenever it is asked for one.
final class BodyOutlet: OpenBody {
    private struct State {
        var isRunning = false
        var isWanted = false
        var isCut = false
        /// Whether the end was reached or `abandon` was called, or is being.
        var isOver = false

        mutating func start() -> Bool {
            guard !isRunning, !isOver, isCut || isWanted else { return false }
            isRunning = true
            return true
        }
    }

    private enum Step {
        case make, abandon, rest
    }

    /// Pieces of a source are put together up to so many bytes.
    private static let pieceBytes = 128 << 10
    /// How many bytes there are in all.
    let count: UInt64
    private let source: any ByteSource
    private let place: BodyPlace
    private let workers: Workers
    private let state = Mutex(State())
    private let post = Mutex<(@Sendable (BodyEvent) -> Void)?>(nil)
    /// What was made so far, and room for a piece. Only the worker whose turn it is uses them.
    private let work = Mutex((made: UInt64(0), piece: [UInt8]()))

    init(_ source: any ByteSource, _ place: BodyPlace, workers: @escaping Workers) {
        self.source = source
        self.place = place
        self.workers = workers
        count = source.count
        place.hold(self)
    }

    /// Has the next piece made, and posted. Nothing may be under way.
    func pull(_ post: @escaping @Sendable (BodyEvent) -> Void) {
        self.post.withLock { $0 = post }
        update { $0.isWanted = true }
    }

    /// Says that no more is wanted.
    func cut() { update { $0.isCut = true } }

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
        if mustStart { workers { [self] in run() } }
    }

    private func run() {
        while true {
            let step = state.withLock { state -> Step in
                if !state.isOver, state.isCut {
                    state.isOver = true
                    return .abandon
                }
                if !state.isOver, state.isWanted {
                    state.isWanted = false
                    return .make
                }
                state.isRunning = false
                return .rest
            }
            switch step {
            case .make: make()
            case .abandon: abandon()
            case .rest: return
            }
        }
    }

    private func make() {
        let event = work.withLock { work -> BodyEvent in
            work.piece.removeAll(keepingCapacity: true)
            do throws(VarlinkError) {
                let isLast = try fill(&work.piece, after: work.made)
                work.made += UInt64(work.piece.count)
                return .piece(ByteBuffer(bytes: work.piece), isLast: isLast)
            } catch {
                return .failed(error)
            }
        }
        switch event {
        case .piece(_, isLast: true):
            state.withLock { $0.isOver = true }
            place.release()
        case .failed: abandonNow()
        default: break
        }
        post.withLock { $0 }?(event)
    }

    /// Fills a piece.
    ///
    /// - Parameter made: bytes made before.
    /// - Returns: whether it is the last.
    private func fill(_ piece: inout [UInt8], after made: UInt64) throws(VarlinkError) -> Bool {
        // The end is asked for before the last bytes are let out.
        while piece.count < BodyOutlet.pieceBytes || made + UInt64(piece.count) == count {
            let before = piece.count
            try source.next(&piece)
            let total = made + UInt64(piece.count)
            if total > count || piece.count == before && total < count { throw .sourceLength }
            if piece.count == before { return true }
        }
        return false
    }

    private func abandon() {
        source.abandon()
        place.release()
    }
}
