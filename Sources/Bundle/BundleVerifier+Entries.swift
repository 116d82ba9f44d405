import LedgerFormat
import Merkle
import OpenSSL

/// Steps 3, 4 and 7: the entries, their proofs, and how they hang together.
extension BundleVerifier {
    /// Reads every entry and checks it by sections 3 and 6.
    mutating func readEntries() -> Words? {
        var requests: Set<String> = []
        for (name, bytes) in texts.sorted(by: { $0.key < $1.key }) {
            guard case .entry(let index) = BundleMember(name: name) else { continue }
            let entry: Entry
            do {
                entry = try Entry(bytes)
            } catch {
                fail(.entries, name, Words(error: error))
                continue
            }
            if entry.index != index {
                fail(.entries, name, Words("it says it is record \(entry.index)", "记录自称编号为 \(entry.index)"))
                continue
            }
            if let contradiction = contradiction(entry) {
                fail(.entries, name, Words("it \(contradiction)", "不符合其类型的规则（\(contradiction)）"))
            }
            if !requests.insert("\(entry.submitter) \(entry.request)").inserted {
                fail(.entries, name, Words("an earlier record has its submitter and request", "提交系统与请求编号同前一记录重复"))
            }
            entries.append(ReadEntry(entry: entry, leaf: hasher.leaf(bytes)))
        }
        entries.sort { $0.entry.index < $1.entry.index }
        return Words(count: entries.count, "record", "records", "项记录")
    }

    /// The first rule of section 6 an entry breaks.
    private func contradiction(_ entry: Entry) -> String? {
        guard let type = EventCatalogue.type(named: entry.type) else {
            return "has a type that is not in the catalogue"
        }
        if let contradiction = type.contradiction(entry) { return contradiction }
        guard type.isReserved == (entry.submitter == "evidenced") else {
            return "has a submitter that may not submit its type"
        }
        guard !type.isReserved || entry.actor == .system else { return "has an actor that is not system" }
        return nil
    }

    /// Each entry's proof leads to the root of the checkpoint.
    mutating func checkInclusion() -> Words? {
        guard let bytes = texts[BundleMember.checkpoint.name] else {
            fail(.inclusion, BundleMember.checkpoint.name, Words("it is missing", "缺失"))
            return nil
        }
        let checkpoint: Checkpoint
        do {
            checkpoint = try Checkpoint(parsing: SignedNote(parsing: bytes).text)
        } catch {
            fail(.inclusion, BundleMember.checkpoint.name, Words(error: error))
            return nil
        }
        self.checkpoint = checkpoint
        let note = String(decoding: bytes, as: UTF8.self)
        for position in entries.indices {
            let name = BundleMember.proof(entries[position].entry.index).name
            do {
                guard let bytes = texts[name] else { throw BundleFormatError("it is missing", "缺失") }
                entries[position].proof = try proof(bytes, of: entries[position], in: checkpoint, note: note)
            } catch let error as ProofError {
                fail(.inclusion, name, Words(error.rawValue, "证明推算不出账本签名快照所载的结果（\(error.rawValue)）"))
            } catch {
                fail(.inclusion, name, Words(error: error))
            }
        }
        return Words(count: entries.count, "proof", "proofs", "份证明")
    }

    private mutating func proof(
        _ bytes: [UInt8],
        of entry: ReadEntry,
        in checkpoint: Checkpoint,
        note: String
    ) throws -> TlogProof {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw NoteError(.malformedProof, "is not UTF-8")
        }
        let proof = try TlogProof(parsing: text)
        guard proof.index == entry.entry.index else {
            throw BundleFormatError("it is of record \(proof.index)", "证明的是第 \(proof.index) 项记录")
        }
        guard proof.note.utf8.elementsEqual(note.utf8) else {
            throw BundleFormatError("the note in it is not the checkpoint", "其中的账本签名快照不是本证据包的账本签名快照")
        }
        // One text for one proof: nothing in it that nobody looks at.
        guard proof.extra == nil, proof.encoded.utf8.elementsEqual(bytes) else {
            throw BundleFormatError("it has more in it than a proof", "含有证明以外的内容")
        }
        try ProofVerifier.inclusion(
            leaf: entry.leaf,
            index: proof.index,
            size: checkpoint.size,
            path: proof.path,
            root: checkpoint.root,
            hasher: &hasher
        )
        return proof
    }

    mutating func checkChain() -> Words? {
        var links = 0
        for (left, right) in zip(entries, entries.dropFirst()) where left.entry.index + 1 == right.entry.index {
            links += 1
            if right.entry.previous != left.leaf {
                let index = left.entry.index
                fail(
                    .chain,
                    right.member,
                    Words("its prev is not the leaf hash of record \(index)", "prev 不是第 \(index) 项记录的叶哈希")
                )
            }
        }
        if let first = entries.first, first.entry.index == 0, first.entry.previous != .zero {
            fail(.chain, first.member, Words("the first record has a prev that is not zero", "首项记录的 prev 不为零"))
        }
        return Words(count: links, "pair", "pairs", "对")
    }

    mutating func checkTimes() -> Words? {
        for (left, right) in zip(entries, entries.dropFirst()) where right.entry.time <= left.entry.time {
            let index = left.entry.index
            fail(.times, right.member, Words("its time is not after that of record \(index)", "时间不晚于第 \(index) 项记录"))
        }
        return nil
    }

    /// In every stream numbers ascend with the index and none is above it. A stream selected as a whole has its numbers 0
    /// to n − 1 and no others.
    mutating func checkStreams() -> Words? {
        guard let manifest = report.manifest else {
            note(.streams, .unchecked, nil, Words("there is no manifest to go by", "没有可依据的清单"))
            return nil
        }
        var numbers: [StreamID: [Int64]] = [:]
        for row in manifest.streams { numbers[row.stream] = [] }
        var newest: [StreamID: Int64] = [:]
        for entry in entries {
            for membership in entry.entry.streams {
                numbers[membership.stream]?.append(membership.number)
                // What holds of every stream, told as a whole or not.
                let before = newest.updateValue(membership.number, forKey: membership.stream) ?? -1
                if membership.number <= before || membership.number > Int64(clamping: entry.entry.index) {
                    fail(
                        .streams,
                        entry.member,
                        Words(
                            "it can't be number \(membership.number) of \(membership.stream)",
                            "不可能是 \(membership.stream) 的第 \(membership.number) 号"
                        )
                    )
                }
            }
        }
        for row in manifest.streams {
            let found = numbers[row.stream] ?? []
            guard row.entries > 0, found.count == Int(clamping: row.entries), found.elementsEqual(0..<row.entries)
            else {
                let missing = (0..<max(row.entries, 1)).first { !found.contains($0) }
                let what = missing.map { Words("its number \($0) is missing", "缺少第 \($0) 号") }
                fail(
                    .streams,
                    BundleMember.manifest.name,
                    Words(
                        "\(row.stream): \(what?.english ?? "its numbers are not those stated, in their order")",
                        "\(row.stream)：\(what?.chinese ?? "编号与所列不符或次序不对")"
                    )
                )
                continue
            }
        }
        return Words(count: manifest.streams.count, "stream", "streams", "个记录流")
    }
}
