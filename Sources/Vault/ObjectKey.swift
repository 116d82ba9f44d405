import Age
import LedgerFormat
import Merkle
import OpenSSL

/// How the key of an object's file hangs on the data key of its scope: the one stanza of the file's header
/// (`ledger-format.md` section 10, "Objects").
enum ObjectKey {
    private static let type: StaticString = "evidenced.org/object"
    private static let suite = "aes-256-gcm"
    private static let purpose = Array("evidenced/object-key/v1\n".utf8)

    /// Wraps a file key.
    ///
    /// - Parameter dataKey: of the scope `object/ID`.
    static func wrap(_ fileKey: AgeFileKey, _ object: ID128, under dataKey: CipherKey) throws -> AgeStanza {
        var wrapped: [UInt8] = []
        let cipher = try AuthenticatedCipher()
        try cipher.seal(fileKey.secret, key: wrappingKey(dataKey), context: context(object).span, to: &wrapped)
        return try AgeStanza(arguments: [type.description, object.description, suite], body: wrapped)
    }

    /// The file key of a header that is this object's own and was not changed.
    ///
    /// - Throws: `ObjectDamage`.
    static func unwrap(_ header: AgeHeader, _ object: ID128, under dataKey: CipherKey) throws -> AgeFileKey {
        let stanza = try stanza(of: header, object)
        do {
            let secret = try stanza.body.withUnsafeBytes {
                try AuthenticatedCipher().openSecret($0, key: wrappingKey(dataKey), context: context(object).span)
            }
            let fileKey = try AgeFileKey(secret)
            try header.check(fileKey)
            return fileKey
        } catch {
            throw ObjectDamage("its header does not open under the key of the object")
        }
    }

    /// The stanza of a header, which says that it is of this object.
    ///
    /// - Throws: `ObjectDamage`.
    @discardableResult
    static func stanza(of header: AgeHeader, _ object: ID128) throws -> AgeStanza {
        guard header.stanzas.count == 1, let stanza = header.stanzas.first, stanza.isOf(type: type),
            stanza.arguments.count == 3, stanza.arguments[2].utf8.elementsEqual(suite.utf8)
        else { throw ObjectDamage("its header is not one of a document in custody") }
        guard stanza.arguments[1].utf8.elementsEqual(object.description.utf8) else {
            throw ObjectDamage("its header is that of another object")
        }
        return stanza
    }

    private static func wrappingKey(_ dataKey: CipherKey) throws -> CipherKey {
        try CipherKey(KeyDerivation.hkdfSHA256(key: dataKey.secret, info: purpose, count: AuthenticatedCipher.keyBytes))
    }

    private static func context(_ object: ID128) -> [UInt8] { purpose + Array("object/\(object)".utf8) }
}

/// Why the file of an object is not what was recorded.
struct ObjectDamage: Error {
    let what: String

    init(_ what: String) { self.what = what }
}
