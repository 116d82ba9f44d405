import Bundle
import JSON
import LedgerFormat
import Merkle
import OpenSSL
import Paths

/// The checks of `evidence verify`, each kept with its outcome in plain words.
struct Verification {
    private struct Check {
        let what: String
        /// What is wrong; nil where it passed.
        let problem: String?
    }

    private let entryBytes: [UInt8]
    private let proofBytes: [UInt8]
    private let key: GivenKey
    private var hasher = SHA256Hasher()
    private var checks: [Check] = []
    private var entry: Entry?
    private var checkpoint: Checkpoint?
    private var digests: [(name: String, hex: String)] = []

    /// - Parameter key: not a fingerprint, which checks no signature.
    init(entryBytes: [UInt8], proofBytes: [UInt8], key: GivenKey) {
        self.entryBytes = entryBytes
        self.proofBytes = proofBytes
        self.key = key
    }

    var hasPassed: Bool { checks.allSatisfy { $0.problem == nil } }

    /// The entry's form: a text that can be read in two ways proves nothing.
    mutating func checkEntry() {
        let what = "the entry is well-formed and canonical"
        do {
            let entry = try Entry(entryBytes)
            self.entry = entry
            record(what)
            checkType(entry)
        } catch {
            let hint = entryBytes.last == 0x0A ? "; the file ends in a line feed, which is not part of an entry" : ""
            record(what, "\(error)\(hint)")
        }
    }

    private mutating func checkType(_ entry: Entry) {
        let what = "the entry keeps the rules of its type, \(entry.type)"
        guard let type = EventCatalogue.type(named: entry.type) else {
            return record(what, "the catalogue has no such type")
        }
        record(what, type.contradiction(entry).map { "it \($0)" })
    }

    /// Signature, place and path.
    mutating func checkProof() {
        let proof: TlogProof
        do {
            guard let text = String(validating: proofBytes, as: UTF8.self) else {
                throw NoteError(.malformedProof, "not UTF-8")
            }
            proof = try TlogProof(parsing: text)
            record("the proof is a tlog-proof")
        } catch {
            return record("the proof is a tlog-proof", "\(error)")
        }
        checkSignature(proof)
        checkInclusion(proof)
        guard let entry else { return }
        let isSame = entry.index == proof.index
        record(
            "the entry says of itself that it is entry \(proof.index), as the proof does",
            isSame ? nil : "it says it is entry \(entry.index)"
        )
    }

    private mutating func checkSignature(_ proof: TlogProof) {
        let what = "the checkpoint is signed by the key given"
        do {
            let note = try SignedNote(parsing: Array(proof.note.utf8))
            let checkpoint = try Checkpoint(parsing: note.text)
            let key = try verificationKey(for: checkpoint)
            try note.verify([KeyVerifier(key)])
            self.checkpoint = checkpoint
            record(what)
            let isSame = checkpoint.origin.utf8.elementsEqual(key.name.utf8)
            record(
                "the checkpoint is of the ledger the key is of",
                isSame ? nil : "it is of \(checkpoint.origin), the key of \(key.name)"
            )
        } catch {
            record(what, "\(error)")
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
        let what = "the entry's hash leads to the signed root of \(checkpoint.size) entries"
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
            record(what, error.rawValue)
        }
    }

    /// Every opening of a file: one, a list, or an object with a list `openings`.
    mutating func checkOpenings(_ bytes: [UInt8], name: String) {
        let values: [JSONValue]
        do {
            let value = try JSONReader.parse(bytes)
            values = value["openings"]?.array ?? value.array ?? [value]
        } catch {
            return record("\(name) holds openings", "\(error)")
        }
        if values.isEmpty { record("\(name) holds openings", "there are none") }
        for value in values {
            guard let opening = Verification.opening(value) else {
                record("\(name) holds openings", "one lacks scope, name, salt of 32 bytes or value")
                continue
            }
            let what = "the claim \(opening.name) is the one the entry commits to"
            guard let entry else {
                record(what, "there is no entry to compare it with")
                continue
            }
            let scope = entry.claims.first { $0.scope == opening.scope }
            let claim = scope?.claims.first { $0.name == opening.name }
            if let claim {
                let isSame = hasher.hash(opening.preimage) == claim.commitment
                let rule = EventCatalogue.type(named: entry.type)?.claims.first { $0.name == opening.name }?.rule
                let keepsRule =
                    rule?.allows(opening.value) ?? false
                    && opening.value.canonicalBytes.count <= FormatLimits.claimValueBytes
                record(
                    what,
                    !isSame
                        ? "salt and value give another commitment"
                        : keepsRule ? nil : "its value must be \(rule?.summary ?? "one the entry's type has")"
                )
                if isSame, EventCatalogue.digestClaims.contains(opening.name), let hex = opening.value.string {
                    digests.append((opening.name, hex))
                }
            } else {
                record(what, "the entry has no such claim under \(opening.scope)")
            }
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
        if digests.isEmpty { record("\(path) is the document", "no valid opening discloses its sha256 or sm3") }
        for digest in digests {
            let own = (digest.name.utf8.elementsEqual("sm3".utf8) ? taken.sm3 : nil)?.hex ?? taken.sha256.hex
            record(
                "\(path) has the \(digest.name) that was recorded",
                own == digest.hex ? nil : "it has \(own), recorded was \(digest.hex)"
            )
        }
    }

    var json: JSONValue {
        let list: [JSONValue] = checks.map { check in
            .members([
                "check": .string(check.what), "passed": .bool(check.problem == nil),
                "problem": check.problem.map { .string($0) } ?? .null,
            ])
        }
        return .members(["passed": .bool(hasPassed), "checks": .array(list)])
    }

    func print() {
        for check in checks {
            // What is checked may be hostile, down to the names in it.
            let line = check.problem.map { "FAILED  \(check.what): \($0)" } ?? "passed  \(check.what)"
            Swift.print(Terminal.printable(line))
        }
        guard hasPassed, let entry, let checkpoint else {
            Swift.print("\nNOT VERIFIED: do not rely on this evidence")
            return
        }
        let place = "\(checkpoint.origin) recorded this entry, \(entry.type), as number \(entry.index)"
        Swift.print("\nVERIFIED: \(Terminal.printable(place)), and dates it \(entry.time)")
        Swift.print(
            "(Only keys are compared: who the operator is, is not checked. When the checkpoint was signed, whether the ledger was "
                + "rewritten before, and that its clock was right, is not shown.)"
        )
    }

    private mutating func record(_ what: String, _ problem: String? = nil) {
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
