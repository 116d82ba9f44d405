import LedgerFormat
import Merkle
import OpenSSL
import Zip

/// Verifies bundles: the ten steps of `ledger-format.md` section 14. Needs nothing but the bundle, and the ledger's
/// verification key to say who signed. Input may be hostile: nothing traps.
public struct BundleVerifier {
    /// The most bytes of text taken into memory.
    static let maximumTextBytes: UInt64 = 1 << 30

    var report = BundleReport()
    private var source: BundleSource?
    var hasher = SHA256Hasher()
    /// Contents of all members but originals, by name.
    var texts: [String: [UInt8]] = [:]
    var originals: [String: OriginalDigests] = [:]
    /// SHA-256 of every member that could be read.
    var digests: [String: Digest] = [:]
    /// By ascending index; those that can be read.
    var entries: [ReadEntry] = []
    var incarnations: [Incarnation] = []
    var checkpoint: Checkpoint?
    /// Values of openings that hold, by index and name.
    var opened: [UInt64: [String: OpeningText]] = [:]

    /// Whether a member discloses the SM3 of a document: else nobody needs it, and not every computer has it.
    private var isSM3Disclosed = false

    /// What kept the computer from making the checks.
    private struct Trouble: Error {
        let member: String?
        let words: Words
    }

    struct OriginalDigests {
        let sha256: Digest
        /// nil where no bundle's member discloses one.
        let sm3: Digest?
        let size: UInt64
    }

    /// An entry as far as it could be read.
    struct ReadEntry {
        let entry: Entry
        let leaf: Digest
        /// Its proof, where that holds.
        var proof: TlogProof?

        var member: String { BundleMember.entry(entry.index).name }
    }

    /// Verifies the bundle at a path: an archive, or a folder with the files of one.
    ///
    /// - Parameter key: the ledger operator's key from elsewhere, of any incarnation; nil where there is none.
    /// - Returns: all checks. Where the computer could not make them, as with a file it can't read, `trouble` says why.
    public static func verify(path: String, key: GivenKey? = nil) -> BundleReport {
        var verifier = BundleVerifier()
        verifier.run(path: path, key: key)
        return verifier.report
    }

    private mutating func run(path: String, key: GivenKey?) {
        do { try checkArchive(path) } catch {
            tell(error)
            return
        }
        // An archive that can be read and holds no text is no bundle: the checks of what must be there say so.
        guard !texts.isEmpty || report.hasPassed else {
            for kind in BundleCheckKind.allCases where kind != .archive {
                note(kind, .unchecked, nil, Words("the files can't be read", "文件无法读取"))
            }
            return
        }
        check(.digests, nil) { $0.checkDigests() }
        checkManifest()
        check(.page, BundleMember.page.name) { $0.checkPage() }
        check(.instructions, BundleMember.instructions.name) { $0.checkInstructions() }
        check(.entries, nil) { $0.readEntries() }
        check(.inclusion, nil) { $0.checkInclusion() }
        check(.chain, nil) { $0.checkChain() }
        check(.times, nil) { $0.checkTimes() }
        check(.identity, nil) { $0.checkIdentity() }
        check(.keys, nil) { $0.checkKeys() }
        check(.signature, BundleMember.checkpoint.name) { $0.checkSignature() }
        checkTrust(key)
        check(.streams, nil) { $0.checkStreams() }
        check(.openings, nil) { $0.checkOpenings() }
        check(.originals, nil) { $0.checkOriginals() }
        check(.consistency, nil) { $0.checkConsistency() }
        report.people = BundlePeople(entries.map(\.entry), opened: opened)
        tellContainer()
        tellCitations()
        tellClock()
        tellSignedDocuments()
        tellAbsences()
    }

    // MARK: The report

    /// Makes a check; it has passed where the body noted nothing.
    ///
    /// - Parameter body: notes failures; gives how much was checked, or nil where that says nothing.
    mutating func check(_ kind: BundleCheckKind, _ member: String?, _ body: (inout BundleVerifier) -> Words?) {
        let before = report.checks.count
        let remark = body(&self)
        if report.checks.count == before { note(kind, .passed, member, remark) }
    }

    mutating func note(_ kind: BundleCheckKind, _ outcome: BundleCheck.Outcome, _ member: String?, _ remark: Words?) {
        report.checks.append(BundleCheck(kind: kind, outcome: outcome, member: member, remark: remark))
    }

    mutating func fail(_ kind: BundleCheckKind, _ member: String?, _ remark: Words) {
        let failures = report.checks.reversed().prefix { $0.kind == kind }.count
        if failures < BundleReport.maximumFailures { note(kind, .failed, member, remark) }
    }

    // MARK: Step 1

    /// Reads all members: texts into memory, originals through the hash functions.
    ///
    /// - Throws: what is no fault of the files but trouble of the computer, with which the whole run ends.
    private mutating func checkArchive(_ path: String) throws(Trouble) {
        var trouble: Trouble?
        check(.archive, nil) { verifier in
            do {
                let source = try BundleSource(path: path)
                verifier.source = source
                verifier.report.container = source.container
                let text = source.members.reduce(UInt64(0)) { sum, member in
                    if case .original = BundleMember(name: member.name) { return sum }
                    let (more, isTooMuch) = sum.addingReportingOverflow(member.size)
                    return isTooMuch ? .max : more
                }
                guard text <= BundleVerifier.maximumTextBytes else { throw ZipError(.memberTooLarge) }
                verifier.isSM3Disclosed = source.members.contains {
                    if case .opening(_, let claim) = BundleMember(name: $0.name) {
                        claim.utf8.elementsEqual("sm3".utf8)
                    } else {
                        false
                    }
                }
                for member in source.members { try verifier.read(member, of: source) }
                return Words(count: source.members.count, "file", "files", "个文件")
            } catch let error as ZipError where error.rule == .system {
                trouble = Trouble(member: error.member, words: Words(archive: error))
            } catch let error as MissingAlgorithm {
                trouble = Trouble(
                    member: nil,
                    words: Words(
                        "its OpenSSL has no \(error.name), whose digest is disclosed of a document",
                        "其 OpenSSL 不支持 \(error.name)，而文件的 \(error.name) 哈希值已披露"
                    )
                )
            } catch let error as ZipError {
                verifier.fail(.archive, error.member, Words(archive: error))
            } catch {
                verifier.fail(.archive, nil, Words(error: error))
            }
            return nil
        }
        if let trouble { throw trouble }
    }

    /// Nothing that was found before says anything, either: had the computer done what it should, it might not stand.
    private mutating func tell(_ trouble: Trouble) {
        let (member, words) = (trouble.member, trouble.words)
        report = BundleReport()
        report.trouble = Words(
            "\(member.map { "\($0): " } ?? "")\(words.english)",
            "\(member.map { "\($0)：" } ?? "")\(words.chinese)"
        )
        note(.archive, .unchecked, member, words)
        for kind in BundleCheckKind.allCases where kind != .archive { note(kind, .unchecked, nil, nil) }
    }

    private mutating func read(_ member: BundleSource.Member, of source: BundleSource) throws {
        let kind = BundleMember(name: member.name)
        guard kind != nil else {
            return fail(.archive, member.name, Words("no bundle has a file of this name", "证据包中不应有此名称的文件"))
        }
        do {
            if case .original = kind {
                let sha256 = RunningDigest.sha256()
                let sm3 = isSM3Disclosed ? try RunningDigest.sm3() : nil
                try source.read(member) {
                    sha256.update($0)
                    sm3?.update($0)
                }
                let digest = sha256.finish()
                digests[member.name] = digest
                originals[member.name] = OriginalDigests(sha256: digest, sm3: sm3?.finish(), size: member.size)
            } else {
                var content: [UInt8] = []
                // No more ahead than what a small archive may claim for nothing.
                content.reserveCapacity(Int(min(member.size, 1 << 24)))
                try source.read(member) { content.append(contentsOf: $0) }
                digests[member.name] = hasher.hash(content)
                texts[member.name] = content
                if String(validating: content, as: UTF8.self) == nil {
                    fail(.archive, member.name, Words("it is not UTF-8", "不是 UTF-8 文本"))
                }
            }
        } catch let error as ZipError where error.rule == .system {
            throw error
        } catch let error as MissingAlgorithm {
            throw error
        } catch let error as ZipError {
            fail(.archive, member.name, Words(archive: error))
        } catch {
            fail(.archive, member.name, Words(error: error))
        }
    }

    /// What the files lie in is told apart from them: nothing of the verdict rests on it. That contents are intact is said
    /// of a bundle only that has passed: a forger makes digests match.
    private mutating func tellContainer() {
        guard let source else { return }
        let (more, moreZH) = BundleVerifier.passedOver(source.leavings)
        let (intact, intactZH) = report.hasPassed ? ("; contents intact", "，内容完好") : ("", "")
        switch source.container {
        case .issued: note(.container, .passed, nil, nil)
        case .repacked:
            let why = source.deviation.map { Words(archive: $0) }
            let member = source.deviation?.member.map { "\($0) " } ?? ""
            note(
                .container,
                .noted,
                nil,
                Words(
                    "repacked\(intact) (\(member)\(why?.english ?? "")\(more))",
                    "经重新打包\(intactZH)（\(member)\(why?.chinese ?? "")\(moreZH)）"
                )
            )
        case .folder:
            note(.container, .noted, nil, Words("unpacked\(intact)\(more)", "已解压\(intactZH)\(moreZH)"))
        }
    }

    /// The words for files that were passed over. Nothing checks their names, so that nothing of one is shown that could
    /// be a part of the sentence.
    private static func passedOver(_ names: [String]) -> (String, String) {
        guard !names.isEmpty else { return ("", "") }
        let shown = names.prefix(5).map { ZipName.shown($0.utf8) }
        let others = names.count - shown.count
        return (
            "; passed over: \(shown.joined(separator: ", "))\(others > 0 ? " and \(others) more" : "")",
            "；已略过：\(shown.joined(separator: "、"))\(others > 0 ? "，另有 \(others) 个" : "")"
        )
    }

    private mutating func checkDigests() -> Words? {
        guard let list = texts[BundleMember.digests.name] else {
            fail(.digests, BundleMember.digests.name, Words("it is missing", "缺失"))
            return nil
        }
        var others = digests
        others[BundleMember.digests.name] = nil
        guard list != DigestList.text(others) else {
            return Words(count: others.count, "member", "members", "个文件")
        }
        let differences = DigestList.differences(list, from: others)
        for difference in differences where !difference.isLine {
            fail(.digests, difference.name, Words("it has another digest than stated, or no line", "哈希值与所列不同，或未列出"))
        }
        // Also what is wrong with the list itself: other lines, another order or spelling.
        if differences.isEmpty || differences.contains(where: \.isLine) {
            fail(.digests, BundleMember.digests.name, Words("it is not spelt as it must be", "书写形式不符合规定"))
        }
        return nil
    }
}
