import Glibc
import LMDB
import OpenSSL

/// What the tree's environment says of the whole.
struct KeyTreeHead: Equatable {
    private static let format = "evidenced key tree 1"

    /// The tree's id, 32 hex digits.
    let tree: String
    let suite: CipherSuite
    let epoch: UInt64
    /// Slots made so far.
    let slots: UInt64

    /// The row.
    var row: [UInt8] {
        Array("\(KeyTreeHead.format)\ntree \(tree)\nsuite \(suite.rawValue)\nepoch \(epoch)\nslots \(slots)\n".utf8)
    }

    init(tree: String, suite: CipherSuite, epoch: UInt64, slots: UInt64) {
        self.tree = tree
        self.suite = suite
        self.epoch = epoch
        self.slots = slots
    }

    /// Reads the row; nil where it is none.
    init?(row: [UInt8]) {
        guard let text = String(validating: row, as: UTF8.self) else { return nil }
        let values = text.utf8.split(separator: 0x0A, omittingEmptySubsequences: false).map { line in
            line.split(separator: 0x20, maxSplits: 1).last.map { String(Substring($0)) } ?? ""
        }
        guard values.count == 6, let suite = CipherSuite(rawValue: values[2]), let epoch = UInt64(values[3]),
            let slots = UInt64(values[4]), slots <= NodePlace.slots, slots % NodePlace.children == 0
        else { return nil }
        self.init(tree: values[1], suite: suite, epoch: epoch, slots: slots)
        guard self.row == row else { return nil }
    }
}

/// The databases of the tree's environment.
struct KeySchema {
    private static let names = ["nodes", "head"]
    private static let headKey = Array("head".utf8)

    /// Place → node.
    let nodes: Database
    private let heads: Database

    private static let damage = DamageNotice(
        "the key tree is damaged, nothing more is done with it: restore the key backup"
    )

    /// Opens the environment in a directory.
    ///
    /// - Parameter create: makes the databases where they are missing.
    static func open(
        _ directory: String,
        mapBytes: Int,
        access: Environment.Access,
        create: Bool = false
    ) throws -> (Environment, KeySchema) {
        // LMDB would make an empty one.
        guard create || Glibc.access(directory + "/data.mdb", F_OK) == 0 || errno != ENOENT else {
            throw KeyRefusal(.missing, "\(directory)/data.mdb is missing", advice: "Restore the key backup")
        }
        let environment = try Environment(
            directory: directory,
            mapBytes: mapBytes,
            databases: names.count,
            access: access,
            damage: damage
        )
        // Reading a page beyond the end of the file would kill the process.
        guard create || environment.sizes.used <= environment.fileBytes else {
            throw KeyRefusal(
                .damaged,
                "the key tree's file is shorter than what it holds",
                advice: "Restore the key backup"
            )
        }
        if access == .writing { try environment.guardPages() }
        return (environment, try KeySchema(environment, create: create))
    }

    private init(_ environment: Environment, create: Bool) throws {
        let databases = try environment.databases(KeySchema.names, create: create)
        nodes = databases[0]
        heads = databases[1]
    }

    func set(_ head: KeyTreeHead, _ transaction: borrowing WriteTransaction) throws {
        try transaction.set(heads, KeySchema.headKey, head.row)
    }

    /// The head of the tree; nil where none was ever written.
    func headIfMade(_ transaction: borrowing some Readable & ~Copyable) throws -> KeyTreeHead? {
        try transaction.withValue(heads, KeySchema.headKey) { _ in true } == true ? try head(transaction) : nil
    }

    func head(_ transaction: borrowing some Readable & ~Copyable) throws -> KeyTreeHead {
        guard let head = try transaction.get(heads, KeySchema.headKey).flatMap({ KeyTreeHead(row: $0) }) else {
            throw KeyRefusal(.damaged, "the key tree's head is damaged", advice: "Restore the key backup")
        }
        return head
    }

    /// A node; nil where it was never made.
    func nodeIfMade(
        _ transaction: borrowing some Readable & ~Copyable,
        _ place: NodePlace,
        _ suite: CipherSuite
    ) throws -> KeyNode? {
        guard let row = try transaction.withValue(nodes, place.key, { KeyNode($0, at: place, suite) }) else {
            return nil
        }
        guard let node = row else { throw KeySchema.damaged(place, "its row is not what was written") }
        return node
    }

    func node(
        _ transaction: borrowing some Readable & ~Copyable,
        _ place: NodePlace,
        _ suite: CipherSuite
    ) throws -> KeyNode {
        guard let node = try nodeIfMade(transaction, place, suite) else {
            throw KeySchema.damaged(place, "its row is missing")
        }
        return node
    }

    static func damaged(_ place: NodePlace, _ what: String) -> KeyRefusal {
        KeyRefusal(
            .damaged,
            "node \(place.index) at depth \(place.depth) of the key tree is damaged: \(what)",
            advice: "Restore the key backup"
        )
    }
}
