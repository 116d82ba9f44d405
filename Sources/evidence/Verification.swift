import Bundle
import JSON
import LedgerFormat
import Merkle
import OpenSSL
import Paths

/// The checks of `evidence verify` of a single record, each kept with its outcome in plain words.
struct Verification {
    private struct Check {
        let what: Words
        /// What is wrong; nil where it passed.
        let problem: Words?
    }

    private let entryBytes: [UInt8]
    private let proofBytes: [UInt8]
    private let key: GivenKey
    private var hasher = SHA256Hasher()
    private var checks: [Check] = []
    private var entry: Entry?
    private var checkpoint: Checkpoint?
    private var digests: [(name: String, hex: String)] = []
    /// Whether the key given made none of the checkpoint's signatures: that is no sign of a change.
    private var isAnothersKey = false

    /// - Parameter key: not a fingerprint, which checks no signature.
    init(entryBytes: [UInt8], proofBytes: [UInt8], key: GivenKey) {
        self.entryBytes = entryBytes
        self.proofBytes = proofBytes
        self.key = key
    }

    var hasPassed: Bool { checks.allSatisfy { $0.problem == nil } }

    /// The entry's form: a text that can be read in two ways proves nothing.
    mutating func checkEntry() {
        let what = Words("the record is well-formed and canonical", "记录符合格式且为规范形式")
        do {
            let entry = try Entry(entryBytes)
            self.entry = entry
            record(what)
            checkType(entry)
        } catch {
            let isLonger = entryBytes.last == 0x0A
            let hint = Words(
                isLonger ? "; the file ends in a line feed, which is not part of a record" : "",
                isLonger ? "；文件末尾有换行符，不属于记录" : ""
            )
            record(what, Words("\(error)\(hint.english)", "\(error)\(hint.chinese)"))
        }
    }

    private mutating func checkType(_ entry: Entry) {
        let what = Words("the record keeps the rules of its type, \(entry.type)", "记录符合其类型 \(entry.type) 的规则")
        guard let type = EventCatalogue.type(named: entry.type) else {
            return record(what, Words("the catalogue has no such type", "目录中没有此类型"))
        }
        record(what, type.contradiction(entry).map { Words("it \($0)", "\($0)") })
    }

    /// Signature, place and path.
    mutating func checkProof() {
        let what = Words("the proof is a tlog-proof", "证明符合 tlog-proof 格式")
        let proof: TlogProof
        do {
            guard let text = String(validating: proofBytes, as: UTF8.self) else {
                throw NoteError(.malformedProof, "not UTF-8")
            }
            proof = try TlogProof(parsing: text)
            record(what)
        } catch {
            return record(what, Words("\(error)", "\(error)"))
        }
        checkSignature(proof)
        checkInclusion(proof)
        guard let entry else { return }
        let isSame = entry.index == proof.index
        record(
            Words(
                "the record says of itself that it is number \(proof.index), as the proof does",
                "记录所载编号与证明所载的第 \(proof.index) 项相同"
            ),
            isSame ? nil : Words("it says it is number \(entry.index)", "记录所载为第 \(entry.index) 项")
        )
    }

    private mutating func checkSignature(_ proof: TlogProof) {
        let what = Words("the checkpoint is signed by the key given", "账本签名快照由所提供的密钥作出数字签名")
        do {
            let note = try SignedNote(parsing: Array(proof.note.utf8))
            let checkpoint = try Checkpoint(parsing: note.text)
            self.checkpoint = checkpoint
            let key = try verificationKey(for: checkpoint)
            try note.verify([KeyVerifier(key)])
            record(what)
            let isSame = checkpoint.origin.utf8.elementsEqual(key.name.utf8)
            record(
                Words("the checkpoint is of the ledger the key is of", "账本签名快照与密钥属于同一账本"),
                isSame
                    ? nil
                    : Words(
                        "it is of \(checkpoint.origin), the key of \(key.name)",
                        "快照属于 \(checkpoint.origin)，密钥属于 \(key.name)"
                    )
            )
        } catch {
            isAnothersKey = (error as? NoteError)?.code == .noKnownSignature
            record(what, Words("\(error)", "\(error)"))
        }
    }

    /// The key given, with its own name, or, where it has none, with that of the ledger it is to check.
    private func verificationKey(for checkpoint: Checkpoint) throws -> VerificationKey {
        switch key {
        case .named(let key): return key
        case .bare(let publicKey):
            let hasher = hasher
            return try VerificationKey(name: checkpoint.origin, publicKey: publicKey) { hasher.hash($0) }
        case .fingerprint: throw NoteError(.malformedKey, "a fingerprint checks no signature")
        }
    }

    private mutating func checkInclusion(_ proof: TlogProof) {
        guard let checkpoint else { return }
        let what = Words(
            "the record's hash leads to the root of the checkpoint of \(checkpoint.size) records",
            "记录的哈希值可得出载有 \(checkpoint.size) 项记录的账本签名快照的根"
        )
        do {
            try ProofVerifier.inclusion(
                leaf: hasher.leaf(entryBytes),
                index: proof.index,
                size: checkpoint.size,
                path: proof.path,
                root: checkpoint.root,
                hasher: &hasher
            )
            record(what)
        } catch {
            record(what, Words(error.rawValue, error.rawValue))
        }
    }

    /// Every opening of a file: one, a list, or an object with a list `openings`.
    mutating func checkOpenings(_ bytes: [UInt8], name: String) {
        let held = Words("\(name) holds openings", "\(name) 载有披露内容")
        let values: [JSONValue]
        do {
            let value = try JSONReader.parse(bytes)
            values = value["openings"]?.array ?? value.array ?? [value]
        } catch {
            return record(held, Words("\(error)", "\(error)"))
        }
        if values.isEmpty { record(held, Words("there are none", "其中没有披露内容")) }
        for value in values {
            guard let opening = Verification.opening(value) else {
                record(
                    held,
                    Words("one lacks scope, name, salt of 32 bytes or value", "其中一项缺少 scope、name、32 字节的 salt 或 value")
                )
                continue
            }
            checkOpening(opening)
        }
    }

    private mutating func checkOpening(_ opening: Opening) {
        let what = Words(
            "the value of \(opening.name) is the one of which the record has the salted hash",
            "披露的 \(opening.name) 与记录中的加盐哈希值一致"
        )
        guard let entry else { return record(what, Words("there is no record to compare it with", "没有可供比对的记录")) }
        let scope = entry.claims.first { $0.scope == opening.scope }
        guard let claim = scope?.claims.first(where: { $0.name == opening.name }) else {
            return record(
                what,
                Words("the record has no such value under \(opening.scope)", "记录在 \(opening.scope) 下没有此项内容")
            )
        }
        guard hasher.hash(opening.preimage) == claim.commitment else {
            return record(what, Words("salt and value give another hash", "随机数与内容得出的哈希值不同"))
        }
        let rule = EventCatalogue.type(named: entry.type)?.claims.first { $0.name == opening.name }?.rule
        let keepsRule =
            rule?.allows(opening.value) ?? false
            && opening.value.canonicalBytes.count <= FormatLimits.claimValueBytes
        let due = rule?.summary
        record(
            what,
            keepsRule
                ? nil
                : Words(
                    "its value must be \(due ?? "one the record's type has")",
                    "其内容不符合规则（\(due ?? "the record's type has no such value")）"
                )
        )
        if EventCatalogue.digestClaims.contains(opening.name), let hex = opening.value.string {
            digests.append((opening.name, hex))
        }
    }

    /// Whether a file has the digests that were disclosed.
    mutating func checkDocument(_ path: FilePath) throws {
        let total = try LocalFile.size(path)
        var bar = ProgressBar("hashing")
        let needsSM3 = digests.contains { $0.name.utf8.elementsEqual("sm3".utf8) }
        let taken = try FileDigests(path: path, withSM3: needsSM3) {
            bar.update(done: UInt64(clamping: $0), total: total)
        }
        bar.clear()
        if digests.isEmpty {
            record(
                Words("\(path) is the document", "\(path) 即所记录的文件"),
                Words("no valid opening discloses its sha256 or sm3", "没有有效的披露内容载有其 sha256 或 sm3")
            )
        }
        for digest in digests {
            let own = (digest.name.utf8.elementsEqual("sm3".utf8) ? taken.sm3 : nil)?.hex ?? taken.sha256.hex
            record(
                Words("\(path) has the \(digest.name) that was recorded", "\(path) 的 \(digest.name) 与所记录者相同"),
                own == digest.hex
                    ? nil : Words("it has \(own), recorded was \(digest.hex)", "其为 \(own)，所记录者为 \(digest.hex)")
            )
        }
    }

    var json: JSONValue {
        let list: [JSONValue] = checks.map { check in
            .members([
                "check": .string(check.what.english), "passed": .bool(check.problem == nil),
                "problem": check.problem.map { .string($0.english) } ?? .null,
            ])
        }
        return .members(["passed": .bool(hasPassed), "checks": .array(list)])
    }

    func print(chinese: Bool) {
        for check in checks {
            let outcome = check.problem == nil ? Words("passed", "通过") : Words("FAILED", "未通过")
            let problem = check.problem.map { Words(": \($0.english)", "：\($0.chinese)") } ?? Words("", "")
            // What is checked may be hostile, down to the names in it.
            let line = [outcome, Words("  ", "  "), check.what, problem].map { $0.text(chinese: chinese) }.joined()
            Swift.print(Terminal.printable(line))
        }
        Swift.print("")
        for line in verdict { Swift.print(Terminal.printable(line.text(chinese: chinese))) }
    }

    /// What the checks come to, in the words of a bundle's verdict: no more than was checked.
    private var verdict: [Words] {
        guard hasPassed, let entry, let checkpoint else {
            guard isAnothersKey, checks.filter({ $0.problem != nil }).count == 1 else {
                return [Words("FAILED: do not rely on this proof", "核验未通过：不应采信本证明")]
            }
            return [
                Words(
                    "NOT THIS KEY: record and proof agree, but the key given is another. Either it is the wrong key, or the proof "
                        + "does not come from its holder. Do not rely on it before that is cleared up.",
                    "密钥不符：记录与证明相符，但与所提供的密钥不符。或者所提供的密钥不对，或者本证明并非出自该密钥的持有者；查明之前不应采信。"
                ), BundleVerification.aboutTheKey,
            ]
        }
        return [
            Words(
                "KEYS MATCH: the key given is the one that signed this checkpoint; where it came from is not shown here.",
                "仅密钥比对一致：所提供的密钥与对账本签名快照作数字签名的密钥相同；其来源未经核实。"
            ),
            Words("(If it came with this proof, the comparison shows nothing.)", "（如与本证明一同取得，此比对无证明意义。）"),
            Words(
                "The checks made here hold. Record \(entry.index) (\(entry.type)) of \(checkpoint.origin) is as the checkpoint has "
                    + "it, and bears the time \(entry.time), by the ledger's clock; when the checkpoint was signed, whether the ledger "
                    + "was rewritten before, and that its clock was right, is not shown.",
                "此处所作各项核验均成立。\(checkpoint.origin) 的第 \(entry.index) 项记录（\(entry.type)）与所附账本签名快照一致，"
                    + "所载时间为 \(entry.time)，系账本时钟所示；快照的数字签名时间不明，此前是否改写不能排除，账本时钟准确性未证明。"
            ), BundleVerification.aboutTheKey,
            Words(
                "NOTE: of what was recorded before and since, and of records that this one cites, nothing is said here; a bundle "
                    + "(evidence bundle) has them.",
                "提示：此前此后的记录，以及本项记录所引用的记录，均不在此列；可要求出具证据包（evidence bundle）。"
            ),
        ]
    }

    private mutating func record(_ what: Words, _ problem: Words? = nil) {
        checks.append(Check(what: what, problem: problem))
    }

    /// The opening of its JSON form (`ledger-format.md` section 5); nil where it is none.
    static func opening(_ value: JSONValue) -> Opening? {
        guard let scope = value["scope"]?.string.flatMap({ StreamID($0) }), let name = value["name"]?.string,
            let salt = value["salt"]?.string.flatMap({ Base64.decode($0) }), salt.count == FormatLimits.saltBytes,
            let disclosed = value["value"]
        else { return nil }
        return Opening(scope: scope, name: name, salt: salt, value: disclosed)
    }
}

/// A key of the user's as the note checks it.
private struct KeyVerifier: NoteVerifier {
    let name: String
    let keyID: UInt32
    private let key: Ed25519PublicKey

    init(_ key: VerificationKey) throws {
        name = key.name
        keyID = key.keyID
        self.key = try Ed25519PublicKey(key.publicKey)
    }

    func isValid(signature: [UInt8], over text: [UInt8]) -> Bool { key.isValid(signature: signature, over: text) }
}
