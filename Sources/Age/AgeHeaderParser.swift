import Merkle

/// Reads a header line by line.
struct AgeHeaderParser {
    private let bytes: UnsafeRawBufferPointer
    private var position = 0
    private var line = 0

    init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = UnsafeRawBufferPointer(rebasing: bytes.prefix(AgeHeader.maximumBytes))
    }

    /// nil where the bytes end before it does.
    mutating func header() throws(AgeHeaderError) -> AgeHeader? {
        guard try version() else { return nil }
        var stanzas: [AgeStanza] = []
        while let text = nextLine() {
            if text.starts(with: "-> ".utf8) {
                guard stanzas.count < AgeHeader.maximumStanzas else { throw refusal(.tooManyStanzas) }
                guard let stanza = try stanza(text) else { return nil }
                stanzas.append(stanza)
            } else if text.starts(with: "---".utf8) {
                let mac = try mac(text)
                return try AgeHeader(read: stanzas, mac: mac, encoded: Array(bytes[..<position]))
            } else {
                throw refusal(.lineStart)
            }
        }
        return nil
    }

    private mutating func version() throws(AgeHeaderError) -> Bool {
        line = 1
        let (isBegun, count) = AgeHeader.version.withUTF8Buffer { version in
            (version.starts(with: bytes.prefix(version.count)), version.count)
        }
        guard isBegun else { throw refusal(.version) }
        position = count
        return bytes.count >= count
    }

    private mutating func stanza(_ text: UnsafeRawBufferPointer) throws(AgeHeaderError) -> AgeStanza? {
        let arguments = UnsafeRawBufferPointer(rebasing: text.dropFirst(3))
        guard AgeStanza(argumentLine: arguments, body: []) != nil else { throw refusal(.arguments) }
        var body: [UInt8] = []
        while let text = nextLine() {
            let count = text.count * 3 / 4
            guard text.count <= AgeStanza.lineCharacters, append(text, count, to: &body) else { throw refusal(.body) }
            if text.count < AgeStanza.lineCharacters { return AgeStanza(argumentLine: arguments, body: body) }
        }
        return nil
    }

    private func append(_ text: UnsafeRawBufferPointer, _ count: Int, to body: inout [UInt8]) -> Bool {
        let start = body.count
        body.append(contentsOf: repeatElement(0, count: count))
        return body.withUnsafeMutableBytes {
            Base64.decodeUnpadded(text, into: UnsafeMutableRawBufferPointer(rebasing: $0[start...]))
        }
    }

    private func mac(_ text: UnsafeRawBufferPointer) throws(AgeHeaderError) -> Digest {
        var bytes = [UInt8](repeating: 0, count: 32)
        let isRead =
            text.starts(with: "--- ".utf8)
            && bytes.withUnsafeMutableBytes {
                Base64.decodeUnpadded(UnsafeRawBufferPointer(rebasing: text.dropFirst(4)), into: $0)
            }
        guard isRead, let mac = bytes.withUnsafeBytes({ Digest($0, at: 0) }) else { throw refusal(.macLine) }
        return mac
    }

    /// The next line without its line feed; nil where the bytes end before that.
    private mutating func nextLine() -> UnsafeRawBufferPointer? {
        let rest = bytes[position...]
        guard let end = rest.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
        let text = UnsafeRawBufferPointer(rebasing: rest[..<end])
        position = end + 1
        line += 1
        return text
    }

    private func refusal(_ rule: AgeHeaderError.Rule) -> AgeHeaderError { AgeHeaderError(rule, .line(line)) }
}
