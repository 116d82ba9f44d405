import Glibc
import LedgerFormat
import Paths

/// Where proofs go as they come: `NAME.tlog-proof` and `NAME.entry.json` for each entry.
///
/// What is recorded can't be taken back; so whatever can be wrong with the directory is looked for before.
struct ProofDirectory {
    let path: FilePath
    private let longestName: Int
    /// What an entry and its proof take, in blocks of 4 KiB: most take one each.
    private static let bytesPerProof = 8 << 10
    /// The longest that is put behind a name: a number where the name is taken, and the kind of file.
    private static let longestSuffix = ".9007199254740991.99.entry.json".utf8.count

    /// Makes the directory where there is none, and tries whether so many proofs can be written into it.
    ///
    /// - Throws: `Failure`; nothing stays of the trial.
    init(_ path: FilePath, proofs: Int) throws {
        self.path = path
        guard path.withCString({ mkdir($0, 0o755) }) == 0 || errno == EEXIST else {
            throw Failure(path: path, errno: errno)
        }
        guard FileIdentity(path)?.type == S_IFDIR else { throw Failure(.outputRefused, "\(path) is not a directory") }
        let limit = path.withCString { pathconf($0, Int32(_PC_NAME_MAX)) }
        longestName = limit > 0 ? limit : 255
        let trial = try Draft(in: path)
        try trial.write([UInt8](repeating: 0, count: 1))
        let code = posix_fallocate(trial.descriptor, 0, off_t(proofs * ProofDirectory.bytesPerProof))
        guard ![ENOSPC, EDQUOT, EFBIG].contains(code) else { throw Failure(output: path, errno: code) }
        var system = statvfs()
        if path.withCString({ statvfs($0, &system) }) == 0, system.f_files > 0, system.f_favail < UInt(2 * proofs) {
            throw Failure(.outputFailed, "\(path): no room for \(2 * proofs) more files")
        }
    }

    /// Writes proof and entry under a name. One that is taken gets the index after it, so that no older proof is
    /// overwritten; one that is too long for the file system is cut.
    ///
    /// - Returns: the path of the proof.
    func save(_ receipt: Receipt, name: [UInt8], connection: Connection) throws -> FilePath {
        guard let proof = receipt.proof else {
            throw Failure(.refused, "the daemon sent no proof for entry \(receipt.index)")
        }
        let entry = Array(try connection.entry(receipt.index).text.utf8)
        for attempt in 0..<100 {
            let number = attempt == 0 ? "" : attempt == 1 ? ".\(receipt.index)" : ".\(receipt.index).\(attempt)"
            let base = path.appending(cut(name)).adding(suffix: number)
            let (entryPath, proofPath) = (base.adding(suffix: ".entry.json"), base.adding(suffix: ".tlog-proof"))
            guard !LocalFile.isTaken(entryPath), !LocalFile.isTaken(proofPath) else { continue }
            let drafts = try [(entry, entryPath), (Array(proof.utf8), proofPath)].map { bytes, path in
                let draft = try Draft(in: self.path)
                try draft.write(bytes)
                return (draft: draft, path: path)
            }
            guard try drafts[0].draft.publish(as: entryPath, replacing: false) else { continue }
            guard try drafts[1].draft.publish(as: proofPath, replacing: false) else {
                _ = entryPath.withCString { unlink($0) }
                continue
            }
            try Draft.syncNames(in: path)
            return proofPath
        }
        throw Failure(.outputRefused, "\(path.appending(name)): too many proofs of this name")
    }

    /// As much of a name as leaves room for what comes after it, up to the end of a character.
    private func cut(_ name: [UInt8]) -> [UInt8] {
        let room = longestName - ProofDirectory.longestSuffix
        guard name.count > room else { return name }
        var end = room
        while end > 0, name[end] & 0xC0 == 0x80, room - end < 3 { end -= 1 }
        return Array(name[..<end])
    }
}
