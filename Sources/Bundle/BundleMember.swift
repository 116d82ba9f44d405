/// The members a bundle may have (`ledger-format.md` section 14), and their names.
///
/// INDEX and SIZE are 16 decimal digits, INCARNATION and N decimal without leading zeros.
public enum BundleMember: Hashable, Sendable {
    case manifest
    case checkpoint
    /// `entries/INDEX.json`
    case entry(UInt64)
    /// `proofs/INDEX.tlog-proof`
    case proof(UInt64)
    /// `openings/INDEX.NAME`
    case opening(UInt64, claim: String)
    /// `consistency/SIZE.txt`
    case consistency(UInt64)
    /// `keys/INCARNATION.vkey`
    case vkey(Int64)
    /// `keys/INCARNATION.pem`
    case pem(Int64)
    /// `originals/N.EXT`
    case original(Int, ending: String)
    case instructions
    case page
    case digests

    /// The member's name in the archive.
    public var name: String {
        switch self {
        case .manifest: "manifest.json"
        case .checkpoint: "checkpoint"
        case .entry(let index): "entries/\(BundleMember.padded(index)).json"
        case .proof(let index): "proofs/\(BundleMember.padded(index)).tlog-proof"
        case .opening(let index, let claim): "openings/\(BundleMember.padded(index)).\(claim)"
        case .consistency(let size): "consistency/\(BundleMember.padded(size)).txt"
        case .vkey(let incarnation): "keys/\(incarnation).vkey"
        case .pem(let incarnation): "keys/\(incarnation).pem"
        case .original(let number, let ending): "originals/\(number).\(ending)"
        case .instructions: "VERIFY.txt"
        case .page: "index.html"
        case .digests: "SHA256SUMS"
        }
    }

    /// The member of a name; nil where a bundle has none of this name.
    public init?(name: String) {
        let fixed: [BundleMember] = [.manifest, .checkpoint, .instructions, .page, .digests]
        if let member = fixed.first(where: { $0.name.utf8.elementsEqual(name.utf8) }) {
            self = member
            return
        }
        let parts = name.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        guard parts.count == 2, let dot = parts[1].firstIndex(of: UInt8(ascii: ".")) else { return nil }
        let stem = Substring(parts[1][..<dot])
        let ending = String(Substring(parts[1][parts[1].index(after: dot)...]))
        switch Substring(parts[0]) {
        case "entries": self = .entry(UInt64(stem) ?? 0)
        case "proofs": self = .proof(UInt64(stem) ?? 0)
        case "openings": self = .opening(UInt64(stem) ?? 0, claim: ending)
        case "consistency": self = .consistency(UInt64(stem) ?? 0)
        case "keys" where ending == "vkey": self = .vkey(Int64(stem) ?? 0)
        case "keys": self = .pem(Int64(stem) ?? 0)
        case "originals":
            guard BundleMember.isEnding(ending) else { return nil }
            self = .original(Int(stem) ?? 0, ending: ending)
        default: return nil
        }
        // A name has one spelling.
        guard self.name.utf8.elementsEqual(name.utf8) else { return nil }
    }

    /// Whether the member is in the data of `index.html`: every text but the page itself and what is made after it.
    public var isInPage: Bool {
        switch self {
        case .instructions, .page, .digests, .original: false
        default: true
        }
    }

    /// Whether a text may be the ending of an original's name: 1 to 8 of `a`–`z`, `0`–`9`.
    public static func isEnding(_ text: String) -> Bool {
        1...8 ~= text.utf8.count && text.utf8.allSatisfy { 0x61...0x7A ~= $0 || 0x30...0x39 ~= $0 }
    }

    private static func padded(_ number: UInt64) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, 16 - digits.utf8.count)) + digits
    }
}
