/// The sizes `ledger-format.md` section 2 fixes. They are part of the format: an entry beyond them is invalid.
public enum FormatLimits {
    /// Longest entry in bytes: tlog-tiles entry bundles carry 16-bit lengths.
    public static let entryBytes = 65_535
    /// Streams an event may belong to.
    public static let streamsPerEvent = 16
    /// Claims an event may carry, over all scopes.
    public static let claimsPerEvent = 64
    /// Longest canonical encoding of one claim value in bytes.
    public static let claimValueBytes = 8_192
    /// Longest submitter name in bytes.
    public static let submitterBytes = 64
    /// Longest origin in bytes.
    public static let originBytes = 200
    /// Bytes of a claim's salt.
    public static let saltBytes = 32
}
