public import Age
import JSON
public import Ledger
public import LedgerFormat

/// Why a document in custody is opened. The list is closed.
public enum RetrievalPurpose: String, CaseIterable, Sendable {
    case ownerDownload = "owner-download"
    case issuance
    case courtOrder = "court-order"
    case integrityCheck = "integrity-check"

    /// Whether somebody else than who acts must have approved it.
    var needsApproval: Bool { self == .issuance || self == .courtOrder }
    /// Whether the record of an order must be cited.
    var needsOrder: Bool { self == .courtOrder }
}

/// A document that is to be given out, to whom and why.
public struct RetrievalOrder: Sendable {
    /// Somebody who gets the document encrypted for himself.
    public struct Recipient: Sendable {
        /// Who it is, as the ledger knows him.
        public let id: ID128
        public let key: AgeRecipient
        /// The index of the record of an issuance it belongs to.
        public let issuance: UInt64?

        public init(id: ID128, key: AgeRecipient, issuance: UInt64?) {
            self.id = id
            self.key = key
            self.issuance = issuance
        }
    }

    /// The name of the principal who asks.
    public var submitter: String
    public var actor: Actor
    public var object: ID128
    public var purpose: RetrievalPurpose
    public var approver: ID128?
    /// The index of the record of the order, such as of a court, it is opened for.
    public var order: UInt64?
    /// nil where it is given out in clear.
    public var recipient: Recipient?

    public init(submitter: String, actor: Actor, object: ID128, purpose: RetrievalPurpose) {
        self.submitter = submitter
        self.actor = actor
        self.object = object
        self.purpose = purpose
    }

    /// - Throws: `LedgerError.invalidArgument` naming field and rule.
    public func check() throws(LedgerError) {
        if purpose.needsApproval {
            guard let approver else {
                throw .invalidArgument(field: "approver", rule: "must be given for the purpose \(purpose.rawValue)")
            }
            if case .party(let acting) = actor, acting.id == approver {
                throw .invalidArgument(field: "approver", rule: "must be another than the actor")
            }
        }
        if purpose.needsOrder, order == nil {
            throw .invalidArgument(field: "order", rule: "must be given for the purpose \(purpose.rawValue)")
        }
    }

    private var scope: StreamID { StreamID(kind: .object, id: object) }

    func decrypted(deposit: UInt64, _ request: RequestKey) throws(LedgerError) -> Submission {
        var body = [
            JSONMember(name: "deposit", value: .int(Int64(deposit))),
            JSONMember(name: "purpose", value: .string(purpose.rawValue)),
        ]
        if let approver { body.append(JSONMember(name: "approver", value: .string(approver.description))) }
        if let order { body.append(JSONMember(name: "order", value: .int(Int64(order)))) }
        return try VaultEvents.submission("evidence.decrypted", request, actor, streams: [scope], body: body)
    }

    func exported(
        to recipient: Recipient,
        deposit: UInt64,
        decryption: UInt64,
        _ request: RequestKey
    ) throws(LedgerError) -> Submission {
        var body = [
            JSONMember(name: "decryption", value: .int(Int64(decryption))),
            JSONMember(name: "deposit", value: .int(Int64(deposit))),
            JSONMember(name: "recipient", value: .string(recipient.id.description)),
        ]
        if let issuance = recipient.issuance { body.append(JSONMember(name: "issuance", value: .int(Int64(issuance)))) }
        let key = JSONMember(name: "recipient_key", value: .string(recipient.key.description))
        return try VaultEvents.submission(
            "evidence.exported",
            request,
            actor,
            streams: [scope],
            body: body,
            claims: [(scope, [key])]
        )
    }
}
