import JSON
import LedgerFormat
import Vault

/// The replies of `org.evidenced.Vault`.
extension LedgerReplies {
    static func object(_ object: ID128) -> [UInt8] {
        JSONValue.members(["object": .string(object.description)]).canonicalBytes
    }

    static func upload(_ id: ID128, _ upload: Upload) -> [UInt8] {
        JSONValue.members([
            "object": .string(upload.wish.order.object.description), "offset": .int(Int64(upload.offset)),
            "upload": .string(id.description),
        ]).canonicalBytes
    }

    static func status(of upload: Upload) -> [UInt8] {
        JSONValue.members([
            "object": .string(upload.wish.order.object.description), "offset": .int(Int64(upload.offset)),
            "size": .int(Int64(upload.size)),
        ]).canonicalBytes
    }

    static func retrieval(_ retrieval: Retrieval) -> [UInt8] {
        JSONValue.members([
            "decryption": .int(Int64(retrieval.decryption)), "mediaType": .string(retrieval.mediaType),
            "size": .int(Int64(retrieval.count)),
        ]).canonicalBytes
    }

    /// - Parameter selfcheck: the index of the entry that records it, at the end.
    static func check(_ progress: CustodyCheck.Progress, selfcheck: UInt64?) -> [UInt8] {
        func list(_ objects: [ID128]) -> JSONValue { .array(objects.map { .string($0.description) }) }
        var members = [
            JSONMember(name: "at", value: .int(Int64(progress.at))),
            JSONMember(name: "checked", value: .int(Int64(progress.checked))),
            JSONMember(name: "of", value: .int(Int64(progress.of))),
        ]
        if let selfcheck {
            members.append(JSONMember(name: "erasedLeft", value: list(progress.erasedLeft)))
            members.append(JSONMember(name: "selfcheck", value: .int(Int64(selfcheck))))
            members.append(JSONMember(name: "unsound", value: list(progress.unsound)))
        }
        return JSONValue.object(members).canonicalBytes
    }
}
