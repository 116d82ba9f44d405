import JSON
public import Ledger
import LedgerFormat
import Merkle
import OpenSSL
import Synchronization

/// Keeps documents: each encrypted under a key that hangs on its object's data key, so that erasing the object destroys it.
///
/// That a document is kept, opened or handed on is recorded before it is said or done.
public final class Vault: Sendable {
    let ledger: Ledger
    let directory: ObjectDirectory
    let settings: VaultSettings
    /// Takes a line for the log; never anything personal.
    let log: @Sendable (String) -> Void
    /// Objects that are being deposited.
    private let depositing = Mutex<Set<ID128>>([])

    /// - Parameter directory: the one the ledger destroys the files of erased objects in.
    public init(
        ledger: Ledger,
        directory: ObjectDirectory,
        settings: VaultSettings = VaultSettings(),
        log: @escaping @Sendable (String) -> Void
    ) {
        self.ledger = ledger
        self.directory = directory
        self.settings = settings
        self.log = log
    }

    /// Takes into custody what was received and recorded when the last run was cut off, and destroys what was received and
    /// not recorded. To be called before anybody is served.
    ///
    /// - Throws: `SystemError`, `StoreDamage`, `LedgerError`.
    public func settleReceived() throws {
        for (object, isWhole) in try directory.received() {
            if isWhole, let record = try record(of: object), try take(object, record) { continue }
            try directory.discard(object)
            log("what was received of a document was destroyed: its deposit was never recorded")
        }
    }

    /// Takes a file that was received and recorded to its place, where something kept it from getting there then.
    ///
    /// - Returns: whether what was received is what was recorded.
    func take(_ object: ID128, _ record: CustodyRecord) throws -> Bool {
        guard try CiphertextDigest(of: directory.arrived(object)) == record.ciphertext else { return false }
        try directory.place(object)
        return true
    }

    /// The same, where one is left to be taken.
    func takeLeft(_ object: ID128, _ record: CustodyRecord) throws {
        guard directory.isWaiting(object) else { return }
        _ = try take(object, record)
    }

    /// Keeps others from depositing the same object meanwhile.
    func claim(_ object: ID128) throws(LedgerError) {
        let isFirst = depositing.withLock { $0.insert(object).inserted }
        guard isFirst else { throw .busy }
    }

    func unclaim(_ object: ID128) { depositing.withLock { _ = $0.remove(object) } }

    /// What the ledger says of a document in custody; nil where it is in none.
    ///
    /// - Throws: `StoreDamage`, `LedgerError`.
    func record(of object: ID128) throws -> CustodyRecord? {
        guard let sealed = try first("evidence.sealed", of: object),
            let digest = sealed.body["ciphertext_sha256"]?.string.flatMap({ Digest(hex: $0) }),
            let size = sealed.body["ciphertext_size"]?.int, let deposit = try deposit(of: object)
        else { return nil }
        return CustodyRecord(deposit: deposit, ciphertext: CiphertextDigest(size: UInt64(size), sha256: digest))
    }

    /// The deposit by which a document came into custody.
    private func deposit(of object: ID128) throws -> Entry? {
        try first("evidence.deposited", of: object) { $0.body["custody"]?.string == "kept" }
    }

    private func first(
        _ type: String,
        of object: ID128,
        where isWanted: (Entry) -> Bool = { _ in true }
    ) throws -> Entry? {
        let filter = EntryFilter(stream: StreamID(kind: .object, id: object), type: type)
        var next: UInt64? = 0
        while let from = next {
            let page = try ledger.list(filter, from: from, limit: 16, reverse: false)
            for stored in page.entries {
                let entry = try Entry(stored.bytes)
                if isWanted(entry) { return entry }
            }
            next = page.next
        }
        return nil
    }
}

/// What the ledger says of a document in custody.
struct CustodyRecord {
    let deposit: Entry
    let ciphertext: CiphertextDigest
}
