import Age
import JSON
import LedgerFormat
import Varlink
import Vault

/// What is asked of a document that is to be given out, as either skin carries it.
struct FetchWish {
    /// Below it, a document in custody is at its id.
    static let path = "/objects/"

    private var object: String?
    private var purpose: String?
    private var actor: String?
    private var approver: String?
    private var recipient: String?
    private var recipientKey: String?
    private var order: UInt64?
    private var issuance: UInt64?
    /// The name the skin has for the recipient's key.
    private let keyField: String

    /// Reads the parameters of Fetch.
    init(_ bytes: [UInt8]) throws(VarlinkError) {
        let parameters = try CallParameters(
            bytes,
            known: ["object", "purpose", "actor", "approver", "order", "recipient", "recipientKey", "issuance"]
        )
        keyField = "recipientKey"
        object = try parameters.string("object")
        purpose = try parameters.string("purpose")
        actor = try parameters.string("actor")
        approver = try parameters.string("approver")
        recipient = try parameters.string("recipient")
        recipientKey = try parameters.string(keyField)
        order = try parameters.number("order")
        issuance = try parameters.number("issuance")
    }

    /// Reads path and query of a GET.
    init(_ path: String, query: String?) throws(HTTPQueryError) {
        keyField = "recipient_key"
        let query = try HTTPQuery(
            query,
            known: ["purpose", "actor", "approver", "order", "recipient", keyField, "issuance"]
        )
        object = String(Substring(path.utf8.dropFirst(FetchWish.path.utf8.count)))
        purpose = try query.text("purpose")
        actor = try query.text("actor")
        approver = try query.text("approver")
        recipient = try query.text("recipient")
        recipientKey = try query.text(keyField)
        order = try query.number("order", in: 0...UInt64(JSONValue.maximumInteger))
        issuance = try query.number("issuance", in: 0...UInt64(JSONValue.maximumInteger))
    }

    /// - Throws: `VarlinkError` naming field and rule.
    func order(of principal: Principal) throws(VarlinkError) -> RetrievalOrder {
        let id = "must be 32 lower-case hex digits"
        let purposes = RetrievalPurpose.allCases.map(\.rawValue).joined(separator: ", ")
        var retrieval = RetrievalOrder(
            submitter: principal.name,
            actor: try required("actor", actor, "must be system, subject/ID, staff/ID or vendor/ID") { Actor($0) },
            object: try required("object", object, id) { ID128($0) },
            purpose: try required("purpose", purpose, "must be one of \(purposes)") { RetrievalPurpose(rawValue: $0) }
        )
        retrieval.approver = try optional("approver", approver, id) { ID128($0) }
        retrieval.order = order
        let recipient = try optional("recipient", recipient, id) { ID128($0) }
        let key = try optional(keyField, recipientKey, "must be an X25519 recipient of age, age1…") {
            try? AgeRecipient($0)
        }
        switch (recipient, key) {
        case (let recipient?, let key?):
            retrieval.recipient = RetrievalOrder.Recipient(id: recipient, key: key, issuance: issuance)
        case (nil, nil):
            guard issuance == nil else { throw LedgerErrors.invalidArgument("issuance", "must come with a recipient") }
        case (_?, nil): throw LedgerErrors.invalidArgument(keyField, "must come with a recipient")
        case (nil, _?): throw LedgerErrors.invalidArgument("recipient", "must say whose the key is")
        }
        return retrieval
    }

    private func required<Value>(
        _ field: String,
        _ text: String?,
        _ rule: String,
        _ parse: (String) -> Value?
    ) throws(VarlinkError) -> Value {
        guard let value = try optional(field, text, rule, parse) else {
            throw LedgerErrors.invalidArgument(field, "must be given")
        }
        return value
    }

    private func optional<Value>(
        _ field: String,
        _ text: String?,
        _ rule: String,
        _ parse: (String) -> Value?
    ) throws(VarlinkError) -> Value? {
        guard let text else { return nil }
        guard let value = parse(text) else { throw LedgerErrors.invalidArgument(field, rule) }
        return value
    }
}
