import CLMDB
import CLinux
import Glibc

/// How the process ends where LMDB trips over a damaged page: with status 65 and one line on standard error, at once.
///
/// LMDB trusts its pages. What it finds wrong by an assertion would abort the process after its message; a page that
/// can't be read, or one that has it follow a pointer it doesn't have, would kill it: no statuses from which anybody
/// could tell what to do.
public struct DamageNotice: Sendable {
    let words: String
    let setsAside: Bool

    /// - Parameters:
    ///   - words: what is damaged and what to do about it, in up to 255 bytes.
    ///   - setsAside: whether the data file is renamed to `data.mdb.damaged`, so that the next start makes another.
    public init(_ words: String, setsAside: Bool = false) {
        self.words = words
        self.setsAside = setsAside
    }
}

/// Has the process end as a notice says, for as long as an environment is open.
struct DamageWatch {
    private let file: OpaquePointer

    init(_ environment: OpaquePointer, _ notice: DamageNotice, directory: String) throws(LMDBError) {
        var descriptor: mdb_filehandle_t = -1
        try check(mdb_env_get_fd(environment, &descriptor), "finding the data file")
        let path = notice.setsAside ? directory + "/data.mdb" : ""
        guard let file = evidenced_watch_mapped(descriptor, notice.words, path) else {
            throw LMDBError(code: ENOMEM, operation: "watching the data file")
        }
        self.file = file
        do throws(LMDBError) {
            try check(mdb_env_set_userctx(environment, UnsafeMutableRawPointer(file)), "naming the data file")
            // Called before LMDB would print the message and abort.
            let code = mdb_env_set_assert(environment) { environment, message in
                evidenced_end_of_damage(OpaquePointer(mdb_env_get_userctx(environment)), message)
            }
            try check(code, "watching the data file")
        } catch {
            end()
            throw error
        }
    }

    /// Says that this thread works with the environment; gives what it worked with before, for `resume`.
    func begin() -> OpaquePointer? { evidenced_use_mapped(file) }

    static func resume(_ before: OpaquePointer?) { _ = evidenced_use_mapped(before) }

    /// Must come before the environment is closed.
    func end() { evidenced_unwatch_mapped(file) }
}
