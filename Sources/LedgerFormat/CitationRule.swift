/// What a field that cites entries may cite (`ledger-format.md` section 6, "Citations").
public struct CitationRule: Sendable, Equatable {
    /// Name of the body's field that cites.
    public let field: String
    /// Names of the types the cited entry may have; empty where any will do.
    public let types: [String]
    /// The kind of stream both entries have to share; nil where they need none in common.
    public let shared: StreamKind?

    /// The rule of a field; nil where it cites nothing.
    static func rule(type: [UInt8], field: [UInt8]) -> CitationRule? {
        byType[type]?.first { $0.field.utf8.elementsEqual(field) }
    }

    private static let byType: [[UInt8]: [CitationRule]] = {
        var rules: [[UInt8]: [CitationRule]] = [:]
        for line in table.utf8.split(separator: 0x0A) {
            let words = line.split(separator: 0x20).map { String(Substring($0)) }
            let cited = words[2].utf8.elementsEqual("*".utf8) ? [] : words[2].utf8.split(separator: UInt8(ascii: ","))
            let rule = CitationRule(
                field: words[1],
                types: cited.map { String(Substring($0)) },
                shared: StreamKind(rawValue: words[3])
            )
            rules[Array(words[0].utf8), default: []].append(rule)
        }
        return rules
    }()

    /// A line for each field: its type, its name, the types it may cite (`*`: any), the kind of stream to be shared (`-`:
    /// none). The same lines stand in the format document and in `VERIFY.txt`.
    private static let table = """
        account.closed identity_check identity.verified,identity.org_verified,request.identity_checked -
        account.closed request request.received subject
        account.credential_changed compromise account.credential_compromised subject
        account.restored closure account.closed subject
        account.restored identity identity.verified,identity.org_verified subject
        anchor.renewed previous anchor.evidence_record,anchor.renewed -
        cert.activated issued cert.issued cert
        cert.expired issued cert.issued cert
        cert.issued requested cert.requested cert
        cert.requested identity identity.verified,identity.org_verified subject
        cert.retention_ended issued cert.issued cert
        cert.revoked issued cert.issued cert
        cert.suspended issued cert.issued cert
        consent.granted policy policy.published -
        consent.scope_changed consent consent.granted,consent.separate_granted subject
        consent.separate_granted policy policy.published -
        consent.withdrawn consent consent.granted,consent.separate_granted subject
        contract.completed signatures contract.signed contract
        contract.signed agent identity.agent_authorised subject
        contract.signed certificate cert.issued,cert.activated subject
        contract.signed identity identity.verified,identity.org_verified subject
        contract.signed session_event account.session_opened,log.session -
        disclosure.acknowledged disclosure disclosure.made disclosure
        disclosure.made consent consent.granted,consent.separate_granted,minor.guardian_consented subject
        disclosure.made contract contract.created,contract.signed,contract.completed -
        disclosure.made request disclosure.requested,request.received -
        disclosure.refused requested disclosure.requested disclosure
        erasure.executed approvals erasure.party_approved request
        erasure.executed requested erasure.requested request
        erasure.partial requested erasure.requested request
        erasure.party_approved requested erasure.requested request
        erasure.refused hold retention.hold_placed -
        erasure.refused requested erasure.requested request
        evidence.decrypted deposit evidence.deposited object
        evidence.decrypted order * -
        evidence.deposited identity identity.verified,identity.org_verified subject
        evidence.destroyed deposit evidence.deposited object
        evidence.destroyed erasure erasure.executed,erasure.partial -
        evidence.exported decryption evidence.decrypted object
        evidence.exported deposit evidence.deposited object
        evidence.exported issuance issuance.requested,issuance.accepted,issuance.generated -
        evidence.sealed deposit evidence.deposited object
        evidence.verified deposit evidence.deposited object
        identity.agent_authorised agent identity.verified -
        identity.agent_authorised organisation identity.org_verified subject
        identity.agent_revoked authorisation identity.agent_authorised subject
        identity.expired verification identity.verified,identity.org_verified subject
        identity.failed requested identity.verify_requested subject
        identity.org_verified legal_representative identity.verified -
        identity.verified requested identity.verify_requested subject
        identity.verify_requested consent consent.granted,consent.separate_granted,minor.guardian_consented subject
        incident.closed detected incident.detected incident
        incident.contained detected incident.detected incident
        incident.notified detected incident.detected incident
        incident.reported detected incident.detected incident
        issuance.accepted requested issuance.requested issuance
        issuance.delivered dispatched issuance.dispatched issuance
        issuance.dispatched generated issuance.generated issuance
        issuance.generated requested issuance.requested issuance
        issuance.refused requested issuance.requested issuance
        issuance.requested evidence * -
        issuance.requested identity identity.verified,identity.org_verified subject
        minor.guardian_consented guardian identity.verified -
        minor.guardian_withdrew consent minor.guardian_consented subject
        policy.accepted policy policy.published policy
        policy.declined policy policy.published policy
        policy.notified policy policy.published policy
        policy.published previous policy.published policy
        request.answered received request.received request
        request.escalated received request.received request
        request.fee_charged earlier request.received -
        request.fee_charged received request.received request
        request.identity_checked received request.received request
        request.overdue received request.received request
        request.refused received request.received request
        retention.expired assigned retention.class_assigned object
        retention.hold_released placed retention.hold_placed object
        service.intake_stopped announced service.shutdown_announced -
        staff.revoked granted staff.granted staff
        thirdparty.asserted policy policy.published -
        thirdparty.objected assertion thirdparty.asserted -
        thirdparty.removed erasure erasure.executed,erasure.partial -
        thirdparty.removed objection thirdparty.objected request
        transfer.bound announced transfer.announced -
        transfer.bound policy policy.published -
        transfer.completed bound transfer.bound -
        transfer.completed key_rotation key.rotated -
        """
}

extension EventType {
    /// What each field of the body that cites entries may cite, in the order of the fields. Tree sizes cite nothing.
    public var citations: [CitationRule] {
        body.filter { $0.rule.isCitation && !$0.isTreeSize }.compactMap { CitationRule.rule(type: key, field: $0.key) }
    }
}
