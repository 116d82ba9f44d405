import CLMDB
import Glibc
import Synchronization

/// One LMDB environment: a directory with `data.mdb` and `lock.mdb`.
///
/// Commits are synced (LMDB's default mode, no WRITEMAP). Any number of threads may read at once; write transactions
/// exclude one another. A process must open an environment only once.
public final class Environment: @unchecked Sendable {
    // Sendable: MDB_env is thread-safe except for changing the map size, which `gate` excludes from all transactions;
    // `writing` is held wherever `pageGuard` is touched.
    let handle: OpaquePointer
    /// Held shared by every transaction, exclusively while the map is resized.
    let gate: UnsafeMutablePointer<pthread_rwlock_t>
    /// Copies that are being made. Held while one takes the gate, and while the map is resized.
    let copies = Mutex<[CopyRelay]>([])
    /// Up to where `reserveFile` gave the file blocks.
    let reserved = Atomic(0)
    /// Bytes up to which the file is known to have blocks; 0 before `reserveFile`.
    public var reservedBytes: Int { reserved.load(ordering: .relaxed) }
    /// Reset read transactions waiting for reuse; starting one anew costs a system-wide lock.
    private let idleReaders = Mutex<[UInt]>([])
    /// Held by the thread that writes; guards `pageGuard`.
    let writing: UnsafeMutablePointer<pthread_mutex_t>
    private var pageGuard: PageGuard?
    let watch: DamageWatch

    /// Is there as long as the environment's files are open. A weak reference to the environment is gone before they are
    /// closed, and closing gives up every reader's place of this process: of one that was opened on them meanwhile, too.
    public final class Presence: Sendable {
        fileprivate init() {}
    }

    /// Let go of after `deinit`, as stored properties are.
    public let presence = Presence()

    /// How an environment is used.
    public enum Access: Sendable {
        /// By its one writer, and readers.
        case writing
        /// By readers, beside a writer: they take places in `lock.mdb`, which needs the right to write it.
        case reading
        /// By readers of a copy that nobody writes: nothing is written, not even `lock.mdb`.
        case copy
    }

    /// Opens the environment in `directory`, which must exist.
    ///
    /// - Parameters:
    ///   - mapBytes: initial size of the map, rounded up to whole pages; where the pages of an existing file need more, the
    ///     map has just what they need, and no room for another. Who only reads maps what the file states instead.
    ///   - databases: how many named databases may be opened.
    ///   - readers: how many read transactions may be open at once, over all processes.
    ///   - ownReaders: how many of them this process keeps for itself from now on, so that others can't take all.
    ///   - damage: how the process ends where LMDB trips over a damaged page.
    public init(
        directory: String,
        mapBytes: Int,
        databases: Int,
        readers: Int = 126,
        ownReaders: Int = 0,
        access: Access = .writing,
        damage: DamageNotice = DamageNotice("an LMDB file is damaged")
    ) throws(LMDBError) {
        var version: (major: Int32, minor: Int32, patch: Int32) = (0, 0, 0)
        _ = mdb_version(&version.major, &version.minor, &version.patch)
        guard (version.major, version.minor, version.patch) >= (0, 9, 24) else {
            throw LMDBError(code: MDB_VERSION_MISMATCH, operation: "liblmdb is older than 0.9.24")
        }
        var created: OpaquePointer?
        try check(mdb_env_create(&created), "creating an LMDB environment")
        guard let created else { throw LMDBError(code: ENOMEM, operation: "creating an LMDB environment") }
        do throws(LMDBError) {
            // Who only reads maps what the file says.
            if access == .writing {
                try check(mdb_env_set_mapsize(created, Environment.wholePages(mapBytes)), "setting the map size")
            }
            try check(mdb_env_set_maxdbs(created, UInt32(databases)), "setting the number of databases")
            try check(mdb_env_set_maxreaders(created, UInt32(readers)), "setting the number of readers")
            try MetaPages.check(directory: directory)
            var flags = UInt32(MDB_NOTLS) | UInt32(MDB_NORDAHEAD)
            if access != .writing { flags |= UInt32(MDB_RDONLY) }
            if access == .copy { flags |= UInt32(MDB_NOLOCK) }
            try check(mdb_env_open(created, directory, flags, 0o600), "opening \(directory)")
            watch = try DamageWatch(created, damage, directory: directory)
        } catch {
            mdb_env_close(created)
            throw error
        }
        handle = created
        gate = .allocate(capacity: 1)
        // Readers that come one after the other must not keep a resize waiting for ever. Nobody takes the gate twice.
        var attributes = pthread_rwlockattr_t()
        pthread_rwlockattr_init(&attributes)
        pthread_rwlockattr_setkind_np(&attributes, Int32(PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP))
        pthread_rwlock_init(gate, &attributes)
        pthread_rwlockattr_destroy(&attributes)
        writing = .allocate(capacity: 1)
        pthread_mutex_init(writing, nil)
        _ = mdb_reader_check(created, nil)
        try holdReaders(ownReaders, directory)
    }

    /// Takes places for readers, to be used by `read` again and again.
    private func holdReaders(_ count: Int, _ directory: String) throws(LMDBError) {
        for _ in 0..<count {
            let begun = beginReader()
            try check(begun.code, "taking a reader's place in \(directory)")
            guard let reader = begun.reader else { throw LMDBError(code: ENOMEM, operation: "beginning a reader") }
            mdb_txn_reset(reader)
            let address = UInt(bitPattern: reader)
            idleReaders.withLock { $0.append(address) }
        }
    }

    deinit {
        for address in idleReaders.withLock({ $0 }) { mdb_txn_abort(OpaquePointer(bitPattern: address)) }
        watch.end()
        mdb_env_close(handle)
        pthread_rwlock_destroy(gate)
        gate.deallocate()
        pthread_mutex_destroy(writing)
        writing.deallocate()
    }

    /// The library's version, such as `LMDB 0.9.24`.
    public static var libraryVersion: String {
        var version: (Int32, Int32, Int32) = (0, 0, 0)
        _ = mdb_version(&version.0, &version.1, &version.2)
        return "LMDB \(version.0).\(version.1).\(version.2)"
    }

    /// Has every write transaction from now on check that LMDB takes no page that is in use (`PageGuard`), and checks
    /// the newest snapshot for it. Must come before `databases`, and no other process may write.
    ///
    /// - Parameter progress: pages done and pages in all, where every page has to be checked.
    /// - Returns: whether every page was checked, because the file is a copy or another program has written to it.
    /// - Throws: `PageDamage`, or `LMDBError` where the file can't be read.
    @discardableResult
    public func guardPages(progress: @escaping (UInt64, UInt64) -> Void = { _, _ in }) throws -> Bool {
        let file = try pageFile()
        pthread_mutex_lock(writing)
        defer { pthread_mutex_unlock(writing) }
        var isWalked = false
        pageGuard = try PageGuard(file) {
            isWalked = true
            try checkPages(progress: progress)
        }
        return isWalked
    }

    /// Opens named databases, creating them if allowed and missing. Must happen before other threads use them.
    public func databases(_ names: [String], create: Bool) throws -> [Database] {
        do {
            return try openDatabases(names)
        } catch {
            guard create, error.code == MDB_NOTFOUND else { throw error }
            return try write { transaction in
                try names.map { name in
                    transaction.mark.isDirty = true
                    return try Environment.database(name, transaction.handle.pointer, UInt32(MDB_CREATE))
                }
            }
        }
    }

    private func openDatabases(_ names: [String]) throws(LMDBError) -> [Database] {
        let usedBefore = watch.begin()
        defer { DamageWatch.resume(usedBefore) }
        var transaction: OpaquePointer?
        try check(mdb_txn_begin(handle, nil, UInt32(MDB_RDONLY), &transaction), "beginning")
        guard let reader = transaction else { throw LMDBError(code: ENOMEM, operation: "beginning a reader") }
        var opened: [Database] = []
        do throws(LMDBError) {
            for name in names { opened.append(try Environment.database(name, reader, 0)) }
        } catch {
            mdb_txn_abort(reader)
            throw error
        }
        try check(mdb_txn_commit(reader), "committing")
        return opened
    }

    private static func database(
        _ name: String,
        _ transaction: OpaquePointer,
        _ flags: UInt32
    ) throws(LMDBError) -> Database {
        var identifier: MDB_dbi = 0
        try check(mdb_dbi_open(transaction, name, flags, &identifier), "opening database \(name)")
        return Database(identifier: identifier)
    }

    /// Runs `body` on a consistent snapshot.
    public func read<Result>(_ body: (borrowing ReadTransaction) throws -> Result) throws -> Result {
        let usedBefore = watch.begin()
        defer { DamageWatch.resume(usedBefore) }
        pthread_rwlock_rdlock(gate)
        defer { pthread_rwlock_unlock(gate) }
        var begun = beginReading()
        // Another process, the daemon, gave the file more room than this one maps; who reads follows.
        while begun.code == MDB_MAP_RESIZED {
            let before = sizes.map
            pthread_rwlock_unlock(gate)
            let adopted = adoptMap()
            pthread_rwlock_rdlock(gate)
            try check(adopted, "following the file's size")
            // A sound file never has more pages than it states room for.
            guard sizes.map > before else {
                throw LMDBError(code: MDB_CORRUPTED, operation: "following the file's size")
            }
            begun = beginReading()
        }
        try check(begun.code, "beginning a reader")
        guard let reader = begun.reader else { throw LMDBError(code: ENOMEM, operation: "beginning a reader") }
        defer {
            mdb_txn_reset(reader)
            let address = UInt(bitPattern: reader)
            idleReaders.withLock { $0.append(address) }
        }
        return try body(ReadTransaction(handle: TransactionHandle(pointer: reader)))
    }

    /// A reader of the newest snapshot: an idle one renewed, or a new one.
    private func beginReading() -> (code: Int32, reader: OpaquePointer?) {
        if let idle = idleReaders.withLock({ $0.popLast() }).flatMap({ OpaquePointer(bitPattern: $0) }) {
            let code = mdb_txn_renew(idle)
            if code == MDB_SUCCESS { return (code, idle) }
            mdb_txn_abort(idle)
            return (code, nil)
        }
        return beginReader()
    }

    /// A new reader, in the place of one that died where there is no other.
    private func beginReader() -> (code: Int32, reader: OpaquePointer?) {
        var reader: OpaquePointer?
        var code = mdb_txn_begin(handle, nil, UInt32(MDB_RDONLY), &reader)
        if code == MDB_READERS_FULL, reapReaders() > 0 {
            code = mdb_txn_begin(handle, nil, UInt32(MDB_RDONLY), &reader)
        }
        return (code, reader)
    }

    /// Maps the file as large as its newest writer does; waits until no transaction of this process is open.
    private func adoptMap() -> Int32 {
        pthread_rwlock_wrlock(gate)
        defer { pthread_rwlock_unlock(gate) }
        for address in idleReaders.withLock({ idle in
            defer { idle.removeAll() }
            return idle
        }) { mdb_txn_abort(OpaquePointer(bitPattern: address)) }
        return mdb_env_set_mapsize(handle, 0)
    }

    /// Runs `body` in the one write transaction, then commits durably. Where `body` throws, nothing was written.
    ///
    /// - Throws: what `body` throws, or `CommitError` where the commit failed: whether it reached the disk is then
    ///   unknown, and the process must not go on writing.
    public func write<Result>(_ body: (borrowing WriteTransaction) throws -> Result) throws -> Result {
        let usedBefore = watch.begin()
        defer { DamageWatch.resume(usedBefore) }
        pthread_rwlock_rdlock(gate)
        defer { pthread_rwlock_unlock(gate) }
        pthread_mutex_lock(writing)
        defer { pthread_mutex_unlock(writing) }
        try pageGuard?.check()
        var transaction: OpaquePointer?
        try check(mdb_txn_begin(handle, nil, 0, &transaction), "beginning a write transaction")
        guard let writer = transaction else { throw LMDBError(code: ENOMEM, operation: "beginning to write") }
        let result: Result
        let mark = WriteMark()
        do {
            try pageGuard?.requireFollowing(UInt64(UInt(bitPattern: mdb_txn_id(writer))))
            let transaction = WriteTransaction(handle: TransactionHandle(pointer: writer), mark: mark)
            result = try body(transaction)
            // What writes nothing isn't committed, and so has no snapshot of its own.
            if mark.isDirty, let pageGuard { try transaction.set(.unnamed, SnapshotSum.key, pageGuard.row) }
        } catch {
            mdb_txn_abort(writer)
            throw error
        }
        let code = mdb_txn_commit(writer)
        if code == MDB_MAP_FULL { throw LMDBError(code: code, operation: "committing") }
        if code != MDB_SUCCESS { throw CommitError(cause: LMDBError(code: code, operation: "committing")) }
        if mark.isDirty { try pageGuard?.advance() }
        return result
    }

    /// Gives the map another size, once no transaction of this process is open.
    ///
    /// - Returns: LMDB's code.
    func setMapSize(_ bytes: Int) -> Int32 {
        pthread_rwlock_wrlock(gate)
        defer { pthread_rwlock_unlock(gate) }
        return mdb_env_set_mapsize(handle, Environment.wholePages(bytes))
    }

    /// Sizes in bytes: of the map, and of the part of the file that pages were ever written to.
    public var sizes: (map: Int, used: Int) {
        // LMDB reads both from the map, which a resize takes away for a moment.
        pthread_rwlock_rdlock(gate)
        defer { pthread_rwlock_unlock(gate) }
        return sizesInGate
    }

    /// The same, for who holds the gate.
    var sizesInGate: (map: Int, used: Int) {
        var info = MDB_envinfo()
        var stat = MDB_stat()
        mdb_env_info(handle, &info)
        mdb_env_stat(handle, &stat)
        // A damaged meta page may claim any number of pages.
        let (used, isTooMuch) = Int(clamping: info.me_last_pgno).addingReportingOverflow(1).partialValue
            .multipliedReportingOverflow(by: Int(clamping: stat.ms_psize))
        return (Int(clamping: info.me_mapsize), isTooMuch || used < 0 ? .max : used)
    }

    /// Frees reader slots of processes that died; gives how many.
    @discardableResult
    public func reapReaders() -> Int {
        var dead: Int32 = 0
        mdb_reader_check(handle, &dead)
        return Int(dead)
    }

    /// The data file as pages.
    func pageFile() throws(LMDBError) -> PageFile { PageFile(descriptor: try descriptor()) }

    func descriptor() throws(LMDBError) -> Int32 {
        var descriptor: mdb_filehandle_t = -1
        try check(mdb_env_get_fd(handle, &descriptor), "finding the data file")
        return descriptor
    }

    /// Whether the data file that is open is the one its name leads to. What is written to another is lost with the process.
    public func isInPlace() throws(LMDBError) -> Bool {
        var directory: UnsafePointer<CChar>?
        try check(mdb_env_get_path(handle, &directory), "finding the data file")
        var (held, named) = (stat(), stat())
        guard let directory, fstat(try descriptor(), &held) == 0 else { return false }
        return stat("\(String(cString: directory))/data.mdb", &named) == 0 && named.st_dev == held.st_dev
            && named.st_ino == held.st_ino
    }

    /// Bytes of the data file, unused tail included.
    public var fileBytes: Int {
        var descriptor: mdb_filehandle_t = -1
        var status = stat()
        guard mdb_env_get_fd(handle, &descriptor) == MDB_SUCCESS, fstat(descriptor, &status) == 0 else { return 0 }
        return Int(status.st_size)
    }

    /// The greatest map, in bytes, an environment may be opened with or a data file state: half of what a process can
    /// address on the machines there are.
    public static let greatestMapBytes = 1 << 46

    /// Bytes of a page of the file.
    public static var pageBytes: Int { sysconf(Int32(_SC_PAGESIZE)) }

    private static func wholePages(_ bytes: Int) -> Int {
        (bytes + pageBytes - 1) / pageBytes * pageBytes
    }
}

/// A commit that failed: the disk may hold it or not. The only safe course is to stop and let start-up decide.
public struct CommitError: Error, Sendable, CustomStringConvertible {
    public let cause: LMDBError

    public var description: String { "the commit failed and may or may not have reached the disk: \(cause)" }
}
