import Files
import LMDB
import LedgerFormat
import OpenSSL

/// Makes anew what a store keeps that follows from the rest of it: the rows of streams, from the entries; those of scopes,
/// as far as the entries, what is left of the rows, and the key tree tell them. Nothing is signed, and no entry is touched.
public enum StoreRepair {
    /// How many rows were wrong, missing or too many.
    public struct Repaired: Sendable {
        public let streams: Int
        public let scopes: Int
    }

    /// Repairs the store of a stopped ledger, in one durable transaction.
    ///
    /// - Parameters:
    ///   - keyring: opens the key tree, where the key of a scope must be looked for.
    ///   - progress: pages, then entries, done and in all.
    /// - Throws: `StartupRefusal` `.damaged` where the entries, the tree or the checkpoints are damaged themselves, or nobody
    ///   can tell the key of a scope; `.otherRoot` where they are not what the lock says; `.inUse`; `StoreDamage` where the
    ///   file can't be followed. Nothing is changed then.
    public static func run(
        at locations: LedgerLocations,
        keyring: Keyring,
        progress: (UInt64, UInt64) -> Void = { _, _ in }
    ) throws -> Repaired {
        let hold = try StoreHold(directory: locations.store)
        defer { withExtendedLifetime(hold) {} }
        let (environment, schema) = try withoutActuallyEscaping(progress) { progress in
            try StoreSchema.open(
                directory: locations.store,
                mapBytes: 16 << 20,
                readers: 126,
                create: false,
                checkPages: progress
            )
        }
        try environment.read { try LedgerOpening.requireFormat($0, schema) }
        var walk = try LedgerAudit.derive(environment, schema, leavesOutStreams: true, progress: progress)
        let whole = walk.findings.isEmpty
        // A lock that is lost or damaged is another matter: the kept checkpoints were compared.
        if let lock = try? CheckpointLock.peek(locations.lock) {
            walk.compare(lock: lock, path: locations.lock) { size in
                try environment.read { try schema.root($0, size: size) }
            }
        }
        if let first = walk.findings.first {
            throw StartupRefusal(
                whole ? .otherRoot : .damaged,
                "nothing can be derived from the store: \(first)",
                advice: "Run 'evidence audit' to see all of it, and put a store or a backup in its place that is intact"
            )
        }
        let streams = try StreamDerivation(environment, schema, size: walk.size)
        let scopes = try ScopeDerivation(environment, schema, walk, locations.keys, keyring)
        guard streams.wrong > 0 || scopes.wrong > 0 else { return Repaired(streams: 0, scopes: 0) }
        guard try hold.file.isInPlace() else { throw LockConflict(path: hold.file.path, "removed or replaced") }
        try environment.write(growingTo: .max) { transaction in
            if streams.wrong > 0 { try streams.write(transaction, schema) }
            if scopes.wrong > 0 { try scopes.write(transaction, schema) }
        }
        return Repaired(streams: streams.wrong, scopes: scopes.wrong)
    }
}

/// The rows of `streams`, derived from the entries.
private struct StreamDerivation {
    private var memberships: [Staging.Membership] = []
    /// Rows that are not as they must be.
    private(set) var wrong = 0

    init(_ environment: Environment, _ schema: StoreSchema, size: UInt64) throws {
        var next: UInt64 = 0
        while next < size {
            let count = min(size - next, 4_096)
            try environment.read { transaction in
                try transaction.forEach(schema.entries, from: next, count: Int(count)) { index, stored in
                    guard let stored else { throw StoreDamage(index, "the entry is missing") }
                    memberships += try Entry([UInt8](stored)).streams.map {
                        Staging.Membership(stream: $0.stream, number: UInt64($0.number), index: index)
                    }
                }
            }
            next += count
        }
        memberships.sort { left, right in
            (left.stream.id, left.stream.kind.code, left.number) < (
                right.stream.id, right.stream.kind.code, right.number
            )
        }
        try requireCounting()
        wrong = try environment.read { transaction in
            var key: [UInt8] = []
            var found = 0
            for membership in memberships {
                StoreKey.stream(membership.stream, number: membership.number, in: &key)
                if try schema.streams.stored(transaction, key) == StoreKey.number(membership.index) { found += 1 }
            }
            let rows = try schema.streams.count(transaction)
            let areLinked = try schema.streams.forEach(transaction) { _, _ in }
            return max(memberships.count - found, rows - found, areLinked ? 0 : 1)
        }
    }

    /// Refuses entries that number themselves wrongly: what they say is signed, and no row can make it right.
    private func requireCounting() throws(StoreDamage) {
        var last: Staging.Membership?
        for membership in memberships {
            let before = last.flatMap { $0.stream == membership.stream ? $0 : nil }
            guard membership.number == before.map({ $0.number + 1 }) ?? 0,
                before.map({ $0.index < membership.index }) ?? true
            else {
                throw StoreDamage(
                    membership.index,
                    "the entry says it is number \(membership.number), and the one before it is not there",
                    of: membership.stream
                )
            }
            last = membership
        }
    }

    func write(_ transaction: borrowing WriteTransaction, _ schema: StoreSchema) throws {
        try transaction.clear(schema.streams.database)
        try schema.streams.begin(transaction)
        try schema.streams.insert(transaction, ascending: memberships.count) { position, key, content in
            let membership = memberships[position]
            StoreKey.stream(membership.stream, number: membership.number, in: &key)
            StoreKey.number(membership.index, in: &content)
        }
    }
}
