import JSON
import LedgerFormat
import Merkle
import OpenSSL
public import Zip

/// Why a bundle could not be made.
public struct BundleWriterError: Error, Sendable, CustomStringConvertible {
    public let description: String

    init(_ description: String) { self.description = description }
}

/// Makes bundles (`ledger-format.md` section 14). The same contents give the same bytes.
public enum BundleWriter {
    /// Writes a bundle into a descriptor and verifies what then stands there. What is there after an error is no bundle.
    ///
    /// - Parameters:
    ///   - descriptor: open for reading and writing, of a file that can seek and need not have a name; it stays open,
    ///     and the caller's to sync.
    ///   - name: what messages call the file.
    ///   - key: the verification key it is verified with, where one is known.
    /// - Returns: what its verification found; it has passed.
    /// - Throws: `BundleWriterError`, `ZipError`, or what an entry or a key is refused for.
    @discardableResult
    public static func write(
        _ contents: BundleContents,
        to descriptor: Int32,
        name: String,
        key: GivenKey? = nil
    ) throws -> BundleReport {
        try ZipWriter.write(try members(of: contents), to: descriptor, name: name)
        let report = BundleVerifier.verify(path: "/proc/self/fd/\(descriptor)", key: key)
        if let failure = report.checks.first(where: { $0.outcome == .failed }) {
            throw BundleWriterError("the bundle made does not pass its own verification: \(failure.text())")
        }
        return report
    }

    /// All members of the bundle.
    public static func members(of contents: BundleContents) throws -> [String: ZipContent] {
        let note = try SignedNote(parsing: Array(contents.checkpoint.utf8))
        let items = try contents.items.map { (entry: try Entry($0.bytes), item: $0) }
            .sorted { $0.entry.index < $1.entry.index }
        let originals = contents.originals.enumerated()
            .sorted { ($0.element.index, $0.offset) < ($1.element.index, $1.offset) }
            .enumerated().map { (name: originalName($0.offset, $0.element.element), original: $0.element.element) }
        let incarnations = try incarnations(of: items, size: Checkpoint(parsing: note.text).size)

        var texts: [BundleMember: [UInt8]] = [.checkpoint: Array(contents.checkpoint.utf8)]
        for (entry, item) in items {
            guard texts.updateValue(item.bytes, forKey: .entry(entry.index)) == nil else {
                throw BundleWriterError("record \(entry.index) was given twice")
            }
            let proof = TlogProof(index: entry.index, path: item.path, note: contents.checkpoint)
            texts[.proof(entry.index)] = Array(proof.encoded.utf8)
            for opening in item.openings { texts[.opening(entry.index, claim: opening.name)] = opening.preimage }
        }
        for proof in contents.consistency {
            texts[.consistency(try olderSize(proof))] = Array(proof.encoded.utf8)
        }
        for incarnation in incarnations {
            texts[.vkey(incarnation.number)] = Array("\(incarnation.key.text)\n".utf8)
            texts[.pem(incarnation.number)] = Array(PublicKeyText.pem(incarnation.key.publicKey).utf8)
        }
        texts[.manifest] = try Manifest(
            checkpoint: Checkpoint(parsing: note.text),
            consistency: contents.consistency.map(olderSize).sorted(),
            entries: items.map { entry, item in
                let names = item.openings.map(\.name).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
                return Manifest.EntryRow(index: entry.index, openings: names)
            },
            keys: incarnations.map { Manifest.KeyRow(incarnation: $0.number, vkey: $0.key.text) },
            originals: originals.map { Manifest.OriginalRow(index: $0.original.index, name: $0.name) },
            producer: contents.producer,
            selection: contents.selection,
            streams: contents.streams.sorted().map { stream in
                let count = items.count { item in item.entry.streams.contains { $0.stream == stream } }
                return Manifest.StreamRow(entries: Int64(count), stream: stream)
            }
        ).encoded
        return try finish(texts, originals)
    }

    /// Adds what is made of all the rest: the page, the instructions, the list of digests.
    private static func finish(
        _ texts: [BundleMember: [UInt8]],
        _ originals: [(name: String, original: BundleContents.Original)]
    ) throws -> [String: ZipContent] {
        let hasher = SHA256Hasher()
        var facts: [String: BundlePage.OriginalFacts] = [:]
        for (name, original) in originals { facts[name] = try self.facts(of: original.content, hasher) }
        var files = Dictionary(uniqueKeysWithValues: texts.map { ($0.key.name, $0.value) })
        var digests = files.mapValues { hasher.hash($0) }
        for (name, facts) in facts { digests[name] = facts.sha256 }
        let data = BundlePage.data(files: files, originals: facts)
        let page = BundlePage.html(data: data, story: PlainStory.html(files: files, digests: digests))
        for (member, text) in [(BundleMember.page, page), (.instructions, Instructions.text)] {
            files[member.name] = text
            digests[member.name] = hasher.hash(text)
        }
        files[BundleMember.digests.name] = DigestList.text(digests)
        var members = files.mapValues { ZipContent.bytes($0) }
        for (name, original) in originals { members[name] = original.content }
        return members
    }

    private static func originalName(_ position: Int, _ original: BundleContents.Original) -> String {
        BundleMember.original(position + 1, ending: original.ending).name
    }

    private static func facts(of content: ZipContent, _ hasher: SHA256Hasher) throws -> BundlePage.OriginalFacts {
        switch content {
        case .bytes(let bytes): return BundlePage.OriginalFacts(sha256: hasher.hash(bytes), size: UInt64(bytes.count))
        case .file(let path):
            let digests = try FileDigests(path: path)
            return BundlePage.OriginalFacts(sha256: digests.sha256, size: UInt64(clamping: digests.size))
        }
    }

    private static func olderSize(_ proof: ConsistencyText) throws -> UInt64 {
        try Checkpoint(parsing: SignedNote(parsing: Array(proof.note.utf8)).text).size
    }

    /// The incarnations the entries establish.
    private static func incarnations(
        of items: [(entry: Entry, item: BundleContents.Item)],
        size: UInt64
    ) throws -> [Incarnation] {
        guard let first = items.first?.entry else { throw BundleWriterError("a bundle needs record 0") }
        var incarnations = [try Incarnation(first: first)]
        var hasher = SHA256Hasher()
        for (entry, item) in items where entry.type == "system.recovered" {
            let proof = TlogProof(index: entry.index, path: item.path, note: "")
            let root = proof.rootBefore(size: size, hasher: &hasher)
            incarnations.append(try Incarnation(entry, after: incarnations[incarnations.count - 1], root: root))
        }
        return incarnations
    }
}
