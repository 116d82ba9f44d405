import JSON
import Ledger
import LedgerFormat
import Merkle
import Varlink

/// The errors of `org.evidenced.Ledger`, made from what the ledger throws.
enum LedgerErrors {
    static let interface = "org.evidenced.Ledger"

    static func invalidArgument(_ field: String, _ rule: String) -> VarlinkError {
        error("InvalidArgument", ["field": .string(field), "rule": .string(rule)])
    }

    static func invalidEvent(_ event: Int, _ field: String, _ rule: String) -> VarlinkError {
        error("InvalidEvent", ["event": .int(Int64(event)), "field": .string(field), "rule": .string(rule)])
    }

    static func permissionDenied(_ method: String, type: String? = nil) -> VarlinkError {
        error("PermissionDenied", ["method": .string(method), "type": type.map { .string($0) } ?? .null])
    }

    static func tooLarge(_ what: String, limit: Int) -> VarlinkError {
        error("TooLarge", ["limit": .int(Int64(limit)), "what": .string(what)])
    }

    static let busy = error("Busy", [:])

    /// No directory is configured for documents.
    static let noVault = error("NotFound", ["what": .string("a vault: the daemon is not configured to keep documents")])

    static func refusal(_ refusal: LedgerError) -> VarlinkError {
        switch refusal {
        case .invalidEvent(let event, let field, let rule): invalidEvent(event, field, rule)
        case .requestConflict(let event, let index):
            error("RequestConflict", ["event": .int(Int64(event)), "index": .int(Int64(index))])
        case .throttled(let event, let seconds):
            error("Throttled", ["event": .int(Int64(event)), "seconds": .int(seconds)])
        case .invalidArgument(let field, let rule): invalidArgument(field, rule)
        case .notFound(let what): error("NotFound", ["what": .string(what)])
        case .tooLarge(let what, let limit): tooLarge(what, limit: limit)
        case .busy: busy
        case .storeFull(let reason): error("StoreFull", ["reason": .string(reason)])
        case .clockUnconfirmed(let reason): error("ClockUnconfirmed", ["reason": .string(reason)])
        case .stopping: error("Stopping", [:])
        case .erasedClaims(let index, let erasure):
            error(
                "ErasedClaims",
                ["index": .int(Int64(index)), "erasure": erasure.map { .int(Int64($0)) } ?? .null]
            )
        case .damaged(let index, let what): damaged(index, what)
        }
    }

    /// Any error of a read.
    static func failure(_ failure: any Error) -> VarlinkError {
        switch Ledger.explained(failure) {
        case let failure as VarlinkError: failure
        case let failure as LedgerError: refusal(failure)
        case let damage as StoreDamage: damaged(damage.index, damage.what)
        default: error("Failed", ["reason": .string("\(failure)")])
        }
    }

    private static func damaged(_ index: UInt64?, _ what: String) -> VarlinkError {
        error("StoreDamaged", ["index": index.map { .int(Int64($0)) } ?? .null, "what": .string(what)])
    }

    private static func error(_ name: String, _ parameters: KeyValuePairs<String, JSONValue>) -> VarlinkError {
        VarlinkError(name: "\(interface).\(name)", parameters: JSONValue.members(parameters).canonicalBytes)
    }
}
