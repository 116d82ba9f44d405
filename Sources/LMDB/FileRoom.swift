import CLMDB
import Glibc
import Synchronization

/// Blocks of the data file behind the pages in use.
extension Environment {
    /// Makes the data file at least `bytes` long, with blocks of its own behind all pages in use, so that commits do not
    /// run out of disk. Its length says nothing of blocks, for a copy may have holes; where they are, nothing happens.
    /// Not to be called within a write transaction; those of other threads wait. Where the file system can't do it, zeros
    /// are written.
    ///
    /// - Throws: `LMDBError` with the errno of the failed call, and the file is as usable as before.
    public func reserveFile(to bytes: Int) throws(LMDBError) {
        holdWriting()
        defer { dropWriting() }
        let descriptor = try descriptor()
        let start = max(reservedBytes, sizesInGate.used)
        guard start < bytes else { return }
        var code = posix_fallocate(descriptor, off_t(start), off_t(bytes - start))
        while code == EINTR { code = posix_fallocate(descriptor, off_t(start), off_t(bytes - start)) }
        // A file system or a sandbox that doesn't have the call: what is written has blocks too.
        if [EINVAL, ENOSYS, EPERM, EOPNOTSUPP].contains(code) {
            try writeZeros(descriptor, from: start, count: bytes - start, "extending the data file")
        } else if code != 0 {
            throw LMDBError(code: code, operation: "extending the data file")
        }
        reserved.store(bytes, ordering: .relaxed)
    }

    /// Gives map and file room up to a size, and some more ahead where there is that much, so that a full disk shows before
    /// a transaction and not in its commit. Otherwise as `reserveFile`.
    ///
    /// - Returns: false where there is no room, and nothing has changed.
    /// - Throws: `LMDBError` for another reason.
    public func makeRoom(to bytes: Int, ahead: Int) throws(LMDBError) -> Bool {
        while sizes.map < bytes { try resizeMap(bytes: sizes.map * 2) }
        guard reservedBytes < bytes else { return true }
        for end in [bytes + ahead, bytes] {
            do throws(LMDBError) {
                try reserveFile(to: min(end, sizes.map))
                return true
            } catch {
                guard error.isOutOfRoom else { throw error }
            }
        }
        return false
    }

    /// Writes zeros over a part of the file behind all pages in use: a commit into blocks that were written before
    /// needs no journal of the file system. What came into use meanwhile is left out. Not to be called within a write
    /// transaction, for LMDB itself writes there; those of other threads wait.
    public func prewrite(from offset: Int, count: Int) throws(LMDBError) {
        holdWriting()
        defer { dropWriting() }
        let start = max(offset, sizesInGate.used)
        guard start < offset + count else { return }
        try writeZeros(descriptor(), from: start, count: offset + count - start, "writing ahead in the data file")
    }

    /// Keeps write transactions away, and the map as it is; in the order in which `write` does.
    private func holdWriting() {
        pthread_rwlock_rdlock(gate)
        pthread_mutex_lock(writing)
    }

    private func dropWriting() {
        pthread_mutex_unlock(writing)
        pthread_rwlock_unlock(gate)
    }

    private func writeZeros(
        _ descriptor: Int32,
        from offset: Int,
        count: Int,
        _ operation: String
    ) throws(LMDBError) {
        let zeros = [UInt8](repeating: 0, count: min(count, 1 << 20))
        var written = 0
        while written < count {
            let code = zeros.withUnsafeBytes { bytes in
                pwrite(descriptor, bytes.baseAddress, min(count - written, bytes.count), off_t(offset + written))
            }
            if code < 0, errno == EINTR { continue }
            guard code > 0 else { throw LMDBError(code: errno, operation: operation) }
            written += code
        }
    }
}
