import LedgerFormat
import Merkle

/// Steps 5, 6 and 10: who the ledger is, who signed, and that it only grew.
extension BundleVerifier {
    /// Follows origin and key through the first entry and every `system.recovered`.
    mutating func checkIdentity() -> Words? {
        guard let first = entries.first, first.entry.index == 0 else {
            fail(.identity, BundleMember.entry(0).name, Words("it is missing or can't be read", "缺失或无法读取"))
            return nil
        }
        do {
            incarnations = [try Incarnation(first: first.entry)]
        } catch {
            fail(.identity, first.member, Words(error: error))
            return nil
        }
        let proofs = Dictionary(entries.map { ($0.entry.index, $0.proof) }) { first, _ in first }
        for entry in entries.dropFirst() {
            if entry.entry.type == "ledger.created" {
                fail(.identity, entry.member, Words("the ledger was created before", "账本早已创建"))
            }
            guard entry.entry.type == "system.recovered", let last = incarnations.last, let checkpoint else { continue }
            guard let proof = entry.proof else {
                fail(.identity, entry.member, Words("it is not proven to be in the ledger", "未能证明在账本中"))
                continue
            }
            do {
                let root = proof.rootBefore(size: checkpoint.size, hasher: &hasher)
                let incarnation = try Incarnation(entry.entry, after: last, root: root)
                incarnations.append(incarnation)
                // The entry of that number shows it by its proof; its own and those of earlier recoveries are among them.
                guard let size = incarnation.lock?.size, let shown = proofs[size] ?? nil else { continue }
                let lockRoot = shown.rootBefore(size: checkpoint.size, hasher: &hasher)
                checkLock(.identity, of: incarnation, root: lockRoot)
            } catch {
                fail(.identity, entry.member, Words(error: error))
            }
        }
        return Words(count: incarnations.count, "incarnation", "incarnations", "个实例")
    }

    /// The old lock's tree that a recovery states has the root this ledger has at that size.
    private mutating func checkLock(_ kind: BundleCheckKind, of incarnation: Incarnation, root: Digest) {
        guard let lock = incarnation.lock, lock.root != root else { return }
        fail(
            kind,
            BundleMember.entry(incarnation.index).name,
            Words(
                "its lock_root is not the root of the ledger's first \(lock.size) records",
                "lock_root 不是账本前 \(lock.size) 项记录的根"
            )
        )
    }

    /// The manifest and the key files name these keys and no others.
    mutating func checkKeys() -> Words? {
        guard let manifest = report.manifest else {
            note(.keys, .unchecked, nil, Words("there is no manifest to go by", "没有可依据的清单"))
            return nil
        }
        let established = incarnations.map { Manifest.KeyRow(incarnation: $0.number, vkey: $0.key.text) }
        // By bytes: to a String, U+212A and K are the same.
        let isSame = manifest.keys.elementsEqual(established) {
            $0.incarnation == $1.incarnation && $0.vkey.utf8.elementsEqual($1.vkey.utf8)
        }
        if !isSame {
            fail(.keys, BundleMember.manifest.name, Words("it names other keys than the records", "所列密钥与记录确立的不同"))
        }
        for incarnation in incarnations {
            let files: [(BundleMember, String)] = [
                (.vkey(incarnation.number), incarnation.key.text + "\n"),
                (.pem(incarnation.number), PublicKeyText.pem(incarnation.key.publicKey)),
            ]
            for (member, text) in files where !(texts[member.name]?.elementsEqual(text.utf8) ?? false) {
                fail(
                    .keys,
                    member.name,
                    Words(
                        "it does not hold the key of incarnation \(incarnation.number)",
                        "不是实例 \(incarnation.number) 的密钥"
                    )
                )
            }
        }
        return nil
    }

    mutating func checkSignature() -> Words? {
        let name = BundleMember.checkpoint.name
        guard let bytes = texts[name], let checkpoint, let incarnation = incarnations.last else {
            fail(.signature, name, Words("there is no checkpoint, or no key to check it with", "没有账本签名快照或核验密钥"))
            return nil
        }
        do {
            let note = try SignedNote(parsing: bytes)
            try note.verify([incarnation.verifier])
            guard checkpoint.origin.utf8.elementsEqual(incarnation.origin.utf8) else {
                throw BundleFormatError("its origin is not that of the key", "来源名称与密钥不符")
            }
            // Cosignatures of witnesses may follow; each line has one spelling.
            guard note.encoded.utf8.elementsEqual(bytes) else {
                throw BundleFormatError("it is not spelt as it must be", "书写形式不符合规定")
            }
            if let stated = report.manifest?.checkpoint, stated != checkpoint {
                fail(.signature, BundleMember.manifest.name, Words("it states another checkpoint", "所列账本签名快照不同"))
            }
        } catch {
            fail(.signature, name, Words(error: error))
        }
        // The name is the key's own word.
        let id = withUnsafeBytes(of: incarnation.key.keyID.bigEndian) { Hex.encode([UInt8]($0)) }
        return Words(
            "with the key \(id), which names itself \(checkpoint.origin), over \(checkpoint.size) records",
            "由自称“\(checkpoint.origin)”的密钥 \(id) 作数字签名，涵盖 \(checkpoint.size) 项记录"
        )
    }

    /// Follows the keys from the one that was got elsewhere to the one that signed.
    mutating func checkTrust(_ key: GivenKey?) {
        guard let key else {
            return note(
                .trust,
                .unchecked,
                nil,
                Words(
                    "no key from elsewhere was given: nothing shows whose ledger this is",
                    "未提供另行取得的密钥：不能证明账本由谁保管"
                )
            )
        }
        let given = BundleVerifier.grouped(key.fingerprint)
        guard let last = incarnations.last else {
            return fail(.trust, nil, Words("the bundle establishes no key", "证据包未确立任何密钥"))
        }
        guard let position = incarnations.lastIndex(where: { key.isKey($0.key) }) else {
            return fail(
                .trust,
                nil,
                Words(
                    "the ledger's key is another one; the fingerprint (SHA-256) of the key given is \(given)",
                    "账本密钥与所提供的不同；所提供密钥的密钥哈希值（SHA-256）为 \(given)"
                )
            )
        }
        let (number, later) = (incarnations[position].number, incarnations[(position + 1)...])
        let name = BundleMember.vkey(number).name
        guard !later.isEmpty else {
            report.signer = .given
            return note(
                .trust,
                .passed,
                nil,
                Words(
                    "the fingerprint (SHA-256) of the key given is \(given); the key in the bundle's member \(name) is the same",
                    "所提供密钥的密钥哈希值（SHA-256）为 \(given)；证据包中 \(name) 所载密钥与之相同"
                )
            )
        }
        guard let lost = later.last(where: { !$0.isSucceeding }) else {
            report.signer = .succeeded
            let remark = Words(
                "an earlier one, of incarnation \(number); the fingerprint (SHA-256) of the key given is \(given); the key in the "
                    + "bundle's member \(name) is the same",
                "为较早的密钥（实例 \(number)）；所提供密钥的密钥哈希值（SHA-256）为 \(given)；证据包中 \(name) 所载密钥与之相同"
            )
            note(.trust, .passed, nil, remark)
            return note(.succession, .passed, BundleMember.vkey(last.number).name, nil)
        }
        note(
            .trust,
            .unchecked,
            name,
            Words(
                "the key you hold is an earlier one of this ledger (incarnation \(number)); a key was lost since",
                "您持有的是本账本较早的密钥（实例 \(number)）；其后有密钥丢失"
            )
        )
        note(
            .succession,
            .unchecked,
            BundleMember.entry(lost.index).name,
            Words(
                "record \(lost.index) says that the key before it was lost: nothing shows who made the next one",
                "第 \(lost.index) 项记录称前一密钥已丢失：无从证明其后的密钥由谁生成"
            )
        )
    }

    /// A fingerprint in groups of four digits, as the page shows it to be compared.
    private static func grouped(_ fingerprint: Digest) -> String {
        let digits = Array(fingerprint.hex.utf8)
        return stride(from: 0, to: digits.count, by: 4).map { String(decoding: digits[$0..<$0 + 4], as: UTF8.self) }
            .joined(separator: " ")
    }

    /// Each older note is signed by the key in force at its size, and its tree is the beginning of the checkpoint's. What
    /// recoveries state of old locks agrees with those notes.
    mutating func checkConsistency() -> Words? {
        var count = 0
        var roots: [UInt64: Digest] = [:]
        for (name, bytes) in texts.sorted(by: { $0.key < $1.key }) {
            guard case .consistency(let size) = BundleMember(name: name) else { continue }
            count += 1
            do {
                roots[size] = try checkConsistency(bytes, size: size)
            } catch let error as ProofError {
                fail(.consistency, name, Words(error.rawValue, "证明有误（\(error.rawValue)）"))
            } catch {
                fail(.consistency, name, Words(error: error))
            }
        }
        for incarnation in incarnations {
            if let root = incarnation.lock.flatMap({ roots[$0.size] }) {
                checkLock(.consistency, of: incarnation, root: root)
            }
        }
        guard count > 0 else {
            note(
                .consistency,
                .unchecked,
                nil,
                Words("no older checkpoint to compare with", "未附较早的账本签名快照，无从核验")
            )
            return nil
        }
        return Words(count: count, "older checkpoint", "older checkpoints", "个较早的账本签名快照")
    }

    /// - Returns: the root of the older note.
    private mutating func checkConsistency(_ bytes: [UInt8], size: UInt64) throws -> Digest {
        guard let checkpoint else { throw BundleFormatError("there is no checkpoint to lead to", "没有可对照的账本签名快照") }
        let proof = try ConsistencyText(bytes)
        guard proof.encoded.utf8.elementsEqual(bytes) else {
            throw BundleFormatError("it is not spelt as it must be", "书写形式不符合规定")
        }
        let note = try SignedNote(parsing: Array(proof.note.utf8))
        let older = try Checkpoint(parsing: note.text)
        guard older.size == size, note.encoded.utf8.elementsEqual(proof.note.utf8) else {
            throw BundleFormatError("its note is of another size, or not spelt as it must be", "其所载记录数或书写形式不符")
        }
        guard older.size < checkpoint.size else {
            throw BundleFormatError("its checkpoint is not older", "该账本签名快照并非更早")
        }
        guard let incarnation = incarnations.last(where: { $0.index < size }) else {
            throw BundleFormatError("no key was in force at its size", "该大小时没有有效密钥")
        }
        try note.verify([incarnation.verifier])
        guard older.origin.utf8.elementsEqual(incarnation.origin.utf8) else {
            throw BundleFormatError("its origin is not that of the key", "来源名称与密钥不符")
        }
        try ProofVerifier.consistency(
            first: older.size,
            second: checkpoint.size,
            firstRoot: older.root,
            secondRoot: checkpoint.root,
            path: proof.path,
            hasher: &hasher
        )
        return older.root
    }
}
