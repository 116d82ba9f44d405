import Glibc
import LMDB
import Merkle
import OpenSSL

extension KeyTree {
    /// Names of the files a tree has in its directory.
    public static let files = ["data.mdb", "lock.mdb", "root.key"]

    /// Makes a new tree without slots in a directory, durably.
    ///
    /// One that is there already, and has no slots and opens under the master key, is taken for what an earlier call that
    /// was cut off left.
    ///
    /// - Returns: the tree's id, 32 hex digits.
    /// - Throws: `KeyRefusal`, `.exists` where there is a tree that is used; `LMDBError`, `CommitError`, `KeyFileError`.
    public static func create(in directory: String, master: MasterKey, suite: KeySuite) throws -> String {
        let file = try RootKeyFile(directory: directory, access: .creating)
        let (environment, schema) = try KeySchema.open(directory, mapBytes: 16 << 20, access: .writing, create: true)
        if let head = try environment.read({ try schema.headIfMade($0) }) {
            guard head.slots == 0, let (_, record) = try? inForce(file.slots(), head),
                (try? record.unwrap(master, KeyWrapper(head.suite))) != nil, head.suite == suite
            else {
                throw KeyRefusal(
                    .exists,
                    "there is a key tree in \(directory)",
                    advice: "It is never overwritten: choose another directory, or move it away"
                )
            }
            return head.tree
        }
        let id = Hex.encode(try SecureRandom.bytes(16))
        let wrapper = try KeyWrapper(suite)
        let record = try RootRecord.wrapping(freshKey(), tree: id, epoch: 1, master, wrapper)
        try file.write(record, to: 0)
        try file.write(nil, to: 1)
        try environment.write { transaction in
            try schema.set(KeyTreeHead(tree: id, suite: suite, epoch: 1, slots: 0), transaction)
            try transaction.set(schema.nodes, NodePlace.top.key, KeyNode(suite).row(at: .top))
        }
        try syncDirectory(directory)
        return id
    }

    private static func syncDirectory(_ path: String) throws {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw KeyFileError("opening \(path)") }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw KeyFileError("syncing \(path)") }
    }
}
