import JSON

/// Closed patterns for public text fields (`ledger-format.md` section 6). A body field stays for ever, so none has room
/// for what people write by accident where a code is asked for: names with spaces or in other scripts, addresses with
/// an `@`, and numbers as long as those of phones, identity documents and bank cards.
public enum TextPattern: Sendable, Equatable {
    /// A code word of the service's own, such as `contract-10y`, of at most so many bytes.
    case word(Int)
    /// Such as `2.10.0-rc.1`.
    case version
    /// A language tag of BCP 47: language, script, region.
    case language
    /// ISO 3166-1, two letters.
    case country
    /// ISO 4217, three letters.
    case currency
    /// Type and subtype of RFC 6838.
    case mediaType
    /// The name of a ledger, of at most so many bytes.
    case origin(Int)
    /// A verification key of section 7.
    case verificationKey
    /// A host's name in the domain name system.
    case host
    /// So many lower-case hex digits, two for each byte.
    case hex(ClosedRange<Int>)

    /// As it stands in messages and in ledger-format.md; reads on after "must be".
    public var summary: String {
        switch self {
        case .word(let bytes):
            "a code word of lower-case letters, at most \(TextPattern.wordDigits) digits and single ._- of 1 to "
                + "\(bytes) bytes"
        case .version: "a version such as 2.10.0-rc.1"
        case .language: "a language tag such as zh-Hans-CN"
        case .country: "a country of ISO 3166-1 in two capitals"
        case .currency: "a currency of ISO 4217 in three capitals"
        case .mediaType: "a media type such as application/pdf"
        case .origin(let bytes): "a name of letters, digits and ._:/- of 1 to \(bytes) bytes"
        case .verificationKey: "a verification key NAME+KEYID+KEY"
        case .host: "a host name in lower case"
        case .hex(let count): "\(count.lowerBound) to \(count.upperBound) lower-case hex digits, two for each byte"
        }
    }

    /// How many digits a code word may have: fewer than any phone number or date of birth.
    static let wordDigits = 6
    /// How many a version, a host's name or a media type may have: fewer than a mobile number.
    static let otherDigits = 8
    static let mediaTypeBytes = 127
    static let hostBytes = 128
    static let versionBytes = 32
    /// The scripts a language tag may name (ISO 15924).
    static let scripts = ["Arab", "Cyrl", "Hans", "Hant", "Latn", "Mong", "Tibt"]
    static let stages = ["alpha", "beta", "dev", "rc"]
    static let topLevelTypes = [
        "application", "audio", "font", "image", "message", "model", "multipart", "text", "video",
    ]

    /// Whether a text has the pattern.
    func matches(_ text: Span<UInt8>) -> Bool {
        switch self {
        case .word(let bytes):
            1...bytes ~= text.count && isLower(text[0]) && TextPattern.digits(text) <= TextPattern.wordDigits
                && TextPattern.isJoined(text) { isLower($0) || isDigit($0) }
        case .version: text.count <= TextPattern.versionBytes && TextPattern.isVersion(text)
        case .language: TextPattern.isLanguage(text)
        case .country: text.count == 2 && all(text, isUpper)
        case .currency: text.count == 3 && all(text, isUpper)
        case .mediaType: text.count <= TextPattern.mediaTypeBytes && TextPattern.isMediaType(text)
        case .origin(let bytes): 1...bytes ~= text.count && all(text, TextPattern.isOfName)
        case .verificationKey: TextPattern.isVerificationKey(text)
        case .host: text.count <= TextPattern.hostBytes && TextPattern.isHost(text)
        case .hex(let count): count ~= text.count && text.count % 2 == 0 && all(text, isHex)
        }
    }

    // MARK: The patterns

    /// Whether parts of the given characters are joined by single `.`, `_`, `-`.
    private static func isJoined(_ text: Span<UInt8>, _ isOfPart: (UInt8) -> Bool) -> Bool {
        var isPartOpen = false
        for position in text.indices {
            switch text[position] {
            case UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
                guard isPartOpen else { return false }
                isPartOpen = false
            case let byte:
                guard isOfPart(byte) else { return false }
                isPartOpen = true
            }
        }
        return isPartOpen
    }

    /// `N(.N){0,3}`, then perhaps `-STAGE`, `-STAGEN` or `-STAGE.N`; N of one to four digits.
    private static func isVersion(_ text: Span<UInt8>) -> Bool {
        guard digits(text) <= otherDigits else { return false }
        let dash = first(UInt8(ascii: "-"), text) ?? text.count
        let parts = split(text.extracting(0..<dash), UInt8(ascii: "."))
        guard parts.count <= 4, parts.allSatisfy({ isNumber(text.extracting($0)) }) else { return false }
        guard dash < text.count else { return true }
        let rest = text.extracting(dash + 1..<text.count)
        guard let stage = stages.first(where: { begins(rest, with: $0) })?.utf8.count else { return false }
        guard stage < rest.count else { return true }
        let number = rest[stage] == UInt8(ascii: ".") ? stage + 1 : stage
        return isNumber(rest.extracting(number..<rest.count))
    }

    private static func isNumber(_ text: Span<UInt8>) -> Bool { 1...4 ~= text.count && all(text, isDigit) }

    /// Two or three letters; then perhaps a script; then perhaps two capitals or three digits.
    private static func isLanguage(_ text: Span<UInt8>) -> Bool {
        var parts = split(text, UInt8(ascii: "-"))[...]
        let language = parts.removeFirst()
        guard 2...3 ~= language.count, all(text.extracting(language), isLower) else { return false }
        if let script = parts.first, scripts.contains(where: { $0.utf8.isSame(as: text.extracting(script)) }) {
            parts.removeFirst()
        }
        guard let region = parts.popFirst() else { return true }
        return parts.isEmpty
            && (region.count == 2 && all(text.extracting(region), isUpper)
                || region.count == 3 && all(text.extracting(region), isDigit))
    }

    private static func isMediaType(_ text: Span<UInt8>) -> Bool {
        guard let slash = first(UInt8(ascii: "/"), text), digits(text) <= otherDigits,
            topLevelTypes.contains(where: { $0.utf8.isSame(as: text.extracting(0..<slash)) })
        else { return false }
        let subtype = text.extracting(slash + 1..<text.count)
        return !subtype.isEmpty && isAlphanumeric(subtype[0])
            && all(subtype) { isAlphanumeric($0) || [0x2B, 0x2D, 0x2E, 0x5F].contains($0) }
    }

    private static func isOfName(_ byte: UInt8) -> Bool {
        isAlphanumeric(byte) || [0x2D, 0x2E, 0x2F, 0x3A, 0x5F].contains(byte)
    }

    /// A name, `+`, eight hex digits, `+`, base64 of 33 bytes.
    private static func isVerificationKey(_ text: Span<UInt8>) -> Bool {
        let key = 44
        let id = 8
        let name = text.count - key - id - 2
        guard TextPattern.origin(230).matches(text.extracting(0..<max(0, name))) else { return false }
        return text[name] == UInt8(ascii: "+") && all(text.extracting(name + 1..<name + 1 + id), isHex)
            && text[name + 1 + id] == UInt8(ascii: "+")
            && all(text.extracting(text.count - key..<text.count)) { isAlphanumeric($0) || $0 == 0x2B || $0 == 0x2F }
    }

    /// Two or more labels joined by dots; none begins or ends with a hyphen.
    private static func isHost(_ text: Span<UInt8>) -> Bool {
        let labels = split(text, UInt8(ascii: "."))
        return labels.count >= 2 && digits(text) <= otherDigits
            && labels.allSatisfy { label in
                let label = text.extracting(label)
                return 1...63 ~= label.count && label[0] != 0x2D && label[label.count - 1] != 0x2D
                    && all(label) { isLower($0) || isDigit($0) || $0 == 0x2D }
            }
    }

    // MARK: Their parts

    private static func digits(_ text: Span<UInt8>) -> Int {
        var count = 0
        for position in text.indices where isDigit(text[position]) { count += 1 }
        return count
    }

    private static func first(_ byte: UInt8, _ text: Span<UInt8>) -> Int? {
        text.indices.first { text[$0] == byte }
    }

    /// The parts between the given bytes; empty ones too.
    private static func split(_ text: Span<UInt8>, _ byte: UInt8) -> [Range<Int>] {
        var parts: [Range<Int>] = []
        var start = 0
        for position in text.indices where text[position] == byte {
            parts.append(start..<position)
            start = position + 1
        }
        return parts + [start..<text.count]
    }

    private static func begins(_ text: Span<UInt8>, with word: String) -> Bool {
        word.utf8.count <= text.count && word.utf8.isSame(as: text.extracting(0..<word.utf8.count))
    }
}

private func all(_ text: Span<UInt8>, _ holds: (UInt8) -> Bool) -> Bool {
    for position in text.indices where !holds(text[position]) { return false }
    return true
}

private func isLower(_ byte: UInt8) -> Bool { 0x61...0x7A ~= byte }
private func isUpper(_ byte: UInt8) -> Bool { 0x41...0x5A ~= byte }
private func isDigit(_ byte: UInt8) -> Bool { 0x30...0x39 ~= byte }
private func isHex(_ byte: UInt8) -> Bool { isDigit(byte) || 0x61...0x66 ~= byte }
private func isAlphanumeric(_ byte: UInt8) -> Bool { isLower(byte) || isUpper(byte) || isDigit(byte) }
