import Glibc
import JSON
import Keys
import LMDB
public import LedgerFormat
public import OpenSSL
import Synchronization

/// An open ledger: one writer thread, any number of readers, one follower that keeps the look-up index.
///
/// Opening takes the checkpoint lock and refuses, with advice, whatever could lead to a fork or hide damage.
public final class Ledger: Sendable {
    let environment: Environment
    let schema: StoreSchema
    let lookups: Lookups
    let identity: LedgerIdentity
    let history: LedgerHistory
    let settings: LedgerSettings
    let claimKeys: ClaimKeys
    let queue: AppendQueue
    private let commitments = CommitmentHashers()
    let clock: LedgerClock
    private let clockStanding = ClockStanding()
    let backups = RunningBackups()
    let nodes = NodeCache()
    private let writer: LedgerWriter
    private let follower: LookupFollower
    private let keyMaker: KeyMaker?
    private let published: Mutex<SignedCheckpoint>
    private let watchers = Mutex<[UInt64: @Sendable (UInt64) -> Void]>([:])
    private let answerHook: AnswerHook
    private let nextWatcher = Atomic<UInt64>(0)
    private let threads = Mutex<[UInt]>([])
    public let counters: LedgerCounters
    /// Whether the look-up index was damaged and had to be filled anew.
    public let wasIndexRebuilt: Bool
    /// What the operator should know of how the ledger lies; a sentence each.
    public let warnings: [String]

    /// Opens and starts the ledger.
    ///
    /// - Parameters:
    ///   - custody: destroys what else is kept under scopes that are erased; those whose erasure was cut off it destroys
    ///     before the ledger is open.
    ///   - notice: takes lines for the log, such as what the clock did; never anything personal.
    ///   - fatal: called when the process must stop at once, because a write or sync failed or the store contradicts
    ///     itself; must not return.
    public convenience init(
        at locations: LedgerLocations,
        keyring: Keyring,
        settings: LedgerSettings = LedgerSettings(),
        version: String,
        custody: (any ScopeCustody)? = nil,
        notice: @escaping @Sendable (String) -> Void = { _ in },
        fatal: @escaping @Sendable (any Error) -> Never
    ) throws {
        try self.init(
            at: locations,
            keyring: keyring,
            settings: settings,
            version: version,
            clock: LedgerClock(),
            custody: custody,
            notice: notice,
            fatal: fatal
        )
    }

    init(
        at locations: LedgerLocations,
        keyring: Keyring,
        settings: LedgerSettings,
        version: String,
        clock: LedgerClock,
        custody: (any ScopeCustody)? = nil,
        notice: @escaping @Sendable (String) -> Void,
        fatal: @escaping @Sendable (any Error) -> Never
    ) throws {
        self.clock = clock
        let opening = try LedgerOpening(locations, keyring: keyring, settings: settings)
        environment = opening.environment
        schema = opening.schema
        identity = opening.identity
        history = opening.history
        self.settings = settings
        claimKeys = opening.claimKeys
        queue = AppendQueue(maximumEvents: settings.queueEvents, maximumBytes: settings.queueBytes)
        counters = LedgerCounters()
        let answerHook = AnswerHook()
        self.answerHook = answerHook
        let lookups = Lookups()
        self.lookups = lookups
        let follower = LookupFollower(
            lookups,
            LookupLog(
                environment: environment,
                schema: schema,
                claimKeys: opening.claimKeys,
                losses: history.losses
            ),
            directory: locations.index,
            settings: settings,
            keyring: keyring,
            identity: identity,
            notice: notice,
            fatal: fatal
        )
        self.follower = follower
        wasIndexRebuilt = try follower.open(checkedEntries: settings.checkedEntries)
        // The writer publishes before init ends, so what it publishes to is made first.
        let relay = CheckpointRelay()
        var own = OwnRecords()
        own.addStart(version: version, clean: opening.wasStoppedCleanly)
        let erasures = Erasures(
            environment: environment,
            schema: schema,
            tree: opening.claimKeys.tree,
            custody: custody,
            settings: settings
        )
        keyMaker = opening.claimKeys.supply.map { [tree = opening.claimKeys.tree] in
            KeyMaker($0, tree) { fatal(StoreDamage.named($0)) }
        }
        writer = LedgerWriter(
            environment: environment,
            schema: schema,
            lookups: lookups,
            queue: queue,
            settings: settings,
            lock: opening.lock,
            signer: opening.signer,
            identity: identity,
            state: opening.state,
            claims: try SealedClaims(opening.claimKeys, losses: history.losses),
            erasures: erasures,
            clock: clock,
            clockStanding: clockStanding,
            own: own,
            counters: counters,
            notice: notice,
            publish: { relay.publish($0) },
            answered: { [answerHook] in answerHook.call() },
            fatal: { fatal(StoreDamage.named($0)) }
        )
        let renewal = try writer.signCommitted()
        // Before anybody can ask for what is to be gone.
        if try erasures.arePending() { try ClaimKeys.named { [writer] in _ = try writer.executeErasures() } }
        warnings = locations.warnings + [renewal].compactMap { $0 }
        guard let first = relay.newest else { throw StoreDamage(nil, "no checkpoint was signed") }
        published = Mutex(first)
        relay.attach { [weak self] in self?.publish($0) }
        follower.committed(first.size)
        start(writer.run)
        start(follower.run)
        if !lookups.isChecked { start(follower.check) }
        if let keyMaker { start(keyMaker.run) }
    }

    /// Waits until everything accepted is answered and whole blocks of it are indexed, where the index is checked; appends
    /// are refused from now on.
    public func stop() {
        let stopped = try? SystemEvents.call("system.stopped", stream: identity.stream, now: clock.now)
        queue.close(farewell: stopped)
        let handles = threads.withLock { handles in
            defer { handles.removeAll() }
            return handles
        }
        if let writerThread = handles.first { pthread_join(pthread_t(writerThread), nil) }
        follower.stop()
        keyMaker?.stop()
        for handle in handles.dropFirst() { pthread_join(pthread_t(handle), nil) }
    }

    /// Queues a call. `complete` runs on the writer thread and must only hand the outcome on.
    ///
    /// - Throws: `LedgerError.busy` or `.stopping`, at once; `OpenSSLError` where there is no randomness.
    public func append(
        _ submissions: Submissions,
        from submitter: String,
        bytes: Int,
        complete: @escaping @Sendable (Result<AppendOutcome, LedgerError>) -> Void
    ) throws {
        try queue.add(
            PendingAppend(
                submitter: submitter,
                events: commitments.prepare(submissions, from: submitter),
                bytes: bytes,
                complete: complete
            )
        )
    }

    /// Has `deliver` called on the writer thread once all calls of a batch are completed, so that whoever waits for
    /// many of them is woken once.
    public func onBatchAnswered(_ deliver: @escaping @Sendable () -> Void) {
        answerHook.set(deliver)
    }

    /// The newest signed checkpoint; everything it covers is durable.
    public var checkpoint: SignedCheckpoint { published.withLock { $0 } }

    /// False after a refusal for want of room, until an append succeeds again, and while the clock is not believed.
    public var acceptsAppends: Bool { counters.hasRoom && clockStanding.hold == nil }

    /// Takes the operator's word that the clock's time is right.
    ///
    /// - Returns: whether appends were refused for it; within a second they are not any more.
    public func confirmClock() -> Bool { clockStanding.confirm() }

    /// The verification key of the checkpoints, C2SP signed-note form.
    public var vkey: String { identity.vkey }
    public var origin: String { identity.origin }
    /// 1 for a ledger that was never recovered.
    public var incarnation: Int64 { identity.incarnation }
    /// What its keys and claims are sealed with.
    public var suite: CipherSuite { claimKeys.tree.suite }

    /// Calls `notify` with the size after each new checkpoint until `removeWatcher`.
    public func addWatcher(_ notify: @escaping @Sendable (UInt64) -> Void) -> UInt64 {
        let key = nextWatcher.add(1, ordering: .relaxed).newValue
        watchers.withLock { $0[key] = notify }
        return key
    }

    public func removeWatcher(_ key: UInt64) {
        _ = watchers.withLock { $0.removeValue(forKey: key) }
    }

    /// Fresh ids, time in the leading bits.
    public func newIDs(_ count: Int) throws -> [ID128] {
        let now = clock.now
        return try (0..<count).map { _ in try ID128.fresh(now: now) }
    }

    /// Whether the writer has been at one batch for longer than this: the disk, most likely, hangs.
    public func isStalled(forSeconds seconds: Int64) -> Bool { writer.secondsAtBatch > seconds }

    /// How the parts stand, for status and metrics.
    public struct Gauges: Sendable {
        /// Entries the look-up index holds durably; 0 while it waits to be made.
        public let indexed: UInt64
        /// Whether every row of it is known to be as it was written. Before, only request keys are looked up in it.
        public let isIndexChecked: Bool
        /// Entries that repeat submitter and request of an earlier one, which counts: 0 but after damage.
        public let repeated: UInt64
        public let queuedEvents: Int
        public let queuedBytes: Int
        public let storeBytes: Int
        public let mapBytes: Int
        public let isClockSynchronized: Bool
        /// How many microseconds the clock is behind the newest entry; 0 where it isn't.
        public let clockBehind: Int64
        /// Why no time is taken from the clock and appends are refused; nil where they are not.
        public let clockHold: String?
    }

    public func gauges() throws -> Gauges {
        let sizes = environment.sizes
        let load = queue.load
        let index = try lookups.standing()
        return Gauges(
            indexed: index?.indexed ?? 0,
            isIndexChecked: index?.isChecked ?? false,
            repeated: index?.repeated ?? 0,
            queuedEvents: load.events,
            queuedBytes: load.bytes,
            storeBytes: sizes.used,
            mapBytes: sizes.map,
            isClockSynchronized: LedgerClock.isSynchronized,
            clockBehind: max(0, checkpoint.time.microseconds - clock.now),
            clockHold: clockStanding.hold
        )
    }

    func sealedClaims() throws -> SealedClaims { try SealedClaims(claimKeys, losses: history.losses) }

    private func publish(_ checkpoint: SignedCheckpoint) {
        published.withLock { $0 = checkpoint }
        follower.committed(checkpoint.size)
        for notify in watchers.withLock({ Array($0.values) }) { notify(checkpoint.size) }
    }

    private func start(_ body: @escaping @Sendable () -> Void) {
        let box = Unmanaged.passRetained(ThreadBody(run: body))
        var thread = pthread_t()
        let code = pthread_create(
            &thread,
            nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            },
            box.toOpaque()
        )
        precondition(code == 0, "a thread can be started")
        threads.withLock { $0.append(UInt(thread)) }
    }
}

private final class ThreadBody: Sendable {
    let run: @Sendable () -> Void

    init(run: @escaping @Sendable () -> Void) { self.run = run }
}
