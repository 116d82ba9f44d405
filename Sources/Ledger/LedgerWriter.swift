import Glibc
import JSON
import LMDB
import LedgerFormat
import Merkle
import OpenSSL
import Synchronization

/// The one thread that appends. It takes all that waits, commits it durably, reads it back, moves the checkpoint lock
/// to the signature of what it read, and only then answers.
///
/// What a crash leaves behind at each step: during the transaction, nothing; after the commit, entries nobody was
/// told of, which the next start signs; after the lock, a checkpoint nobody was told of, and the submitters' retries
/// find their receipts by their request keys.
final class LedgerWriter: @unchecked Sendable {
    // Sendable: the mutable fields below are touched by the writer thread alone, after `start`.
    private let environment: Environment
    private let schema: StoreSchema
    private let lookups: Lookups
    private let queue: AppendQueue
    private let settings: LedgerSettings
    private let lock: CheckpointLock
    private var upkeep: LockUpkeep
    private let signer: CheckpointSigner
    private let identity: LedgerIdentity
    private let publish: @Sendable (SignedCheckpoint) -> Void
    /// Called once the calls of a batch are completed.
    private let answered: @Sendable () -> Void
    private let fatal: @Sendable (any Error) -> Never
    private let counters: LedgerCounters
    private var state: ChainState
    var memory: BatchMemory
    /// Destroys the keys of what is recorded as erased.
    let erasures: Erasures
    /// Erasures that wait for room; nil where none does.
    var waiting: WaitingErasures?
    private let clock: LedgerClock
    private var clockPolicy: ClockPolicy
    private let clockStanding: ClockStanding
    private var own: OwnRecords
    /// Whether it was said that own records are refused.
    private var isOwnRefused = false
    /// Takes a line for the log; never anything personal.
    let notice: @Sendable (String) -> Void
    private var hasher = SHA256Hasher()
    /// When the batch at hand was taken, in seconds of the boot clock; 0 between batches.
    private let taken = Atomic<Int64>(0)
    /// The newest checkpoint; the next transaction stores its signature.
    private var unsaved: SignedCheckpoint?
    private var unsavedSignature: SignedNote.Signature?
    var room: StoreRoom

    init(
        environment: Environment,
        schema: StoreSchema,
        lookups: Lookups,
        queue: AppendQueue,
        settings: LedgerSettings,
        lock: CheckpointLock,
        signer: CheckpointSigner,
        identity: LedgerIdentity,
        state: ChainState,
        claims: SealedClaims,
        erasures: Erasures,
        clock: LedgerClock,
        clockStanding: ClockStanding,
        own: OwnRecords,
        counters: LedgerCounters,
        notice: @escaping @Sendable (String) -> Void,
        publish: @escaping @Sendable (SignedCheckpoint) -> Void,
        answered: @escaping @Sendable () -> Void,
        fatal: @escaping @Sendable (any Error) -> Never
    ) {
        self.environment = environment
        self.schema = schema
        self.lookups = lookups
        self.queue = queue
        self.settings = settings
        self.lock = lock
        upkeep = LockUpkeep(lock, seconds: settings.lockRenewalSeconds)
        self.signer = signer
        self.identity = identity
        self.state = state
        memory = BatchMemory(claims: claims)
        self.erasures = erasures
        self.clock = clock
        clockPolicy = ClockPolicy(limits: settings.clockLimits, newest: state.time)
        self.clockStanding = clockStanding
        self.own = own
        self.notice = notice
        self.counters = counters
        self.publish = publish
        self.answered = answered
        self.fatal = fatal
        room = StoreRoom(environment, settings)
    }

    /// Takes and commits until the queue is closed and empty.
    func run() {
        // What the daemon records of itself waits for nobody's call.
        var patience = own.isEmpty ? settings.idleCheckSeconds : 0
        while let calls = queue.take(
            maximumEvents: settings.batchEvents,
            maximumBytes: settings.batchBytes,
            within: patience
        ) {
            taken.store(LedgerClock.steadySeconds, ordering: .relaxed)
            defer { taken.store(0, ordering: .relaxed) }
            do {
                if calls.isEmpty, let refusal = try upkeep.renewWhileIdle() { notice(refusal) }
                if calls.isEmpty, isIdle {
                    try lock.requireInPlace()
                    continue
                }
                if waiting != nil, try executeErasures() { notice("what was recorded as erased is erased") }
                try waitForFollower()
                let now = try confirmedTime()
                let ownCalls = try own.calls(stream: identity.stream, now: now)
                if !ownCalls.isEmpty || !calls.isEmpty {
                    if let refusal = try upkeep.renewBeforeCommit() { notice(refusal) }
                    let results = try commit(ownCalls + calls, now: now)
                    keepRefused(results.prefix(ownCalls.count))
                    noteDamage(results.dropFirst(ownCalls.count))
                }
                if queue.load.events == 0 { try room.prewrite() }
            } catch let refusal as LedgerError {
                if case .storeFull = refusal { counters.noteRoom(false) }
                refuse(calls, refusal)
            } catch {
                fatal(error)
            }
            patience = isIdle ? settings.idleCheckSeconds : 1
        }
        if !own.isEmpty { notice("stopped before it could record what it had to of itself, such as its start") }
        do {
            try lock.requireInPlace()
            try saveCheckpoint()
            if let refusal = try upkeep.renew() { notice(refusal) }
        } catch {
            fatal(error)
        }
    }

    /// Whether nothing is to be done before the next call.
    private var isIdle: Bool { own.isEmpty && clockStanding.hold == nil && waiting == nil }

    /// How long the writer has been at the batch at hand; 0 between batches.
    var secondsAtBatch: Int64 {
        let since = taken.load(ordering: .relaxed)
        return since == 0 ? 0 : LedgerClock.steadySeconds - since
    }

    /// Renews the lock, signs the checkpoint of what is committed, moves the lock and publishes. Called once before `run`.
    ///
    /// - Returns: why the lock could not be renewed, where that is so.
    func signCommitted() throws -> String? {
        let refusal = try upkeep.renew()
        _ = try moveLock(to: try drafted(state.range), over: state.range.root(&hasher), time: state.time)
        return refusal
    }

    // MARK: One commit

    /// Lets the follower move some of the tail into the look-up index, where it is long.
    private func waitForFollower() throws {
        while case let index = try lookups.ready(), index.tail.count > settings.tailEntries {
            if lookups.isFull { throw Lookups.full }
            if !index.isChecked || lookups.isShort { throw LedgerError.busy }
            usleep(1_000)
        }
    }

    /// Keeps of the daemon's own records those that were refused, to be tried again.
    private func keepRefused(_ results: ArraySlice<Result<[Receipt], LedgerError>>) {
        let refusal = own.settle(results)
        if let refusal, !isOwnRefused {
            let reason = refusal.forLog
            notice("what the daemon has to record of itself was refused and is tried again: \(reason)")
        }
        isOwnRefused = refusal != nil
    }

    private func noteDamage(_ results: ArraySlice<Result<[Receipt], LedgerError>>) {
        for case .failure(let refusal) in results {
            guard case .damaged = refusal else { continue }
            notice("a call was refused, for \(refusal.forLog): 'evidence audit' says what is wrong")
        }
    }

    /// - Returns: what became of each call.
    private func commit(_ calls: [PendingAppend], now: Int64) throws -> [Result<[Receipt], LedgerError>] {
        let bytes = calls.reduce(0) { $0 + $1.bytes }
        try room.prepare(for: bytes)
        let before = state
        var (builder, results, draft) = try lookups.whileAppending { index in
            let transacted = try transact(calls, bytes: bytes, index, now: now)
            index.tail.add(transacted.0.records)
            return transacted
        }
        guard let draft else {
            // Duplicates and refusals only: nothing was written, and the newest checkpoint covers it.
            guard let unsaved else { throw StoreDamage(nil, "no checkpoint was signed at start") }
            results = results.map(answerable)
            answer(calls, results, unsaved)
            return results
        }
        counters.noteRoom(true)
        let root = try verifiedRoot(from: before, to: builder.state)
        state = builder.state
        let checkpoint = try moveLock(to: draft, over: root, time: state.time)
        // What is recorded as erased is gone before anybody is told that it is recorded.
        if !builder.erasing.isEmpty { try executeErasures() }
        results = results.map(answerable)
        answer(calls, results, checkpoint)
        return results
    }

    /// - Returns: the checkpoint of what was committed too, still being signed; nil where nothing was.
    private func transact(
        _ calls: [PendingAppend],
        bytes: Int,
        _ index: LookupIndex,
        now: Int64
    ) throws -> (BatchBuilder, [Result<[Receipt], LedgerError>], CheckpointDraft?) {
        var isSuspicious = false
        while true {
            do {
                var results: [Result<[Receipt], LedgerError>] = []
                results.reserveCapacity(calls.count)
                let (builder, draft) = try environment.write(
                    growingTo: settings.maximumMapBytes,
                    grown: {
                        memory.forget()
                        // Where the map ended, the file's blocks may have too.
                        try room.prepare(for: bytes)
                    }
                ) { transaction in
                    results.removeAll(keepingCapacity: true)
                    var builder = try BatchBuilder(
                        calls,
                        state: state,
                        schema: schema,
                        index: index,
                        now: now,
                        isSuspicious: isSuspicious,
                        memory.hasher
                    )
                    for call in calls { results.append(try builder.record(call, transaction, &memory)) }
                    let draft = builder.state.size > state.size ? try drafted(builder.state.range) : nil
                    try builder.finish(transaction, &memory)
                    if draft != nil { try keepCheckpoint(transaction) }
                    return (builder, draft)
                }
                return (builder, results, draft)
            } catch let error as LMDBError where error.isMapFull {
                // The transaction was aborted; nothing of it was written.
                memory.forget()
                throw LedgerError.storeFull(reason: "the map has reached its limit")
            } catch let error as LMDBError where error.isKeyExists && !isSuspicious {
                // A row that nothing names is in the way of one of the calls: once more, to find out of which.
                memory.forget()
                isSuspicious = true
            } catch is SuspectBatch {
                memory.forget()
                isSuspicious = true
            } catch let damage as LookupDamage {
                // Nothing was written. Without the index nobody knows what was recorded already, so nothing is recorded
                // until the follower has made it anew.
                memory.forget()
                lookups.condemn(damage)
                throw LedgerError.busy
            }
        }
    }

    /// Reads the new entries back from the committed store and hashes them again: what is signed is what is there.
    private func verifiedRoot(from before: ChainState, to after: ChainState) throws -> Digest {
        try environment.read { transaction in
            let range = try schema.rehash(transaction, from: before.range, to: after.size, &hasher)
            guard range == after.range else { throw StoreDamage(nil, "the tree just committed has another root") }
            return range.root(&hasher)
        }
    }

    private func drafted(_ range: CompactRange) throws -> CheckpointDraft {
        guard let sequence = lock.record.following else {
            throw StoreDamage(nil, "the checkpoint lock has counted as far as it can, which no ledger lives to")
        }
        return CheckpointDraft(
            range,
            sequence: sequence,
            places: lock.places,
            identity: identity,
            signer: signer
        )
    }

    /// Moves the lock to the drafted checkpoint and publishes it.
    ///
    /// - Parameter root: of the entries as they were read back.
    private func moveLock(to draft: CheckpointDraft, over root: Digest, time: LedgerTime) throws -> SignedCheckpoint {
        let signed = try draft.take(for: root)
        try lock.compareAndSwap(signed.slot)
        let checkpoint = SignedCheckpoint(checkpoint: signed.checkpoint, note: signed.slot.record.note, time: time)
        unsaved = checkpoint
        unsavedSignature = signed.note.signatures.first
        publish(checkpoint)
        return checkpoint
    }

    private func answer(
        _ calls: [PendingAppend],
        _ results: [Result<[Receipt], LedgerError>],
        _ checkpoint: SignedCheckpoint
    ) {
        for (call, result) in zip(calls, results) {
            counters.count(result)
            call.complete(result.map { AppendOutcome(receipts: $0, checkpoint: checkpoint) })
        }
        answered()
    }

    /// Answers the calls of a batch of which nothing can be recorded now. Those that were recorded before have their
    /// receipts all the same: that takes reading only.
    private func refuse(_ calls: [PendingAppend], _ refusal: LedgerError) {
        do {
            let known = try recorded(calls)
            guard let unsaved else { throw StoreDamage(nil, "no checkpoint was signed at start") }
            answer(calls, known.map { answerable($0 ?? .failure(refusal)) }, unsaved)
        } catch {
            fatal(error)
        }
    }

    /// What is answered to the calls that were recorded before; nil in the place of others, and where nobody can tell.
    private func recorded(_ calls: [PendingAppend]) throws -> [Result<[Receipt], LedgerError>?] {
        var results = [Result<[Receipt], LedgerError>?](repeating: nil, count: calls.count)
        guard !calls.isEmpty, let index = try? lookups.ready() else { return results }
        do {
            let recorded = try RecordedEvents(calls, schema, index, memory.hasher)
            try environment.read { transaction in
                var first = 0
                for (position, call) in calls.enumerated() {
                    results[position] = try recorded.answer(call, first: first, size: state.size, transaction, &memory)
                    first += call.submissions.count
                }
            }
        } catch let damage as LookupDamage {
            lookups.condemn(damage)
        }
        return results
    }

    /// Where the map can't grow, the newest checkpoint stands in the lock alone, and the next start writes it.
    private func saveCheckpoint() throws {
        do {
            try environment.write(growingTo: settings.maximumMapBytes) { try keepCheckpoint($0) }
        } catch let error as LMDBError where error.isMapFull {
            notice("the map has reached its limit: the newest checkpoint is kept in the lock alone")
        }
    }

    /// Keeps the checkpoint's signature, so that proofs at its size stay complete tlog-proofs.
    private func keepCheckpoint(_ transaction: borrowing WriteTransaction) throws {
        guard let unsaved, let unsavedSignature else { return }
        try schema.keep(unsavedSignature, size: unsaved.size, transaction)
    }

    // MARK: The clock

    /// The clock's time for the next batch. What it did since the last one is noted down, to be recorded.
    ///
    /// - Throws: `LedgerError.clockUnconfirmed` where it is not believed.
    private func confirmedTime() throws -> Int64 {
        let reading = clock.reading
        let finding = clockPolicy.judge(reading, operatorConfirms: clockStanding.takeConfirmation())
        var hold: String?
        switch finding {
        case .even: break
        case .opened(let confirmation):
            let behind = state.time.microseconds - reading.wall
            own.addClockStatus(synchronized: reading.isSynchronized, behind: behind, confirmed: confirmation)
            if behind > 0 {
                notice(
                    "the clock is \(behind / 1_000_000) seconds behind the newest entry, of \(state.time): "
                        + "until it is past that, entries are dated a microsecond apart"
                )
            }
        case .jumped(let microseconds, let confirmation):
            own.addJump(microseconds, confirmed: confirmation)
            notice("the clock jumped by \(microseconds) microseconds")
        case .held(let reason): hold = reason.description
        }
        if clockStanding.note(hold: hold) {
            notice(hold.map { "\($0): appends are refused until that is confirmed" } ?? "the clock is believed again")
        }
        if let hold { throw LedgerError.clockUnconfirmed(reason: hold) }
        return reading.wall
    }
}
