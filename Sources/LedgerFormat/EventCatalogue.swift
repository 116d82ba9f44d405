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
    public static let reservedDomains: Set<String> = ["ledger", "system", "anchor"]

    /// In byte order of the names, for the search by bytes.
    private static let byName = all.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }

    /// The type of this name, or nil where there is none.
    public static func type(named name: String) -> EventType? { type(utf8: name.utf8.span) }

    /// The type of this name given as UTF-8, or nil where there is none.
    public static func type(utf8 name: Span<UInt8>) -> EventType? {
        var low = 0
        var high = byName.count
        while low < high {
            let middle = (low + high) / 2
            let type = byName[middle]
            let key = type.key
            switch order(name, key.span) {
            case 0: return type
            case ..<0: high = middle
            default: low = middle + 1
            }
        }
        return nil
    }

    /// Below zero where `left` comes before `right`, zero where they are the same bytes.
    private static func order(_ left: Span<UInt8>, _ right: Span<UInt8>) -> Int {
        for position in 0..<min(left.count, right.count) where left[position] != right[position] {
            return Int(left[position]) - Int(right[position])
        }
        return left.count - right.count
    }
}
