import Merkle

/// Why a note, checkpoint or proof text was refused.
public struct NoteError: Error, Equatable, Sendable, CustomStringConvertible {
    public enum Code: String, Sendable {
        case malformedNote = "not a signed note"
        case malformedKey = "not a verification key"
        case malformedCheckpoint = "not a checkpoint"
        case malformedProof = "not a tlog-proof"
        case invalidSignature = "a known key's signature is wrong"
        case noKnownSignature = "no signature by a known key"
    }

    public let code: Code
    /// Which rule is broken.
    public let rule: String

    public init(_ code: Code, _ rule: String) {
        self.code = code
        self.rule = rule
    }

    public var description: String { "\(code.rawValue): \(rule)" }
}

/// Verifies the signatures of one key.
public protocol NoteVerifier {
    var name: String { get }
    var keyID: UInt32 { get }
    func isValid(signature: [UInt8], over text: [UInt8]) -> Bool
}

/// Signs notes with one key.
public protocol NoteSigner {
    var name: String { get }
    var keyID: UInt32 { get }
    func sign(_ text: [UInt8]) throws -> [UInt8]
}

/// A C2SP signed note (version 1.0.0): a text, an empty line, and signature lines
/// `— NAME BASE64(key ID ‖ signature)`.
public struct SignedNote: Equatable, Sendable {
    public struct Signature: Equatable, Sendable {
        public let name: String
        public let keyID: UInt32
        public let signature: [UInt8]

        public init(name: String, keyID: UInt32, signature: [UInt8]) {
            self.name = name
            self.keyID = keyID
            self.signature = signature
        }

        /// By bytes: to `String`, names are the same that no verifier takes for each other.
        public static func == (left: Signature, right: Signature) -> Bool {
            left.name.utf8.elementsEqual(right.name.utf8) && left.keyID == right.keyID
                && left.signature == right.signature
        }
    }

    public static let maximumBytes = 1_000_000
    public static let maximumSignatures = 100

    /// What is signed; ends in a line feed.
    public let text: String
    public let signatures: [Signature]

    /// Signs a text that ends in a line feed.
    public static func signed(_ text: String, by signer: some NoteSigner) throws -> SignedNote {
        let signature = Signature(
            name: signer.name,
            keyID: signer.keyID,
            signature: try signer.sign(Array(text.utf8))
        )
        return SignedNote(text: text, signatures: [signature])
    }

    public init(text: String, signatures: [Signature]) {
        self.text = text
        self.signatures = signatures
    }

    /// Parses the whole note.
    public init(parsing note: [UInt8]) throws(NoteError) {
        func refused(_ rule: String) -> NoteError { NoteError(.malformedNote, rule) }
        guard note.count <= SignedNote.maximumBytes else { throw refused("longer than 1,000,000 bytes") }
        guard String(validating: note, as: UTF8.self) != nil else { throw refused("not UTF-8") }
        guard note.allSatisfy({ $0 >= 0x20 || $0 == 0x0A }) else { throw refused("holds a control character") }
        // The separator is the last empty line; a text line feed precedes it.
        guard let separator = note.indices.dropLast().last(where: { note[$0] == 0x0A && note[$0 + 1] == 0x0A }) else {
            throw refused("has no empty line before the signatures")
        }
        guard note.last == 0x0A else { throw refused("does not end in a line feed") }
        let block = note[(separator + 2)...]
        guard !block.isEmpty else { throw refused("has no signature") }
        var signatures: [Signature] = []
        for line in block.dropLast().split(separator: 0x0A, omittingEmptySubsequences: false) {
            guard signatures.count < SignedNote.maximumSignatures else { throw refused("has more than 100 signatures") }
            // By bytes: to a String, a space and a combining mark behind it are one character.
            let parts = line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
                .map { String(decoding: $0, as: UTF8.self) }
            guard parts.count == 3, parts[0].utf8.elementsEqual("\u{2014}".utf8), SignedNote.isKeyName(parts[1]),
                let bytes = Base64.decode(parts[2]), bytes.count >= 5
            else { throw refused("has a malformed signature line") }
            signatures.append(
                Signature(
                    name: parts[1],
                    keyID: bytes.prefix(4).reduce(0) { $0 << 8 | UInt32($1) },
                    signature: Array(bytes.dropFirst(4))
                )
            )
        }
        text = String(decoding: note[...separator], as: UTF8.self)
        self.signatures = signatures
    }

    /// By bytes, which are what was signed.
    public static func == (left: SignedNote, right: SignedNote) -> Bool {
        left.text.utf8.elementsEqual(right.text.utf8) && left.signatures == right.signatures
    }

    /// The note as bytes of text.
    public var encoded: String {
        var encoded = text + "\n"
        for signature in signatures {
            let bytes = withUnsafeBytes(of: signature.keyID.bigEndian) { [UInt8]($0) } + signature.signature
            encoded += "\u{2014} \(signature.name) \(Base64.encode(bytes))\n"
        }
        return encoded
    }

    /// Checks the signatures of the keys given: others are ignored, a wrong one of a known key refuses the note, and
    /// at least one must hold.
    public func verify(_ verifiers: [any NoteVerifier]) throws(NoteError) {
        var verified = false
        for signature in signatures {
            for verifier in verifiers
            where verifier.keyID == signature.keyID && verifier.name.utf8.elementsEqual(signature.name.utf8) {
                guard verifier.isValid(signature: signature.signature, over: Array(text.utf8)) else {
                    throw NoteError(.invalidSignature, "key \(verifier.name)")
                }
                verified = true
            }
        }
        guard verified else { throw NoteError(.noKnownSignature, "the key given signed none of them") }
    }

    /// Key names: not empty, no white space, no plus sign, no control characters.
    public static func isKeyName(_ name: some StringProtocol) -> Bool {
        !name.isEmpty
            && name.unicodeScalars.allSatisfy { scalar in
                scalar != "+" && !scalar.properties.isWhitespace && scalar.value >= 0x20 && scalar.value != 0x7F
            }
    }
}
