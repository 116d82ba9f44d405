import JSON
import Ledger
import LedgerFormat
import Merkle
import Synchronization
import Varlink

extension LedgerService {
    func status(_ bytes: [UInt8], _ principal: Principal) throws -> [UInt8] {
        _ = try CallParameters(bytes, known: [])
        let signed = ledger.checkpoint
        let gauges = try ledger.gauges()
        let counters = ledger.counters
        return JSONValue.members([
            "acceptsAppends": .bool(ledger.acceptsAppends), "appended": .int(Int64(counters.appended)),
            "clock": .string(gauges.isClockSynchronized ? "synchronized" : "unsynchronized"),
            "clockBehind": .int(gauges.clockBehind), "clockHold": gauges.clockHold.map { .string($0) } ?? .null,
            "conflicts": .int(Int64(counters.conflicts)), "connections": .int(Int64(connections)),
            "duplicates": .int(Int64(counters.duplicates)),
            "incarnation": .int(ledger.incarnation), "indexChecked": .bool(gauges.isIndexChecked),
            "indexed": .int(Int64(gauges.indexed)),
            "mapBytes": .int(Int64(gauges.mapBytes)), "origin": .string(ledger.origin),
            "principal": .string(principal.name), "queued": .int(Int64(gauges.queuedEvents)),
            "queuedBytes": .int(Int64(gauges.queuedBytes)), "refused": .int(Int64(counters.refused)),
            "repeated": .int(Int64(gauges.repeated)),
            "roles": .array(principal.roles.map(\.rawValue).sorted().map { .string($0) }),
            "root": .string(signed.root.base64), "size": .int(Int64(signed.size)),
            "storeBytes": .int(Int64(gauges.storeBytes)), "throttled": .int(Int64(counters.throttled)),
            "time": .string(signed.time.description), "version": .string(version),
            "warnings": .array((ledger.warnings + settings.warnings).map { .string($0) }),
        ]).canonicalBytes
    }

    func confirmClock(_ bytes: [UInt8], _ principal: Principal) throws -> [UInt8] {
        _ = try CallParameters(bytes, known: [])
        let held = ledger.confirmClock()
        log("\(principal.name) confirmed the clock, which was \(held ? "" : "not ")held")
        return JSONValue.members(["held": .bool(held)]).canonicalBytes
    }

    /// Writes a backup, on a worker, one at a time.
    func backup(_ call: VarlinkCall) {
        guard let turn = BackupTurn(isBackingUp) else { return call.fail(LedgerErrors.busy) }
        answer(call) { [self] in
            // Before the answer, which may bring the next call.
            defer { turn.end() }
            let parameters = try CallParameters(call.parameters, known: ["directory"])
            let directory = try parameters.required("directory", "must be an absolute path without '..'") { $0 }
            guard let root = settings.backupRoot else {
                throw LedgerErrors.invalidArgument("directory", "must lie below backup-root, which is not configured")
            }
            let report = try ledger.backup(to: directory, below: root)
            log("backup of \(report.size) entries written to \(directory)")
            return JSONValue.members([
                "bytes": .int(Int64(report.bytes)), "root": .string(report.root.base64),
                "size": .int(Int64(report.size)),
            ]).canonicalBytes
        }
    }
}

/// The turn to make a backup. It ends with the last reference at the latest, so also where the call is dropped with its
/// connection before it is done.
private final class BackupTurn: Sendable {
    private let isTaken: BackupFlag
    private let hasEnded = Atomic<Bool>(false)

    /// Nil while another has it.
    init?(_ isTaken: BackupFlag) {
        guard !isTaken.value.exchange(true, ordering: .acquiringAndReleasing) else { return nil }
        self.isTaken = isTaken
    }

    deinit { end() }

    func end() {
        guard !hasEnded.exchange(true, ordering: .acquiringAndReleasing) else { return }
        isTaken.value.store(false, ordering: .releasing)
    }
}

/// Whether a backup is under way.
final class BackupFlag: Sendable {
    fileprivate let value = Atomic<Bool>(false)
}
