import Files
import Glibc
import LMDB

/// What the system, or other readers of the file, have taken up for now: places for readers, memory, descriptors. Nothing
/// was written, and nothing is wrong with a file, so whoever can wait tries again.
enum Shortage {
    private static let codes = [ENOMEM, EMFILE, ENFILE, EAGAIN]

    /// Whether an error says so. A commit that failed is none, whatever it failed for.
    static func isMeant(by error: any Error) -> Bool {
        switch error {
        case let refusal as LMDBError: refusal.isReadersFull || codes.contains(refusal.code)
        case let failure as SystemError: codes.contains(failure.errno)
        default: false
        }
    }
}
