public import LedgerFormat
public import Merkle
import OpenSSL

/// The ledger operator's key as somebody got it from elsewhere, to compare a ledger's keys with.
public enum GivenKey: Equatable, Sendable {
    /// A verification key of section 7, with its name.
    case named(VerificationKey)
    /// The 32 bytes of a public key, from PEM. It names no ledger.
    case bare([UInt8])
    /// SHA-256 of a public key as SubjectPublicKeyInfo in DER: what the page and `evidence keys` show to be compared.
    case fingerprint(Digest)

    /// What was given holds no verification key.
    public struct NoKey: Error, Equatable, Sendable, CustomStringConvertible {
        /// Why.
        public let description: String
    }

    /// Reads a key as people hand it on: a verification key, a public key in PEM (RFC 8410, RFC 7468), or the
    /// fingerprint of one in hex. A byte order mark, white space around each line, and empty lines mean nothing.
    ///
    /// - Throws: `NoKey` for everything else, such as an empty text, one in UTF-16, or one with two keys.
    public init(_ text: [UInt8]) throws(NoKey) {
        let isMarked = text.starts(with: [0xEF, 0xBB, 0xBF])
        let lines = text.dropFirst(isMarked ? 3 : 0).split { $0 == 0x0A || $0 == 0x0D }
            .map { GivenKey.trimmed($0) }.filter { !$0.isEmpty }
        guard let first = lines.first else { throw NoKey(description: "it is empty") }
        if first.elementsEqual(PublicKeyText.beginning.utf8) {
            self = .bare(try GivenKey.pem(lines))
        } else if let fingerprint = GivenKey.fingerprint(lines) {
            self = .fingerprint(fingerprint)
        } else {
            guard lines.count == 1 else { throw NoKey(description: "it has \(lines.count) lines") }
            guard let text = String(validating: first, as: UTF8.self) else {
                throw NoKey(description: "it is not UTF-8")
            }
            do {
                self = .named(try VerificationKey(parsing: text) { SHA256Hasher().hash($0) })
            } catch {
                throw NoKey(description: error.rule)
            }
        }
    }

    /// Whether it is this key, byte for byte. A name counts where one was given.
    public func isKey(_ key: VerificationKey) -> Bool {
        switch self {
        case .named(let given): given.text.utf8.elementsEqual(key.text.utf8)
        case .bare(let given): given == key.publicKey
        case .fingerprint(let given): given == PublicKeyText.fingerprint(key.publicKey)
        }
    }

    /// SHA-256 of the public key as SubjectPublicKeyInfo in DER, by which people compare keys.
    public var fingerprint: Digest {
        switch self {
        case .named(let given): PublicKeyText.fingerprint(given.publicKey)
        case .bare(let given): PublicKeyText.fingerprint(given)
        case .fingerprint(let given): given
        }
    }

    private static func trimmed(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }
        let start = line.drop(while: isBlank)
        return start.prefix((start.lastIndex { !isBlank($0) } ?? start.startIndex - 1) + 1 - start.startIndex)
    }

    private static func pem(_ lines: [ArraySlice<UInt8>]) throws(NoKey) -> [UInt8] {
        guard lines.count >= 3, lines[lines.count - 1].elementsEqual(PublicKeyText.end.utf8) else {
            throw NoKey(description: "its PEM has no end")
        }
        let base64 = String(decoding: lines[1..<lines.count - 1].joined(), as: UTF8.self)
        guard let key = Base64.decode(base64).flatMap(PublicKeyText.publicKey) else {
            throw NoKey(description: "its PEM is not an Ed25519 public key")
        }
        do {
            _ = try VerificationKey(name: "any", publicKey: key) { SHA256Hasher().hash($0) }
        } catch {
            throw NoKey(description: error.rule)
        }
        return key
    }

    /// 64 hex digits of either case, in groups if you like.
    private static func fingerprint(_ lines: [ArraySlice<UInt8>]) -> Digest? {
        guard lines.count == 1 else { return nil }
        let digits = lines[0].filter { $0 != 0x20 && $0 != UInt8(ascii: ":") }
            .map { 0x41...0x46 ~= $0 ? $0 | 0x20 : $0 }
        return Digest(hexDigits: digits.span)
    }
}
