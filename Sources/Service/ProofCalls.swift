import JSON
import Ledger
import LedgerFormat
import Merkle
import Varlink

extension LedgerService {
    func getCheckpoint(_ bytes: [UInt8]) throws -> [UInt8] {
        let parameters = try CallParameters(bytes, known: ["size"])
        let answer = try ledger.checkpoint(covering: parameters.number("size"))
        return JSONValue.members([
            "checkpoint": .string(answer.note), "origin": .string(answer.checkpoint.origin),
            "root": .string(answer.checkpoint.root.base64), "size": .int(Int64(answer.checkpoint.size)),
            "vkey": .string(answer.vkey),
        ]).canonicalBytes
    }

    func proveInclusion(_ bytes: [UInt8]) throws -> [UInt8] {
        let parameters = try CallParameters(bytes, known: ["index", "leaf", "size"])
        let leaf = try parameters.optional("leaf", "must be 32 bytes in base64") { Digest(base64: $0) }
        guard parameters.has("index") != (leaf != nil) else {
            throw LedgerErrors.invalidArgument("index", "must be given, or else leaf, and not both")
        }
        let index = try leaf.map { try ledger.index(ofLeaf: $0) } ?? parameters.requiredNumber("index")
        return LedgerReplies.inclusion(try ledger.proveInclusion(of: index, size: parameters.number("size")))
    }

    func proveConsistency(_ bytes: [UInt8]) throws -> [UInt8] {
        let parameters = try CallParameters(bytes, known: ["first", "second"])
        return LedgerReplies.consistency(
            try ledger.proveConsistency(
                first: parameters.requiredNumber("first"),
                second: parameters.number("second")
            )
        )
    }
}
