import Files
import Keys
import LMDB
import LedgerFormat
import Merkle
import OpenSSL

/// The databases of the store and the shape of their keys (`ledger-format.md` section 9). Keys grow with time, those of
/// streams and scopes as far as their ids do, so a commit dirties the last pages of each tree and few others.
struct StoreSchema {
    /// index → entry bytes.
    let entries: Database
    /// index → the hashes this leaf completes: its own, then those of each subtree whose last leaf it is.
    let tree: Database
    /// id, kind, number → index.
    let streams: LinkedRows
    /// index, scope ordinal → sealed claims.
    let sealed: Database
    /// id, kind → the slot of the scope's data key in the key tree (`ScopeSlot`); nothing where it was erased.
    let scopes: LinkedRows
    /// size → signature of the checkpoint at that size, and the size of the row before.
    let checkpoints: Database
    /// What the store is, under fixed names.
    let meta: Database

    private static let names = ["entries", "tree", "streams", "sealed", "scopes", "checkpoints", "meta"]
    static let formatKey = Array("format".utf8)
    static let format = Array("evidenced store 5".utf8)
    static let identityKey = Array("identity".utf8)

    /// - Parameter checkPages: has the whole file's structure checked before LMDB follows it; told of the progress.
    /// - Throws: `StoreDamage` where the file is not what LMDB wrote; `LMDBError` where the system refuses it.
    static func open(
        directory: String,
        mapBytes: Int,
        readers: Int,
        ownReaders: Int = 0,
        create: Bool,
        access: Environment.Access = .writing,
        checkPages: ((UInt64, UInt64) -> Void)? = nil
    ) throws -> (Environment, StoreSchema) {
        try sayingDamage {
            try openFile(
                directory: directory,
                mapBytes: mapBytes,
                readers: readers,
                ownReaders: ownReaders,
                create: create,
                access: access,
                checkPages: checkPages
            )
        }
    }

    /// Runs `body`, and has it throw `StoreDamage` where LMDB finds the file damaged.
    static func sayingDamage<Result>(_ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch {
            throw StoreDamage.named(error)
        }
    }

    private static let damage = DamageNotice(
        "the store is damaged, nothing more is done with it; 'evidence audit' says where, a backup can take its place"
    )

    private static func openFile(
        directory: String,
        mapBytes: Int,
        readers: Int,
        ownReaders: Int,
        create: Bool,
        access: Environment.Access,
        checkPages: ((UInt64, UInt64) -> Void)?
    ) throws -> (Environment, StoreSchema) {
        // LMDB would make a new environment of a file without its two meta pages.
        guard create || FileSystem.size(of: directory + "/data.mdb") ?? 0 >= 2 * Environment.pageBytes else {
            throw StoreDamage(nil, "the data file is shorter than the store it holds")
        }
        let environment = try Environment(
            directory: directory,
            mapBytes: mapBytes,
            databases: names.count,
            readers: readers,
            ownReaders: ownReaders,
            access: access,
            damage: StoreSchema.damage
        )
        // Reading a page beyond the end of the file would kill the process, so a shortened file is caught here.
        guard create || environment.sizes.used <= environment.fileBytes else {
            throw StoreDamage(nil, "the data file is shorter than the store it holds")
        }
        if let checkPages { try environment.checkPages(progress: checkPages) }
        if access == .writing { try environment.guardPages() }
        let databases = try environment.databases(names, create: create)
        return (
            environment,
            StoreSchema(
                entries: databases[0],
                tree: databases[1],
                streams: LinkedRows(database: databases[2], name: names[2], keyBytes: 25),
                sealed: databases[3],
                scopes: LinkedRows(database: databases[4], name: names[4], keyBytes: 17),
                checkpoints: databases[5],
                meta: databases[6]
            )
        )
    }
}

/// Keys and values of fixed layout, big-endian so that byte order is number order.
enum StoreKey {
    static func number(_ value: UInt64) -> [UInt8] {
        withUnsafeBytes(of: value.bigEndian) { [UInt8]($0) }
    }

    /// Replaces `bytes` by those of a number.
    static func number(_ value: UInt64, in bytes: inout [UInt8]) {
        bytes.removeAll(keepingCapacity: true)
        withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
    }

    static func readNumber(_ bytes: some Collection<UInt8>) -> UInt64? {
        bytes.count == 8 ? bytes.reduce(0) { $0 << 8 | UInt64($1) } : nil
    }

    static func stream(_ stream: StreamID) -> [UInt8] {
        var key: [UInt8] = []
        key.reserveCapacity(25)
        append(stream, to: &key)
        return key
    }

    /// The id first: ids begin with their time, so new streams of all kinds go to the end.
    private static func append(_ stream: StreamID, to key: inout [UInt8]) {
        stream.id.append(to: &key)
        key.append(stream.kind.code)
    }

    /// The membership a row of `streams` states: a key of 25 bytes and a content of 8.
    static func readMembership(
        _ key: UnsafeRawBufferPointer,
        _ value: UnsafeRawBufferPointer
    ) -> Staging.Membership? {
        guard key.count == 25, value.count == 8, let kind = StreamKind(code: key[16]) else { return nil }
        func number(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> UInt64 {
            UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        }
        return Staging.Membership(
            stream: StreamID(kind: kind, id: ID128(high: number(key, 0), low: number(key, 8))),
            number: number(key, 17),
            index: number(value, 0)
        )
    }

    /// The stream of a key of `scopes`.
    static func readStream(_ bytes: [UInt8]) -> StreamID? {
        guard bytes.count == 17, let kind = StreamKind(code: bytes[16]),
            let id = ID128(bytes: bytes.span.extracting(0..<16))
        else { return nil }
        return StreamID(kind: kind, id: id)
    }

    static func stream(_ stream: StreamID, number: UInt64) -> [UInt8] {
        var key: [UInt8] = []
        key.reserveCapacity(25)
        self.stream(stream, number: number, in: &key)
        return key
    }

    /// Replaces `key` by the key of a number of a stream.
    static func stream(_ stream: StreamID, number: UInt64, in key: inout [UInt8]) {
        key.removeAll(keepingCapacity: true)
        append(stream, to: &key)
        withUnsafeBytes(of: number.bigEndian) { key.append(contentsOf: $0) }
    }

    static func sealed(index: UInt64, ordinal: Int) -> [UInt8] {
        var key: [UInt8] = []
        sealed(index: index, ordinal: ordinal, in: &key)
        return key
    }

    /// Replaces `key` by the key of an entry's sealed claims.
    static func sealed(index: UInt64, ordinal: Int, in key: inout [UInt8]) {
        key.removeAll(keepingCapacity: true)
        withUnsafeBytes(of: index.bigEndian) { key.append(contentsOf: $0) }
        key.append(UInt8(truncatingIfNeeded: ordinal))
    }
}

/// The store's contents contradict each other: it is damaged.
public struct StoreDamage: Error, Equatable, Sendable, CustomStringConvertible {
    /// The entry where it shows, if it is one entry's.
    public let index: UInt64?
    /// The stream it is of, if it is one's.
    private let stream: StreamID?
    private let reason: String

    init(_ index: UInt64?, _ reason: String, of stream: StreamID? = nil) {
        self.index = index
        self.reason = reason
        self.stream = stream
    }

    /// What is wrong, and of which stream.
    public var what: String { stream.map { "\($0): \(reason)" } ?? reason }

    public var description: String { index.map { "entry \($0): \(what)" } ?? what }

    /// What it says in the log: streams, and so people, are not named.
    public var forLog: String { index.map { "entry \($0): \(reason)" } ?? reason }

    /// The error by what it means for the store: damage its file shows is damage of the store.
    static func named(_ error: any Error) -> any Error {
        switch error {
        case let damage as PageDamage: StoreDamage(nil, damage.description)
        case let refusal as LMDBError where refusal.isDamage: StoreDamage(nil, refusal.description)
        case let refusal as KeyRefusal where [.damaged, .torn].contains(refusal.code): StoreDamage(nil, refusal.what)
        default: error
        }
    }
}

extension StoreSchema {
    func entry(_ transaction: borrowing some Readable & ~Copyable, _ index: UInt64) throws -> [UInt8] {
        guard let bytes = try transaction.get(entries, StoreKey.number(index)) else {
            throw StoreDamage(index, "the entry is missing")
        }
        return bytes
    }

    /// The hash of a complete subtree, from the row of the leaf that completes it.
    func node(_ transaction: borrowing some Readable & ~Copyable, _ node: NodeID) throws -> Digest {
        let offset = Int(node.level) * 32
        let digest = try transaction.withValue(tree, number: node.completedBy) { value -> Digest? in
            Digest(value, at: offset)
        }
        guard let digest, let digest else {
            throw StoreDamage(node.completedBy, "the tree row has no hash of level \(node.level)")
        }
        return digest
    }

    func leaf(_ transaction: borrowing some Readable & ~Copyable, _ index: UInt64) throws -> Digest {
        try node(transaction, NodeID(level: 0, index: index))
    }

    func size(_ transaction: borrowing some Readable & ~Copyable) throws -> UInt64 {
        try transaction.cursor(entries) { cursor in
            guard let last = try cursor.last() else { return 0 }
            guard let index = StoreKey.readNumber(last.key), index < .max else {
                throw StoreDamage(nil, "an entry's key is malformed")
            }
            return index + 1
        }
    }

    func root(_ transaction: borrowing some Readable & ~Copyable, size: UInt64) throws -> Digest {
        var hasher = SHA256Hasher()
        return try compactRange(transaction, size: size).root(&hasher)
    }

    func compactRange(_ transaction: borrowing some Readable & ~Copyable, size: UInt64) throws -> CompactRange {
        var peaks: [Digest] = []
        for peak in ProofBuilder.peaks(size: size) { peaks.append(try node(transaction, peak)) }
        guard let range = CompactRange(size: size, peaks: peaks) else {
            throw StoreDamage(nil, "the tree's peaks do not fit its size")
        }
        return range
    }
}
