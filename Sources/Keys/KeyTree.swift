import LMDB
import Merkle
public import OpenSSL
import Synchronization

/// A tree of keys of which any can be destroyed for good, whatever copies of its storage survive (secure deletion from a
/// small erasable memory, `root.key`).
///
/// A slot's key is wrapped under its node's, that under its parent's, and so on up to the root key, which stands in
/// `root.key` alone. Erasing slots gives every node above them a new key, wraps what lives on under the new ones, and
/// overwrites the root key: the old rows, wherever they survive in free pages, backups or on the disk, are then noise.
///
/// Order of an erasure: the new root key into the free slot, synced; the rows, committed; the old root key overwritten by
/// zeros, synced. Whichever of these a crash cuts off, the next start finds which of the two root keys opens the tree it
/// finds, and overwrites the other.
public final class KeyTree: Sendable {
    /// What there is of a slot's key.
    public enum SlotKey: Sendable {
        case living(CipherKey)
        /// It was made, and destroyed.
        case erased
        /// No such slot was ever made.
        case unknown
    }

    struct State {
        var root: CipherKey
        var epoch: UInt64
        /// Which slot of `root.key` is in force.
        var rootSlot: Int
        /// Slots made so far, a multiple of 64.
        var slots: UInt64
        /// Keys of nodes that were looked at lately, all but the top's.
        var keys: [NodePlace: CipherKey] = [:]
        var master: MasterKey
        /// Made anew with the root key, for it keeps the last keys it used.
        var wrapper: SuiteCipher
    }

    /// The tree's id, 32 hex digits.
    public let id: String
    /// What its keys, and all that is sealed under them, are sealed with.
    public let suite: CipherSuite
    let environment: Environment
    let schema: KeySchema
    let file: RootKeyFile
    /// Held for reading keys, and while the root key changes.
    let state: Mutex<State>
    /// Whether another process may change the tree.
    private let isReading: Bool
    /// The state's epoch, for those who ask often.
    let newestEpoch: Atomic<UInt64>
    /// Held by whoever writes, before `state`.
    let writing = Mutex<Void>(())

    private static let cachedKeys = 8_192

    private init(
        id: String,
        suite: CipherSuite,
        _ environment: Environment,
        _ schema: KeySchema,
        _ file: RootKeyFile,
        _ state: sending State,
        isReading: Bool
    ) {
        self.isReading = isReading
        self.id = id
        self.suite = suite
        self.environment = environment
        self.schema = schema
        self.file = file
        newestEpoch = Atomic(state.epoch)
        self.state = Mutex(state)
    }

    // MARK: Opening

    /// Opens the tree in a directory to be used and changed, and finishes what a crash cut off.
    ///
    /// - Throws: `KeyRefusal`; `LMDBError`, `PageDamage`, `KeyFileError` where the files can't be read.
    public convenience init(directory: String, master: MasterKey, mapBytes: Int = 16 << 20) throws {
        let file = try RootKeyFile(directory: directory, access: .writing)
        let (environment, schema) = try KeySchema.open(directory, mapBytes: mapBytes, access: .writing)
        let head = try environment.read { try schema.head($0) }
        let slots = try file.slots()
        let (number, record) = try KeyTree.inForce(slots, head)
        let wrapper = try SuiteCipher(head.suite)
        let root = try record.unwrap(master, wrapper)
        // Left by a crash before or after the commit: it opens nothing that is needed.
        if slots[1 - number] != .zeros { try file.write(nil, to: 1 - number) }
        self.init(environment, schema, file, head, root: root, rootSlot: number, master: master, wrapper)
    }

    /// Opens the tree in a directory to be read beside a process that may change it, such as for an audit.
    ///
    /// - Throws: as the other.
    public convenience init(reading directory: String, master: MasterKey) throws {
        let file = try RootKeyFile(directory: directory, access: .reading)
        let (environment, schema) = try KeySchema.open(directory, mapBytes: 1 << 20, access: .reading)
        let (head, number, root) = try KeyTree.current(environment, schema, file, master)
        let wrapper = try SuiteCipher(head.suite)
        self.init(
            environment,
            schema,
            file,
            head,
            root: root,
            rootSlot: number,
            master: master,
            wrapper,
            isReading: true
        )
    }

    /// The head and the root key that opens what it speaks of, beside a process that may change both.
    private static func current(
        _ environment: Environment,
        _ schema: KeySchema,
        _ file: RootKeyFile,
        _ master: MasterKey
    ) throws -> (head: KeyTreeHead, slot: Int, root: CipherKey) {
        var tries = 0
        while true {
            let head = try environment.read { try schema.head($0) }
            do {
                let (number, record) = try inForce(file.slots(), head)
                return (head, number, try record.unwrap(master, SuiteCipher(head.suite)))
            } catch let refusal as KeyRefusal where [.torn, .damaged].contains(refusal.code) && tries < 3 {
                // Between one read and the other it may have become another one.
                tries += 1
            }
        }
    }

    /// Learns what another process changed.
    ///
    /// - Returns: whether it did.
    private func refresh(_ state: inout State) throws -> Bool {
        guard isReading else { return false }
        let (head, number, root) = try KeyTree.current(environment, schema, file, state.master)
        guard head.epoch != state.epoch || head.slots != state.slots else { return false }
        state.root = root
        state.rootSlot = number
        state.epoch = head.epoch
        state.slots = head.slots
        state.keys.removeAll()
        newestEpoch.store(head.epoch, ordering: .releasing)
        return true
    }

    private convenience init(
        _ environment: Environment,
        _ schema: KeySchema,
        _ file: RootKeyFile,
        _ head: KeyTreeHead,
        root: CipherKey,
        rootSlot: Int,
        master: MasterKey,
        _ wrapper: sending SuiteCipher,
        isReading: Bool = false
    ) {
        let state = State(
            root: root,
            epoch: head.epoch,
            rootSlot: rootSlot,
            slots: head.slots,
            master: master,
            wrapper: wrapper
        )
        self.init(id: head.tree, suite: head.suite, environment, schema, file, state, isReading: isReading)
    }

    /// The slot of `root.key` that opens the tree there is.
    static func inForce(
        _ slots: [RootKeyFile.Slot],
        _ head: KeyTreeHead
    ) throws(KeyRefusal) -> (Int, RootRecord) {
        var epochs: [UInt64] = []
        for (number, slot) in slots.enumerated() {
            guard case .record(let record) = slot, record.tree.utf8.elementsEqual(head.tree.utf8),
                record.suite == head.suite
            else { continue }
            if record.epoch == head.epoch { return (number, record) }
            epochs.append(record.epoch)
        }
        guard let other = epochs.max() else {
            throw KeyRefusal(
                .damaged,
                "root.key holds no root key of the tree \(head.tree)",
                advice: "Restore the key backup; without its root key every claim and object of the ledger is lost"
            )
        }
        throw KeyRefusal(
            .torn,
            "the key tree is of epoch \(head.epoch) and root.key of epoch \(other)",
            advice: other > head.epoch
                ? "The directory of keys was restored from a backup, root.key was not: restore neither or both"
                : "root.key was restored from a backup, the directory of keys was not: restore neither or both"
        )
    }

    // MARK: Reading

    /// Counts the erasures and rotations of the tree's life. A tree with a lower epoch is an older copy.
    public var epoch: UInt64 { newestEpoch.load(ordering: .acquiring) }

    /// Slots made so far.
    public var slots: UInt64 { state.withLock { $0.slots } }

    /// The key of a slot.
    ///
    /// - Throws: `KeyRefusal` where rows are damaged.
    public func key(of slot: UInt64) throws -> SlotKey {
        try state.withLock { state in
            // Whoever changes the tree may do so again while this one learns of it.
            while true {
                do {
                    let found = try key(of: slot, &state)
                    guard case .unknown = found, try refresh(&state) else { return found }
                } catch {
                    guard try refresh(&state) else { throw error }
                }
            }
        }
    }

    private func key(of slot: UInt64, _ state: inout State) throws -> SlotKey {
        guard slot < state.slots else { return .unknown }
        return try environment.read { transaction in
            let place = NodePlace(slot: slot)
            let node = try schema.node(transaction, place, suite)
            let position = Int(slot % NodePlace.children)
            guard node.lives(position) else { return node.wasMade(position) ? .erased : .unknown }
            guard let key = try nodeKey(place, &state, transaction) else { return .erased }
            return .living(try unwrap(position, of: node, at: place, under: key, state.wrapper))
        }
    }

    /// Refuses to go on where one of the tree's files is not the one its name leads to any more: what is written to it, and
    /// what is sealed under keys that are in it alone, would be lost with the process.
    ///
    /// - Throws: `KeyRefusal` `.replaced`.
    public func requireInPlace() throws {
        try file.requireInPlace()
        guard try environment.isInPlace() else {
            throw KeyRefusal(
                .replaced,
                "data.mdb of the key tree was replaced or removed while it was in use",
                advice: "Start again"
            )
        }
    }

    /// What its rows say without any key.
    public var shape: KeyTreeShape { KeyTreeShape(environment, schema, suite, id: id) }

    /// A node's key; nil where it was erased with all below it.
    func nodeKey(
        _ place: NodePlace,
        _ state: inout State,
        _ transaction: borrowing some Readable & ~Copyable
    ) throws -> CipherKey? {
        guard let parent = place.parent else { return state.root }
        if let known = state.keys[place] { return known }
        guard let parentKey = try nodeKey(parent, &state, transaction) else { return nil }
        let node = try schema.node(transaction, parent, suite)
        guard node.lives(place.position) else { return nil }
        let key = try unwrap(place.position, of: node, at: parent, under: parentKey, state.wrapper)
        if state.keys.count >= KeyTree.cachedKeys { state.keys.removeAll(keepingCapacity: true) }
        state.keys[place] = key
        return key
    }

    func unwrap(
        _ position: Int,
        of node: KeyNode,
        at place: NodePlace,
        under key: CipherKey,
        _ wrapper: SuiteCipher
    ) throws -> CipherKey {
        do {
            return try node.withWrapped(position) {
                try wrapper.openKey($0, key: key, context: context(place, position).span)
            }
        } catch {
            throw KeySchema.damaged(place, "child \(position) does not open under the node's key")
        }
    }

    func wrapped(
        _ key: CipherKey,
        at place: NodePlace,
        _ position: Int,
        under wrapping: CipherKey,
        _ wrapper: SuiteCipher
    ) throws -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(suite.sealedKeyBytes)
        try wrapper.seal(key.secret, key: wrapping, context: context(place, position).span, to: &bytes)
        return bytes
    }

    /// What a child's key is bound to.
    private func context(_ place: NodePlace, _ position: Int) -> [UInt8] {
        Array("evidenced/key-tree/v1\n\(id)\n\(place.depth)\n\(place.index)\n\(position)".utf8)
    }
}
