import JSON
import Ledger
import LedgerFormat
import Merkle

/// The replies of `org.evidenced.Ledger`, written member by member in canonical order.
enum LedgerReplies {
    /// - Parameter object: the document that was deposited.
    static func receipts(_ outcome: AppendOutcome, proofs: [TlogProof]?, object: ID128? = nil) -> [UInt8] {
        var writer = JSONWriter(capacity: 512 + outcome.receipts.count * 192)
        writer.beginObject()
        writer.name("checkpoint")
        writer.string(outcome.checkpoint.note)
        if let object {
            writer.name("object")
            writer.string(object.description)
        }
        writer.name("receipts")
        writer.beginArray()
        for (position, receipt) in outcome.receipts.enumerated() {
            writer.beginObject()
            writer.name("duplicate")
            writer.bool(receipt.duplicate)
            writer.name("index")
            writer.int(Int64(receipt.index))
            writer.name("leaf")
            writer.plainString { receipt.leaf.appendBase64(to: &$0) }
            if let proofs {
                writer.name("proof")
                let text = proofs[position].bytes
                writer.string(utf8: text.span)
            }
            writer.name("time")
            writer.plainString { receipt.time.append(to: &$0) }
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        return writer.bytes
    }

    static func entry(_ entry: StoredEntry) -> [UInt8] {
        var writer = JSONWriter(capacity: entry.bytes.count * 5 / 4 + 160)
        writer.beginObject()
        writer.name("entry")
        write(entry, &writer)
        writer.endObject()
        return writer.bytes
    }

    static func entries(_ entries: [StoredEntry], next: UInt64? = nil, size: UInt64? = nil) -> [UInt8] {
        var writer = JSONWriter(capacity: entries.reduce(64) { $0 + $1.bytes.count * 5 / 4 + 160 })
        writer.beginObject()
        writer.name("entries")
        writer.beginArray()
        for entry in entries { write(entry, &writer) }
        writer.endArray()
        if let next {
            writer.name("next")
            writer.int(Int64(next))
        }
        if let size {
            writer.name("size")
            writer.int(Int64(size))
        }
        writer.endObject()
        return writer.bytes
    }

    static func inclusion(_ answer: InclusionAnswer) -> [UInt8] {
        var writer = JSONWriter(capacity: 1_024 + answer.path.count * 96)
        writer.beginObject()
        writer.name("hashes")
        writer.beginArray()
        for digest in answer.path { writer.plainString { digest.appendBase64(to: &$0) } }
        writer.endArray()
        writer.name("index")
        writer.int(Int64(answer.index))
        writer.name("leaf")
        writer.plainString { answer.leaf.appendBase64(to: &$0) }
        writer.name("proof")
        if let text = answer.proof?.bytes { writer.string(utf8: text.span) } else { writer.null() }
        writer.name("root")
        writer.plainString { answer.root.appendBase64(to: &$0) }
        writer.name("size")
        writer.int(Int64(answer.size))
        writer.endObject()
        return writer.bytes
    }

    static func consistency(_ answer: ConsistencyAnswer) -> [UInt8] {
        JSONValue.members([
            "checkpoint": answer.note.map { .string($0) } ?? .null, "first": .int(Int64(answer.first)),
            "firstRoot": .string(answer.firstRoot.base64),
            "hashes": .array(answer.path.map { .string($0.base64) }), "second": .int(Int64(answer.second)),
            "secondRoot": .string(answer.secondRoot.base64),
        ]).canonicalBytes
    }

    static func openings(_ openings: [Opening], of entry: Entry) -> [UInt8] {
        let rows = openings.map { opening in
            let commitment = entry.claims.first { $0.scope == opening.scope }?.claims
                .first { $0.name == opening.name }?.commitment
            return JSONValue.members([
                "commitment": commitment.map { .string($0.base64) } ?? .null, "name": .string(opening.name),
                "salt": .string(Base64.encode(opening.salt)), "scope": .string(opening.scope.description),
                "value": opening.value,
            ])
        }
        return JSONValue.members(["openings": .array(rows)]).canonicalBytes
    }

    private static func write(_ entry: StoredEntry, _ writer: inout JSONWriter) {
        writer.beginObject()
        writer.name("entry")
        writer.string(String(decoding: entry.bytes, as: UTF8.self))
        writer.name("index")
        writer.int(Int64(entry.index))
        writer.name("leaf")
        writer.plainString { entry.leaf.appendBase64(to: &$0) }
        writer.endObject()
    }
}
