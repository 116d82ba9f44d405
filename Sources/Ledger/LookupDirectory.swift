import Files
import Glibc
import LedgerFormat

/// The directory of the look-up index. A file in it says whose it is, before anything else is made there: so what is no
/// look-up index of this ledger, a backup, another ledger's store, somebody's documents, is told from one that is
/// damaged, and is never touched.
struct LookupDirectory {
    private static let dataFile = "data.mdb"
    private static let marker = "index-of"
    /// What a crash leaves of the marker while it is written; the second is of `FileSystem.create`.
    private static let drafts = [marker + ".new", marker + ".new" + FileDraft.suffix]
    /// What a file system puts into its root by itself.
    private static let foreign = ["lost+found"]
    let path: String
    /// The ledger's own stream, which no recovery changes.
    let ledger: StreamID

    /// Makes the directory, or sees to it that it is this ledger's.
    ///
    /// - Throws: `StartupRefusal` where it holds what is not this ledger's index; `LookupFull`; `SystemError`.
    func claim() throws {
        let marker = path + "/" + LookupDirectory.marker
        let text = Array("evidenced look-up index\nledger \(ledger)\n".utf8)
        if FileSystem.exists(path) {
            if FileSystem.exists(marker) {
                guard try FileSystem.read(marker, limit: text.count + 1) == text else { throw refusal }
                return
            }
            let ignored = LookupDirectory.foreign + LookupDirectory.drafts
            for name in try FileSystem.names(in: path) where !ignored.contains(where: { name.elementsEqual($0.utf8) }) {
                throw refusal
            }
        }
        do {
            try FileSystem.makeDirectory(path)
            for draft in LookupDirectory.drafts {
                try text.withUnsafeBytes { try FileDraft.clear(path + "/" + draft, of: $0) }
            }
            try FileSystem.create(marker + ".new", text, mode: 0o600)
            guard rename(marker + ".new", marker) == 0 else { throw SystemError("naming \(marker)") }
            try FileSystem.syncDirectory(path)
        } catch let error as SystemError where error.isOutOfRoom {
            unlink(marker + ".new")
            throw LookupFull()
        }
    }

    private var refusal: StartupRefusal {
        StartupRefusal(
            .otherIndex,
            "\(path) holds something that is not the look-up index of this ledger",
            advice: """
                Nothing in it was touched. Give the configuration's index another directory; or, if nobody needs what \
                is in it, delete it: a look-up index is made anew from the store
                """
        )
    }

    var hasData: Bool { FileSystem.exists(path + "/" + LookupDirectory.dataFile) }

    /// Puts what cannot be used out of the way, where it can still be looked at.
    func moveAside() throws {
        try FileSystem.moveAside(path + "/" + LookupDirectory.dataFile, suffix: ".damaged")
    }

    /// Takes away the beginnings of an index that found no room.
    func removeData() { unlink(path + "/" + LookupDirectory.dataFile) }
}

extension FileSystem {
    /// The names in a directory, without `.` and `..`; they need not be UTF-8.
    static func names(in path: String) throws -> [[UInt8]] {
        guard let directory = opendir(path) else { throw SystemError("reading \(path)") }
        defer { closedir(directory) }
        var names: [[UInt8]] = []
        while let item = readdir(directory) {
            let name = withUnsafeBytes(of: item.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
            if !name.elementsEqual(".".utf8), !name.elementsEqual("..".utf8) { names.append(name) }
        }
        return names
    }
}
