@preconcurrency import Glibc
import Synchronization

/// What a command answers, as against what it remarks on standard error. Everything that is printed goes through the C
/// library's one buffer; whether it arrived shows when that is flushed, which every command is at its end.
enum StandardOutput {
    private static let isTold = Mutex(false)

    /// Writes out what was printed, at the end of the process.
    ///
    /// - Throws: `Failure` where any of it could not be written and nobody was told so yet.
    static func finish() throws(Failure) {
        let isTold = isTold.withLock { $0 }
        do {
            try flush()
        } catch {
            guard isTold else { throw error }
        }
    }

    /// Refuses output that would go nowhere before anything is done for it.
    static func mustBeOpen() throws(Failure) {
        let flags = fcntl(STDOUT_FILENO, F_GETFL)
        guard flags >= 0, flags & O_ACCMODE != O_RDONLY else { throw lost(EBADF) }
    }

    /// Writes out what was printed.
    ///
    /// - Throws: `Failure` where any of it, now or before, could not be.
    static func flush() throws(Failure) {
        let isWritten = fflush(stdout) == 0
        let code = errno
        guard isWritten, ferror(stdout) == 0 else { throw lost(isWritten ? 0 : code) }
    }

    private static func lost(_ code: Int32) -> Failure {
        let reason =
            switch code {
            case EBADF: "it is closed"
            case 0: "an earlier part of it could not be written"
            default: String(cString: strerror(code))
            }
        isTold.withLock { $0 = true }
        return Failure(.outputFailed, "standard output: \(reason)")
    }
}
