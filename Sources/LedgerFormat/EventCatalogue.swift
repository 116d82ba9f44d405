/// The closed registry of event types (`ledger-format.md` section 6). Types are added by a new version of the format;
/// none is ever removed or changes its meaning.
public enum EventCatalogue {
    /// Every type, domain by domain.
    public static let all: [EventType] =
        ledgerTypes + accountTypes + identityTypes + policyTypes + consentTypes + certificateTypes + evidenceTypes
        + contractTypes + thirdPartyTypes + issuanceTypes + disclosureTypes + retentionTypes + requestTypes
        + supervisionTypes + operationTypes

    /// Claims that hold a document digest and are looked up by it.
    public static let digestClaims: Set<String> = ["sha256", "sm3"]

    /// Domains whose events only the daemon itself records.
    public static let reservedDomains: Set<Substring> = ["ledger", "system", "anchor"]

    private static let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })

    /// The type of this name, or nil where there is none.
    public static func type(named name: String) -> EventType? { byName[name] }
}
