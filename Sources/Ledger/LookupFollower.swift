import Glibc
import LMDB
import LedgerFormat
import Synchronization

/// Keeps the look-up index: opens it and catches it up with the log, makes it anew where it is damaged, and moves whole
/// blocks of entries from the tail into it, each in a durable commit of its own. Where its disk is full it waits for room
/// and goes on by itself. What is left of a block is read again from the log at the next start. It also clears up after
/// readers of other processes that were killed.
final class LookupFollower: @unchecked Sendable {
    // Sendable: `unfinished`, `forgetting` and `damaged` belong to whoever runs `open`, and after it to the one thread that runs `run`.
    private struct State {
        var size: UInt64 = 0
        var stopping = false
    }

    /// Microseconds between looks at the tail.
    private static let poll: UInt32 = 20_000
    /// How much those who append and read come before the check of an index; of the disk it takes likewise less.
    private static let niceness: Int32 = 10
    /// Seconds between looks for room.
    private static let retry: Int64 = 1
    /// Seconds between looks for readers that died: their snapshots keep pages from being used again.
    private static let reaping: Int64 = 10
    /// Entries of one kind that are named in the log of the daemon.
    private static let toldEntries = 10
    private let lookups: Lookups
    private let log: LookupLog
    private let directory: LookupDirectory
    private let settings: LedgerSettings
    private let keyring: Keyring
    private let identity: LedgerIdentity
    private let state = Mutex(State())
    private let notice: @Sendable (String) -> Void
    private let fatal: @Sendable (any Error) -> Never
    /// An index that is open but holds less than the tail could make up for.
    private var unfinished: LookupIndex?
    /// Works off what was erased; nil before there is an index that was checked.
    private var forgetting: LookupForgetting?
    /// Entries whose claims were told to be damaged.
    private var damaged: Set<UInt64> = []

    /// - Parameters:
    ///   - notice: takes lines for the log of the daemon.
    ///   - fatal: called where a write or sync fails for another reason than want of room.
    init(
        _ lookups: Lookups,
        _ log: LookupLog,
        directory: String,
        settings: LedgerSettings,
        keyring: Keyring,
        identity: LedgerIdentity,
        notice: @escaping @Sendable (String) -> Void,
        fatal: @escaping @Sendable (any Error) -> Never
    ) {
        self.lookups = lookups
        self.log = log
        self.directory = LookupDirectory(path: directory, ledger: identity.stream)
        self.settings = settings
        self.keyring = keyring
        self.identity = identity
        self.notice = notice
        self.fatal = fatal
    }

    /// Tells how many entries are committed; only those are indexed.
    func committed(_ size: UInt64) { state.withLock { $0.size = size } }

    /// Asks `run` to store the whole blocks that are left and return.
    func stop() { state.withLock { $0.stopping = true } }

    func run() {
        var reaped = LedgerClock.steadySeconds
        var tried = LedgerClock.steadySeconds
        while true {
            let now = LedgerClock.steadySeconds
            if now - reaped >= LookupFollower.reaping {
                reaped = now
                log.environment.reapReaders()
                (try? lookups.ready())?.environment.reapReaders()
            }
            let (size, stopping) = state.withLock { ($0.size, $0.stopping) }
            // Room, and what else is short, is looked for now and then; a damaged index is made anew at once.
            let isDue = !(lookups.isFull || lookups.isShort) || now - tried >= LookupFollower.retry || stopping
            var isBusy = false
            if isDue {
                tried = now
                do {
                    isBusy = try step(size)
                    lookups.note(isShort: false)
                } catch  where Shortage.isMeant(by: error) {
                    if lookups.note(isShort: true) {
                        notice("the look-up index is not kept up, which is tried again: \(error)")
                    }
                } catch {
                    fatal(error)
                }
            }
            if isBusy { continue }
            if stopping { return }
            usleep(LookupFollower.poll)
        }
    }

    /// Stores a block, or makes the index ready where it is not.
    ///
    /// - Returns: whether there may be more to do at once.
    private func step(_ size: UInt64) throws -> Bool {
        guard let index = try? lookups.ready() else {
            // It must be closed before another is opened.
            forgetting = nil
            if !isStopping, !lookups.isRetiring { _ = try open() }
            return false
        }
        guard index.isChecked else { return false }
        do {
            if let records = index.tail.oldest(Int(LookupBlock.entries), below: size) {
                try index.store(records)
                index.tail.drop(records)
                noteRoom()
                return true
            }
            return try forget(index, below: size)
        } catch is LookupFull {
            noteFull()
        } catch let damage as LookupDamage {
            lookups.condemn(damage)
        }
        return false
    }

    /// Takes a part of what was erased out of the index.
    ///
    /// - Returns: whether there may be more to do at once.
    private func forget(_ index: LookupIndex, below size: UInt64) throws -> Bool {
        // The next start goes on where this one ended.
        guard !isStopping else { return false }
        var work = try forgetting.flatMap { $0.index === index ? $0 : nil } ?? LookupForgetting(index, log)
        defer { forgetting = work }
        let wasHeld = work.damage != nil
        let isBusy = try work.step(below: size)
        if !wasHeld, let damage = work.damage {
            notice(
                "what was erased is not all taken out of the look-up index, for the store is damaged: \(damage.forLog)"
            )
        }
        if isBusy { noteRoom() }
        return isBusy
    }

    /// Checks the index the start has put in place, where it was too large for that then; meant for a thread of its own,
    /// which gives way to others. A damaged one is made anew by `run`.
    func check() {
        guard let index = try? lookups.ready() else { return }
        // It is as right without.
        _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, LookupFollower.niceness)
        var isTold = false
        while isWanted(index) {
            do {
                try index.check { guard self.isWanted(index) else { throw Abandoned() } }
                return
            } catch is Abandoned {
                return
            } catch let damage as LookupDamage {
                return lookups.condemn(damage)
            } catch  where Shortage.isMeant(by: error) {
                if !isTold { notice("the look-up index is not checked, which is tried again: \(error)") }
                isTold = true
                let now = LedgerClock.steadySeconds
                while isWanted(index), LedgerClock.steadySeconds - now < LookupFollower.retry {
                    usleep(LookupFollower.poll)
                }
            } catch {
                fatal(error)
            }
        }
    }

    /// The check of an index that is not wanted any more.
    private struct Abandoned: Error {}

    /// Whether the index is worth checking: another may have found damage meanwhile.
    private func isWanted(_ index: LookupIndex) -> Bool { !isStopping && (try? lookups.ready()) === index }

    private var isStopping: Bool { state.withLock { $0.stopping } }

    private func noteRoom() {
        guard lookups.isFull else { return }
        lookups.note(isFull: false)
        notice("the look-up index has room again")
    }

    private func noteFull() {
        guard !lookups.isFull else { return }
        lookups.note(isFull: true)
        notice("the look-up index has no room on its disk: appends go on until \(settings.tailEntries) entries wait")
    }

    // MARK: Opening

    /// Opens the index and catches it up with the log. One that is damaged, or is not of this incarnation, is moved aside
    /// and made anew: everything in it is derived. Where there is no room for that, it is left waiting.
    ///
    /// - Parameter checkedEntries: an index of more entries is put in place unchecked, where what it lacks has room in its
    ///   tail: `check` comes after.
    /// - Returns: whether there was one that had to be made anew.
    /// - Throws: `StartupRefusal` where the directory holds something else; `StoreDamage`, or what else the log can't be
    ///   read for; what `Shortage` means, which passes.
    func open(checkedEntries: UInt64 = .max) throws -> Bool {
        var isRebuilt = false
        do {
            if unfinished == nil { unfinished = try openIndex(&isRebuilt, checkedEntries) }
            if let unfinished { try catchUp(unfinished) }
            unfinished = nil
        } catch let damage as LookupDamage where !isRebuilt {
            // It was whole a moment ago. A new one is damaged once more only where the disk or the memory is.
            notice("the look-up index was moved aside (\(damage)) and is made anew")
            unfinished = nil
            try directory.moveAside()
            _ = try open()
            return true
        } catch is LookupFull {
            if !lookups.isFull {
                notice("the look-up index has no room on its disk: until it has, appends and look-ups are refused")
            }
            lookups.waitForRoom()
        }
        return isRebuilt
    }

    private func openIndex(_ isRebuilt: inout Bool, _ checkedEntries: UInt64) throws -> LookupIndex {
        try directory.claim()
        if let damage = lookups.damage {
            // Whatever it says of itself.
            isRebuilt = true
            try directory.moveAside()
            lookups.noteMovedAside()
            notice("the look-up index was moved aside (\(damage)) and is made anew")
        }
        let isNew = !directory.hasData
        do {
            let index = try makeIndex(checkedEntries)
            guard try agrees(index) else { throw LookupDamage("it is of another history than the store") }
            return index
        } catch  where !isNew && error is LookupDamage {
            notice("the look-up index was moved aside (\(error)) and is made anew")
        }
        isRebuilt = true
        try directory.moveAside()
        return try makeIndex(checkedEntries)
    }

    private func makeIndex(_ checkedEntries: UInt64) throws -> LookupIndex {
        let isNew = !directory.hasData
        do {
            return try LookupIndex(
                directory: directory.path,
                mapBytes: settings.indexMapBytes,
                readers: settings.readers + settings.ownReaders,
                ownReaders: settings.ownReaders,
                key: keyring.indexKey,
                ledger: identity.encoded,
                checkedEntries: checkedEntries
            )
        } catch {
            guard LookupFull.isMeant(by: error) else { throw LookupDamage.named(error) }
            if isNew { directory.removeData() }
            throw LookupFull()
        }
    }

    /// Whether the index was made from this very log: its last entry, which stands for all before it, is the log's; and it
    /// says of the newest ones what they say.
    private func agrees(_ index: LookupIndex) throws -> Bool {
        let state = try index.read { try index.state($0) }
        let size = try log.size()
        guard state.forgotten <= size else { return false }
        guard state.indexed > 0 else { return true }
        guard state.indexed <= size, try log.leaf(state.indexed - 1) == state.last else { return false }
        let first = state.indexed > settings.verifiedTail ? state.indexed - settings.verifiedTail : 0
        for record in try log.records(first..<state.indexed) where try index.contradiction(record) != nil {
            // The first of two that have one request key is what the index must name.
            guard state.repeated > 0, try log.isRepeated(record, index) else { return false }
        }
        return true
    }

    /// Stores the whole blocks the log has beyond the index, then gives the rest to its tail and puts it in place.
    ///
    /// - Throws: `LookupFull` where there is no room, and more is left than the tail may hold.
    private func catchUp(_ index: LookupIndex) throws {
        var next = try index.indexed()
        if !index.isChecked, try log.size() - next > UInt64(settings.tailEntries) { try index.check() }
        // What is read from here on knows of all that the log says is erased. Where there is no room to note that, it is
        // looked through again.
        if index.isChecked, next == 0, try log.size() >= LookupBlock.entries {
            do { try index.revise([], forgotten: log.size()) } catch is LookupFull {}
        }
        while index.isChecked, try next + LookupBlock.entries <= log.size() {
            if isStopping { return }
            let block = try log.records(next..<next + LookupBlock.entries, damaged: noteDamage)
            do {
                note(try index.store(block))
                noteRoom()
            } catch is LookupFull {
                guard try log.size() - next <= UInt64(settings.tailEntries) else { throw LookupFull() }
                noteFull()
                break
            }
            next += LookupBlock.entries
        }
        try lookups.put(index) {
            let rest = try log.records(next..<(try log.size()), damaged: noteDamage)
            note(index.tail.add(rest, earlier: try index.indexes(of: rest.map(\.request))))
        }
        let repeated = try index.repeated()
        if repeated > 0 {
            notice(
                "\(repeated) entries repeat submitter and request of an earlier one, which counts: 'evidence audit' lists them"
            )
        }
    }

    private func note(_ repeated: [UInt64]) {
        for index in repeated.prefix(LookupFollower.toldEntries) {
            notice("entry \(index) repeats the submitter and request of an earlier entry; the earlier one counts")
        }
    }

    /// Says once which entries are indexed without their documents.
    private func noteDamage(_ index: UInt64) {
        guard damaged.count < LookupFollower.toldEntries, damaged.insert(index).inserted else { return }
        notice(
            "the claims of entry \(index) are damaged, 'evidence audit' says how: nothing is found by documents, for it may record any"
        )
    }
}
