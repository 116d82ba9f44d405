import CLMDB
import Glibc
import Synchronization

/// A copy was broken off, for the map had to grow, which it cannot while a copy is made.
public struct CopyInterrupted: Error, Sendable {
    init() {}
}

extension Environment {
    /// Writes a consistent copy of the data file to `descriptor` while the environment is in use. What takes the copy may
    /// be as slow as it likes: a map that has to grow waits for nobody, but breaks the copy off.
    ///
    /// - Throws: `CopyInterrupted`; `LMDBError`, with the errno of what a write failed with.
    public func copy(to descriptor: Int32) throws {
        let usedBefore = watch.begin()
        defer { DamageWatch.resume(usedBefore) }
        let relay = try CopyRelay(to: descriptor)
        copies.withLock { running in
            running.append(relay)
            // Who resizes the map finds the copy among those that are running, or finds the gate free.
            pthread_rwlock_rdlock(gate)
        }
        let code = mdb_env_copyfd2(handle, relay.input, UInt32(MDB_CP_COMPACT))
        pthread_rwlock_unlock(gate)
        copies.withLock { running in running.removeAll { $0 === relay } }
        try relay.finish(code)
    }

    /// Gives the map another size. Breaks off the copies that are being made, and waits until no other transaction of this
    /// process is open; none begins meanwhile.
    public func resizeMap(bytes: Int) throws(LMDBError) {
        let code = copies.withLock { running in
            for relay in running { relay.breakOff() }
            return setMapSize(bytes)
        }
        try check(code, "resizing the map")
    }

    /// The same, but does nothing where a copy is being made.
    public func resizeMapUnlessCopying(bytes: Int) throws(LMDBError) {
        let code = copies.withLock { $0.isEmpty ? setMapSize(bytes) : MDB_SUCCESS }
        try check(code, "resizing the map")
    }
}

/// Hands on what LMDB writes of a copy: between the two is a socket pair, so that LMDB, which keeps the map as it is while
/// it writes, can be told to give up while the other end waits for a disk.
final class CopyRelay: @unchecked Sendable {
    // Sendable: `thread` is set before it is handed on, and the descriptors never change; `finish` comes last.
    private let output: Int32
    /// Where LMDB writes.
    let input: Int32
    private let target: Int32
    private let isBroken = Atomic(false)
    /// The errno of the write that failed; 0 where none did.
    private let failure = Atomic<Int32>(0)
    private var thread = pthread_t()

    /// - Throws: `LMDBError` where there are no descriptors or threads left.
    init(to target: Int32) throws(LMDBError) {
        var pair: [Int32] = [-1, -1]
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, type, 0, &pair) == 0 else { throw LMDBError(code: errno, operation: "copying") }
        input = pair[0]
        output = pair[1]
        self.target = target
        let code = pthread_create(
            &thread,
            nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<CopyRelay>.fromOpaque(argument).takeUnretainedValue().run()
                return nil
            },
            // `finish` joins the thread before the relay may go.
            Unmanaged.passUnretained(self).toOpaque()
        )
        guard code == 0 else {
            close(input)
            close(output)
            throw LMDBError(code: code, operation: "copying")
        }
    }

    private func run() {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 1)
        defer { buffer.deallocate() }
        while true {
            let count = read(output, buffer.baseAddress, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            var rest = UnsafeRawBufferPointer(rebasing: buffer[..<count])
            while !rest.isEmpty {
                let written = write(target, rest.baseAddress, rest.count)
                if written < 0, errno == EINTR { continue }
                guard written > 0 else {
                    failure.store(written < 0 ? errno : EIO, ordering: .relaxed)
                    shutdown(output, Int32(SHUT_RDWR))
                    return
                }
                rest = UnsafeRawBufferPointer(rebasing: rest[written...])
            }
        }
    }

    /// Has LMDB give up the copy at once.
    func breakOff() {
        isBroken.store(true, ordering: .relaxed)
        shutdown(input, Int32(SHUT_RDWR))
    }

    /// Waits until everything is handed on.
    ///
    /// - Parameter code: what LMDB says of the copy.
    func finish(_ code: Int32) throws {
        shutdown(input, Int32(SHUT_WR))
        pthread_join(thread, nil)
        close(input)
        close(output)
        try check(failure.load(ordering: .relaxed), "copying the environment")
        if code != MDB_SUCCESS, isBroken.load(ordering: .relaxed) { throw CopyInterrupted() }
        try check(code, "copying the environment")
    }
}
