import LMDB

/// Room in the store's file, made before a batch needs it, so that a full disk shows before a transaction and not in its
/// commit. It belongs to the writer thread.
struct StoreRoom {
    private let environment: Environment
    private let settings: LedgerSettings
    /// Up to where the data file has blocks, as far as this process knows; 0 before the first commit, for its length says
    /// nothing of that: a file may have been copied with holes. Asking the file system before every commit would cost
    /// another write: since Linux 6.13 a file whose times were asked for gets a new one with its next write, and the sync
    /// then writes the inode too.
    private var reserved = 0
    /// Up to where the data file's blocks were written, as far as this process knows.
    private var prewritten = 0

    init(_ environment: Environment, _ settings: LedgerSettings) {
        self.environment = environment
        self.settings = settings
    }

    /// Makes sure the file has blocks for all a batch can dirty, so that a full disk shows before the
    /// transaction and not in its commit.
    mutating func prepare(for bytes: Int) throws {
        // Entries, sealed claims, tree rows, stream keys and the pages above them take under eight times the bytes.
        let needed = environment.sizes.used + 8 * bytes + (4 << 20)
        guard reserved < needed else { return }
        let ahead = max(needed, environment.sizes.used + settings.preparedBytes)
        if try reserve(ahead) { return }
        // Where there is not room for much, there may be for what was prepared before, or for this batch.
        let prepared = environment.fileBytes
        if needed < prepared, prepared < ahead, try reserve(prepared) { return }
        if try !reserve(needed) { throw LedgerError.storeFull(reason: "the disk is full") }
    }

    /// Gives the file blocks up to a size; false where the disk has none.
    private mutating func reserve(_ bytes: Int) throws -> Bool {
        let end = min(bytes, environment.sizes.map)
        do {
            try environment.reserveFile(to: end)
            reserved = max(reserved, end)
            return true
        } catch {
            guard error.isOutOfRoom else { throw error }
            return false
        }
    }

    /// Writes zeros where the next pages will go, while nobody waits.
    mutating func prewrite() throws {
        let used = environment.sizes.used
        guard prewritten < used + settings.prewrittenBytes / 2 else { return }
        let start = max(prewritten, used)
        let end = min(start + settings.prewrittenBytes, reserved)
        guard start < end else { return }
        do {
            try environment.prewrite(from: start, count: end - start)
        } catch {
            // A file system that never writes in place may have no room for it: nothing depends on it.
            guard error.isOutOfRoom else { throw error }
        }
        prewritten = end
    }
}
