import Glibc
import LMDB
import Merkle
public import OpenSSL

extension KeyTree {
    /// Names of the files a tree has in its directory.
    public static let files = ["data.mdb", "lock.mdb", "root.key"]

    /// Makes a new tree without slots in a directory, durably.
    ///
    /// One that is there already, and has no slots and opens under the master key, is taken for what an earlier call left;
    /// what a call left that was cut off before `root.key` held a key is made anew. That is written last: where it holds
    /// one, the rest is there.
    ///
    /// - Returns: the tree's id, 32 hex digits.
    /// - Throws: `KeyRefusal`, `.exists` where there is a tree that is used, or of another suite; `MissingAlgorithm`, before
    ///   anything is made; `LMDBError`, `CommitError`, `KeyFileError`.
    public static func create(in directory: String, master: MasterKey, suite: CipherSuite) throws -> String {
        let wrapper = try SuiteCipher(suite)
        let file = try RootKeyFile(directory: directory, access: .creating)
        if try !file.slots().contains(where: \.isRecord) { try discardDraft(directory) }
        let (environment, schema) = try KeySchema.open(directory, mapBytes: 16 << 20, access: .writing, create: true)
        if let head = try environment.read({ try schema.headIfMade($0) }) {
            guard head.slots == 0, head.suite == suite, let (_, record) = try? inForce(file.slots(), head),
                (try? record.unwrap(master, wrapper)) != nil
            else {
                throw KeyRefusal(
                    .exists,
                    "there is a key tree in \(directory), of the suite \(head.suite.rawValue)",
                    advice: "It is never overwritten: choose another directory, or move it away"
                )
            }
            return head.tree
        }
        let id = Hex.encode(try SecureRandom.bytes(16))
        let record = try RootRecord.wrapping(freshKey(), tree: id, epoch: 1, master, wrapper)
        try environment.write { transaction in
            try schema.set(KeyTreeHead(tree: id, suite: suite, epoch: 1, slots: 0), transaction)
            try transaction.set(schema.nodes, NodePlace.top.key, KeyNode(suite).row(at: .top))
        }
        try syncDirectory(directory)
        try file.write(nil, to: 1)
        try file.write(record, to: 0)
        return id
    }

    /// Pages a tree without slots can have.
    private static let draftPages = 16

    /// Removes an environment that no key in `root.key` opens, as long as it can't be one that had slots.
    ///
    /// - Throws: `KeyRefusal` `.exists` where it may be.
    private static func discardDraft(_ directory: String) throws {
        let data = directory + "/data.mdb"
        var status = stat()
        guard stat(data, &status) == 0 else { return }
        let head = try? KeySchema.open(directory, mapBytes: 1 << 20, access: .copy)
        let slots = head.flatMap { environment, schema in try? environment.read { try schema.headIfMade($0) } }?.slots
        guard slots ?? 0 == 0, status.st_size <= draftPages * Environment.pageBytes else {
            throw KeyRefusal(
                .exists,
                "there is a key tree in \(directory), and its root.key holds no key",
                advice: "Restore the key backup, or choose another directory"
            )
        }
        for path in [data, directory + "/lock.mdb"] {
            guard unlink(path) == 0 || errno == ENOENT else { throw KeyFileError("removing \(path)") }
        }
    }

    private static func syncDirectory(_ path: String) throws {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw KeyFileError("opening \(path)") }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw KeyFileError("syncing \(path)") }
    }
}
