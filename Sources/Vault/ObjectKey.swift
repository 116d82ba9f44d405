import Age
import LedgerFormat
import Merkle
import OpenSSL

/// How the key of an object's file hangs on the data key of its scope: the one stanza of the file's header
/// (`ledger-format.md` section 10, "Objects").
enum ObjectKey {
    private static let type: StaticString = "evidenced.org/object"
    private static let purpose = Array("evidenced/object-key/v1\n".utf8)

    /// Wraps a file key.
    ///
    /// - Parameters:
    ///   - dataKey: of the scope `object/ID`.
    ///   - suite: the ledger's.
    static func wrap(
        _ fileKey: AgeFileKey,
        _ object: ID128,
        under dataKey: CipherKey,
        _ suite: CipherSuite
    ) throws -> AgeStanza {
        var wrapped: [UInt8] = []
        let key = try suite.key(from: dataKey.secret, info: purpose)
        try SuiteCipher(suite).seal(fileKey.secret, key: key, context: context(object).span, to: &wrapped)
        return try AgeStanza(arguments: [type.description, object.description, suite.rawValue], body: wrapped)
    }

    /// The file key of a header that is this object's own and was not changed.
    ///
    /// - Parameter suite: the ledger's.
    /// - Throws: `ObjectDamage`.
    static func unwrap(
        _ header: AgeHeader,
        _ object: ID128,
        under dataKey: CipherKey,
        _ suite: CipherSuite
    ) throws -> AgeFileKey {
        let stanza = try stanza(of: header, object, suite)
        let key = try suite.key(from: dataKey.secret, info: purpose)
        let cipher = try SuiteCipher(suite)
        do {
            let secret = try stanza.body.withUnsafeBytes {
                try cipher.openSecret($0, key: key, context: context(object).span)
            }
            let fileKey = try AgeFileKey(secret)
            try header.check(fileKey)
            return fileKey
        } catch {
            throw ObjectDamage("its header does not open under the key of the object")
        }
    }

    /// The stanza of a header, which says that it is of this object, and of the ledger's suite.
    ///
    /// - Throws: `ObjectDamage`.
    @discardableResult
    static func stanza(of header: AgeHeader, _ object: ID128, _ suite: CipherSuite) throws -> AgeStanza {
        guard header.stanzas.count == 1, let stanza = header.stanzas.first, stanza.isOf(type: type),
            stanza.arguments.count == 3, stanza.arguments[2].utf8.elementsEqual(suite.rawValue.utf8)
        else { throw ObjectDamage("its header is not one of a document in custody") }
        guard stanza.arguments[1].utf8.elementsEqual(object.description.utf8) else {
            throw ObjectDamage("its header is that of another object")
        }
        return stanza
    }

    private static func context(_ object: ID128) -> [UInt8] { purpose + Array("object/\(object)".utf8) }
}

/// Why the file of an object is not what was recorded.
struct ObjectDamage: Error {
    let what: String

    init(_ what: String) { self.what = what }
}
