/// Closed lists that several event types share.
enum Codes {
    /// Grounds for collecting without consent, C1 to C11.
    static let collectionGrounds = (1...11).map { "C\($0)" }
    /// Grounds for sharing without consent, E1 to E6.
    static let sharingGrounds = (1...6).map { "E\($0)" }
    /// Grounds for declining a person's request, N1 to N6, and practical ones, P1 to P4.
    static let refusalGrounds = (1...6).map { "N\($0)" } + (1...4).map { "P\($0)" }
    /// Bases of a disclosure: S1 to S9, E1 to E6, and for minors M1 to M3.
    static let disclosureBases = (1...9).map { "S\($0)" } + sharingGrounds + (1...3).map { "M\($0)" }
    /// Grounds for deletion, D1 to D4.
    static let deletionGrounds = (1...4).map { "D\($0)" }
    static let consentModes = ["by-use", "express", "separate"]
    static let consentPurposes = [
        "identity-check", "certificate", "deposit", "signing", "issuance", "dispute", "page-display", "vendor-share",
        "personalisation", "cookie", "transfer", "publication", "foreign-transfer",
    ]
    static let products = ["deposit", "contract"]
    static let channels = ["app", "web", "mini-program", "api", "phone", "platform", "mail"]
    static let personMethods = [
        "id-document", "phone-3", "bank-3", "bank-4", "face", "in-person", "passport", "guardian-document",
    ]
    static let organisationMethods = ["business-licence", "organisation-code", "bank-transfer", "legal-representative"]
    static let lawfulBases = [
        "consent", "contract", "legal-duty", "emergency", "public-interest", "published", "other-law",
    ]
    static let dataCategories = [
        "name", "id-number", "id-image", "phone", "bank-card", "face", "organisation", "address", "document",
        "device", "session", "contact", "seal-image", "cookie", "certificate", "authority",
    ]
    static let purposesOfDecryption = ["owner-download", "issuance", "court-order", "integrity-check"]
    static let vendorClasses = [
        "certificate-authority", "identity-verifier", "arbitration", "appraisal", "notary", "court", "timestamp",
        "delivery", "storage",
    ]
    static let severities = ["low", "medium", "high", "critical"]
}
