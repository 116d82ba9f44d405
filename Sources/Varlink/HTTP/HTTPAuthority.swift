import Glibc

/// The form of a host with an optional port, as in Host and in targets: `uri-host [ ":" port ]` (RFC 9110 section 7.2,
/// RFC 3986 section 3.2.2). It may be empty.
enum HTTPAuthority {
    /// Whether bytes have the form.
    static func isValid(_ text: [UInt8]) -> Bool {
        var rest = text[...]
        if rest.first == UInt8(ascii: "[") {
            guard let end = rest.firstIndex(of: UInt8(ascii: "]")), isLiteral(rest[1..<end]) else { return false }
            rest = rest[(end + 1)...]
        } else {
            let end = rest.firstIndex(of: UInt8(ascii: ":")) ?? rest.endIndex
            guard isName(rest[..<end]) else { return false }
            rest = rest[end...]
        }
        guard let colon = rest.popFirst() else { return true }
        return colon == UInt8(ascii: ":") && rest.allSatisfy(isDigit)
    }

    /// A registered name, which an IPv4 address is, too: unreserved characters, sub-delimiters, and `%` with two hex digits.
    private static func isName(_ text: ArraySlice<UInt8>) -> Bool {
        var rest = text
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%") {
                guard let high = rest.popFirst(), let low = rest.popFirst(), isHex(high), isHex(low) else {
                    return false
                }
            } else if !isPlain(byte) {
                return false
            }
        }
        return true
    }

    /// What stands between brackets: an IPv6 address (RFC 4291 section 2.2), or one of a later version.
    private static func isLiteral(_ text: ArraySlice<UInt8>) -> Bool {
        if let first = text.first, first | 0x20 == UInt8(ascii: "v") {
            let parts = text.dropFirst().split(
                separator: UInt8(ascii: "."),
                maxSplits: 1,
                omittingEmptySubsequences: false
            )
            return parts.count == 2 && !parts[0].isEmpty && parts[0].allSatisfy(isHex) && !parts[1].isEmpty
                && parts[1].allSatisfy { isPlain($0) || $0 == UInt8(ascii: ":") }
        }
        let address = String(decoding: text, as: UTF8.self)
        var parsed = in6_addr()
        return !text.contains(0) && inet_pton(AF_INET6, address, &parsed) == 1
    }

    /// Unreserved characters and sub-delimiters.
    private static func isPlain(_ byte: UInt8) -> Bool {
        isDigit(byte) || 0x61...0x7A ~= byte | 0x20 || "-._~!$&'()*+,;=".utf8.contains(byte)
    }

    private static func isDigit(_ byte: UInt8) -> Bool { 0x30...0x39 ~= byte }
    private static func isHex(_ byte: UInt8) -> Bool { isDigit(byte) || 0x61...0x66 ~= byte | 0x20 }
}
