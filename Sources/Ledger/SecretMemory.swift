import CLinux
import Glibc
import OpenSSL

/// What keeps the keys of a process to itself.
public enum SecretMemory {
    /// Closes the process to debuggers and core dumps, and makes the memory its keys will lie in. Called once, before the
    /// first key is read.
    ///
    /// - Parameter isTraceable: leaves it open to debuggers and core dumps.
    /// - Returns: what the system did not grant, a line each, for the log.
    public static func prepare(isTraceable: Bool = false) -> [String] {
        var missing: [String] = []
        if !isTraceable {
            let code = evidenced_close_to_tracing()
            if code != 0 { missing.append("the process stays open to core dumps: \(String(cString: strerror(code)))") }
        }
        switch SecureHeap.prepare() {
        case .whole: break
        case .unlocked: missing.append("keys may be swapped out: raise the limit of locked memory (LimitMEMLOCK) to 8M")
        case .none: missing.append("keys lie in ordinary memory, which may be swapped out")
        }
        return missing
    }
}
