public import Ledger
import LedgerFormat
import Synchronization
public import Varlink
public import Vault

/// Binds `org.evidenced.Ledger` to a ledger: reads parameters, asks who may do what, and answers. It knows no rule of
/// the ledger itself.
public final class LedgerService: VarlinkService {
    /// What the configuration decides.
    public struct Settings: Sendable {
        public var access: AccessPolicy
        /// Most events of one Append.
        public var batchEvents = 4_096
        /// Directory below which Backup may write; nil refuses every backup.
        public var backupRoot: String?
        /// What of the configuration is unwise, for Status; a sentence each.
        public var warnings: [String] = []
        /// Keeps documents; nil where none are kept.
        public var vault: Vault?

        public init(access: AccessPolicy) { self.access = access }
    }

    /// Longest parameters of any method but Append, in bytes.
    static let maximumQueryBytes = 64 << 10
    /// Methods whose parameters hold events, and so are long.
    private static let takesEvents: Set<String> = ["Append", "Erase", "Deposit", "BeginUpload"]
    let ledger: Ledger
    let settings: Settings
    /// Takes a line for the log about what was disclosed or went wrong; never anything personal.
    let log: @Sendable (String) -> Void
    let conflictLog: ConflictLog
    let isBackingUp = BackupFlag()
    /// Deposits whose bytes come in several requests.
    let uploads = Uploads()
    private let inFlight = Atomic<Int>(0)
    private let server = Mutex<VarlinkServer?>(nil)
    public let version: String

    public init(ledger: Ledger, settings: Settings, version: String, log: @escaping @Sendable (String) -> Void) {
        self.ledger = ledger
        self.settings = settings
        self.version = version
        self.log = log
        conflictLog = ConflictLog(log: log)
    }

    /// Makes a server whose workers do this service's reads.
    public func makeServer(limits: VarlinkLimits) -> VarlinkServer {
        let made = VarlinkServer(service: self, limits: limits, workers: 4, log: log)
        server.withLock { $0 = made }
        ledger.onBatchAnswered { [weak made] in made?.deliverAnswers() }
        return made
    }

    public var vendor: String { "evidenced" }
    public var product: String { "evidenced" }
    public var url: String { "https://evidenced.org" }
    public let interfaces = [
        VarlinkInterface(
            name: LedgerErrors.interface,
            description: String(decoding: PackageResources.org_evidenced_Ledger_varlink, as: UTF8.self)
        ),
        VarlinkInterface(
            name: MethodAccess.privacyInterface,
            description: String(decoding: PackageResources.org_evidenced_Privacy_varlink, as: UTF8.self)
        ),
        VarlinkInterface(
            name: MethodAccess.vaultInterface,
            description: String(decoding: PackageResources.org_evidenced_Vault_varlink, as: UTF8.self)
        ),
    ]

    public var hasCallsInFlight: Bool { inFlight.load(ordering: .acquiring) > 0 }

    public var principals: Int { settings.access.principals.count }

    public func principal(of peer: PeerCredentials) -> String? { settings.access.principal(of: peer)?.name }

    public func refusal(of method: String, for peer: PeerCredentials) -> VarlinkError? {
        guard let name = MethodAccess.name(of: method) else { return .methodNotFound(method) }
        if let principal = settings.access.principal(of: peer), MethodAccess.allows(name, principal) { return nil }
        ledger.counters.countRefusal()
        return LedgerErrors.permissionDenied(name)
    }

    public func handle(_ call: VarlinkCall) {
        guard let method = MethodAccess.name(of: call.method) else { return call.fail(.methodNotFound(call.method)) }
        // Nothing is done for whom it was not asked.
        guard let principal = settings.access.principal(of: call.peer), MethodAccess.allows(method, principal) else {
            return call.fail(LedgerErrors.permissionDenied(method))
        }
        // Only events need room; what else is asked is short, and costs many times its length while it is read.
        guard LedgerService.takesEvents.contains(method) || call.parameters.count <= LedgerService.maximumQueryBytes
        else {
            ledger.counters.countRefusal()
            return call.fail(LedgerErrors.tooLarge("parameters", limit: LedgerService.maximumQueryBytes))
        }
        switch method {
        case "Append": append(call, principal, erasing: false)
        case "Erase": append(call, principal, erasing: true)
        case "Deposit": deposit(call, principal)
        case "Fetch": fetch(call, principal)
        case "CheckObjects": checkObjects(call)
        case "Watch": watch(call)
        case "ListEntries" where call.more: listAll(call)
        case "Backup": backup(call)
        default: answer(call) { [self] in try read(method, call.parameters, principal) }
        }
    }

    /// Notes that a call is under way until the result is let go of: answered, or dropped with its connection.
    func begin() -> CallInFlight {
        inFlight.add(1, ordering: .acquiringAndReleasing)
        return CallInFlight(service: self)
    }

    func end() { inFlight.subtract(1, ordering: .acquiringAndReleasing) }

    /// Answers on a worker thread with what `body` gives or throws.
    func answer(_ call: VarlinkCall, _ body: @escaping @Sendable () throws -> [UInt8]) {
        let underWay = begin()
        call.perform { [self] in
            withExtendedLifetime(underWay) {
                do {
                    call.reply(try body(), isOneOfMany: true)
                } catch {
                    fail(call, error)
                }
            }
        }
    }

    func fail(_ call: VarlinkCall, _ error: any Error) {
        if !(error is LedgerError || error is VarlinkError) { log("\(call.method) failed: \(Ledger.forLog(error))") }
        call.fail(LedgerErrors.failure(error))
    }

    /// What `makeServer` made.
    var currentServer: VarlinkServer? { server.withLock { $0 } }

    var connections: Int { currentServer?.connections ?? 0 }

    private func read(_ method: String, _ parameters: [UInt8], _ principal: Principal) throws -> [UInt8] {
        switch method {
        case "NewIds": try newIds(parameters)
        case "GetEntry": try getEntry(parameters)
        case "ListEntries": try listEntries(parameters)
        case "FindByDigest": try findByDigest(parameters)
        case "GetCheckpoint": try getCheckpoint(parameters)
        case "ProveInclusion": try proveInclusion(parameters)
        case "ProveConsistency": try proveConsistency(parameters)
        case "Open": try open(parameters, principal)
        case "Status": try status(parameters, principal)
        case "ConfirmClock": try confirmClock(parameters, principal)
        case "BeginUpload": try beginUpload(parameters, principal)
        case "UploadStatus": try uploadStatus(parameters, principal)
        case "AbandonUpload": try abandonUpload(parameters, principal)
        default: throw VarlinkError.methodNotImplemented("\(LedgerErrors.interface).\(method)")
        }
    }
}

/// A call that is not answered yet.
final class CallInFlight: Sendable {
    private let service: LedgerService

    init(service: LedgerService) { self.service = service }

    deinit { service.end() }
}
