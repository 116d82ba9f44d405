import Ledger
import LedgerFormat
import Synchronization
import Varlink

extension LedgerService {
    private static let watchedEntries = 256

    /// Entries from an index on, as they are recorded.
    func watch(_ call: VarlinkCall) {
        guard call.more else { return call.fail(.expectedMore) }
        let filter: EntryFilter
        let from: UInt64
        do {
            let parameters = try CallParameters(call.parameters, known: ["from", "type", "stream"])
            filter = try EntryFilter(parameters)
            from = try parameters.number("from") ?? ledger.checkpoint.size
        } catch {
            return fail(call, error)
        }
        let session = WatchSession(ledger: ledger, call: call)
        let position = SharedPosition(from)
        call.stream { [ledger] in
            do {
                return try withExtendedLifetime(session) {
                    try LedgerService.watched(ledger, filter, position, wake: call.wake)
                }
            } catch {
                return .failed(LedgerErrors.failure(error))
            }
        }
    }

    private static func watched(
        _ ledger: Ledger,
        _ filter: EntryFilter,
        _ position: SharedPosition,
        wake: () -> Void
    ) throws -> StreamStep {
        let from = position.value ?? 0
        let size = ledger.checkpoint.size
        guard from < size else { return .wait }
        let page = try ledger.list(filter, from: from, limit: watchedEntries, reverse: false)
        let seen = max(size, page.entries.last.map { $0.index + 1 } ?? 0)
        position.value = page.next ?? seen
        guard !page.entries.isEmpty else {
            // A long stretch without a match: let other calls have the worker in between.
            if page.next != nil { wake() }
            return .wait
        }
        return .item(LedgerReplies.entries(page.entries, size: size))
    }
}

/// Where a stream stands; only one of its steps runs at a time.
final class SharedPosition: Sendable {
    private let state: Mutex<UInt64?>

    init(_ value: UInt64?) { state = Mutex(value) }

    var value: UInt64? {
        get { state.withLock { $0 } }
        set { state.withLock { $0 = newValue } }
    }
}

/// Wakes a stream at each checkpoint, for as long as the connection holds it.
private final class WatchSession: Sendable {
    private let ledger: Ledger
    private let key: UInt64

    init(ledger: Ledger, call: VarlinkCall) {
        self.ledger = ledger
        key = ledger.addWatcher { _ in call.wake() }
    }

    deinit { ledger.removeWatcher(key) }
}
