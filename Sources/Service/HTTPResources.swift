import Ledger
import LedgerFormat
import Merkle
public import Varlink

extension LedgerService {
    /// The read-only resources: the newest checkpoint, the tiles of C2SP tlog-tiles, and metrics for Prometheus.
    public func get(_ path: String, query: String?, peer: PeerCredentials) -> HTTPResource {
        guard let allowed = MethodAccess.allows(path: path, settings.access.principal(of: peer)) else {
            return LedgerService.text(404, "nothing is at this path\n")
        }
        guard allowed else {
            ledger.counters.countRefusal()
            return LedgerService.text(403, "your user may not read this\n")
        }
        if path.utf8.starts(with: FetchWish.path.utf8), let principal = settings.access.principal(of: peer) {
            return getObject(path, query: query, principal)
        }
        do {
            switch path {
            case "/checkpoint": return LedgerService.text(200, ledger.checkpoint.note)
            case "/metrics": return HTTPResource(status: 200, contentType: Metrics.contentType, body: try metrics())
            default:
                guard let tile = Tile(path: Substring(path.utf8.dropFirst())), let bytes = try ledger.tile(tile) else {
                    return LedgerService.text(404, "the tree has no such tile\n")
                }
                return HTTPResource(status: 200, contentType: "application/octet-stream", body: bytes)
            }
        } catch {
            log("GET \(path) failed: \(Ledger.forLog(error))")
            return LedgerService.text(500, "\(LedgerErrors.failure(error))\n")
        }
    }

    private static func text(_ status: Int, _ text: String) -> HTTPResource {
        HTTPResource(status: status, contentType: "text/plain; charset=utf-8", body: Array(text.utf8))
    }

    private func metrics() throws -> [UInt8] {
        let gauges = try ledger.gauges()
        let counters = ledger.counters
        var metrics = Metrics()
        metrics.gauge("tree_size", "Entries covered by the newest checkpoint.", Int(ledger.checkpoint.size))
        metrics.gauge("incarnation", "1 for a ledger that was never recovered.", Int(ledger.incarnation))
        metrics.counter("appended_events_total", "Events recorded since the start.", counters.appended)
        metrics.counter("duplicate_events_total", "Events answered with an earlier receipt.", counters.duplicates)
        metrics.counter("refused_calls_total", "Calls refused since the start.", counters.refused)
        metrics.counter(
            "conflicting_calls_total",
            "Calls that used a request key for other content than before.",
            counters.conflicts
        )
        metrics.counter(
            "throttled_calls_total",
            "Calls refused unread because their request keys were used for other content too often.",
            counters.throttled
        )
        metrics.gauge("queued_events", "Events waiting for the writer.", gauges.queuedEvents)
        metrics.gauge("queued_bytes", "Bytes of events waiting for the writer.", gauges.queuedBytes)
        metrics.gauge("indexed_entries", "Entries the look-up index holds durably.", Int(gauges.indexed))
        metrics.gauge(
            "index_checked",
            "0 while the look-up index waits to be made or is checked after the start.",
            gauges.isIndexChecked ? 1 : 0
        )
        metrics.gauge("store_bytes", "Bytes of the store in use.", gauges.storeBytes)
        metrics.gauge("store_map_bytes", "Size the store may reach before its map grows.", gauges.mapBytes)
        metrics.gauge("connections", "Open connections.", connections)
        let server = currentServer
        metrics.gauge("bodies", "Documents going in or out.", server?.bodies ?? 0)
        metrics.gauge("input_bytes", "Bytes of calls being received or answered.", server?.heldInputBytes ?? 0)
        metrics.counter(
            "refused_connections_total",
            "Connections let go because no more files may be open.",
            server?.refusedForFiles ?? 0
        )
        metrics.gauge("clock_synchronized", "1 if the kernel says so.", gauges.isClockSynchronized ? 1 : 0)
        metrics.gauge("clock_held", "1 while no time is taken from the clock.", gauges.clockHold == nil ? 0 : 1)
        metrics.gauge(
            "clock_behind_microseconds",
            "How far the clock is behind the newest entry.",
            Int(gauges.clockBehind)
        )
        metrics.gauge(
            "accepts_appends",
            "0 while disk or map are full or the clock is held.",
            ledger.acceptsAppends ? 1 : 0
        )
        return Array(metrics.text.utf8)
    }
}

/// Text of the Prometheus exposition format, version 0.0.4.
private struct Metrics {
    static let contentType = "text/plain; version=0.0.4; charset=utf-8"
    private(set) var text = ""

    mutating func gauge(_ name: String, _ help: String, _ value: Int) { add(name, "gauge", help, value) }

    mutating func counter(_ name: String, _ help: String, _ value: Int) { add(name, "counter", help, value) }

    private mutating func add(_ name: String, _ type: String, _ help: String, _ value: Int) {
        text += "# HELP evidenced_\(name) \(help)\n# TYPE evidenced_\(name) \(type)\nevidenced_\(name) \(value)\n"
    }
}
