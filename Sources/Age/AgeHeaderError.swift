/// Why bytes are no header of an age file, or one that this file key did not make.
public struct AgeHeaderError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What was broken. The raw value says it in a sentence.
    public enum Rule: String, Sendable, CaseIterable {
        /// Another version, another format, or the ASCII armor.
        case version = "the first line is not age-encryption.org/v1; armored files are not read"
        case lineStart = "a line begins neither a stanza (-> ) nor the MAC (--- )"
        case arguments =
            "an argument of a stanza is missing, empty or not of visible ASCII characters, one space between"
        /// A line of more than 64 characters, one that is not the last with fewer, one that is missing, and all other
        /// ways to write base64 than the canonical one without padding.
        case body = "a body is not canonical base64 without padding in lines of 64 characters and a shorter last one"
        case macLine = "the MAC is not 43 characters of canonical base64, one space before them"
        case noStanza = "there is no stanza"
        case tooManyStanzas = "there are more than 256 stanzas"
        case tooLong = "it is longer than 64 KiB"
        case cutOff = "it is cut off"
        /// A passphrase vouches for who encrypted a file only where there is no other way to the file key.
        case passphraseNotAlone = "a scrypt stanza is not the only one"
        case x25519Arguments = "an X25519 stanza has not exactly two arguments"
        case x25519Share = "the share of an X25519 stanza is not canonical base64 of 32 bytes"
        case x25519Body = "the body of an X25519 stanza has not 32 bytes"
        case x25519LowOrder = "the share of an X25519 stanza is a point of low order"
        /// Anybody may have changed it.
        case unauthentic = "the MAC is not that of this header under its file key"
    }

    /// Where.
    public enum Place: Sendable, Equatable {
        /// A line, counted from 1.
        case line(Int)
        /// A stanza, counted from 1.
        case stanza(Int)
        case whole
    }

    /// What was broken.
    public let rule: Rule
    /// Where it was broken.
    public let place: Place

    init(_ rule: Rule, _ place: Place = .whole) {
        self.rule = rule
        self.place = place
    }

    /// One line with place and rule; nothing of what stands there.
    public var description: String {
        switch place {
        case .line(let number): "age header, line \(number): \(rule.rawValue)"
        case .stanza(let number): "age header, stanza \(number): \(rule.rawValue)"
        case .whole: "age header: \(rule.rawValue)"
        }
    }
}
