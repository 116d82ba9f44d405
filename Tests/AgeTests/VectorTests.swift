import Merkle
import OpenSSL
import Testing

@testable import Age

@Suite("The published vectors of age")
struct VectorTests {
    static let binary = Vector.all.filter { !$0.isArmored }
    /// What we have every part of: neither passphrases nor hybrid keys.
    static let native = binary.filter { !isForeign($0) }
    static let foreign = binary.filter { isForeign($0) }

    private static func isForeign(_ vector: Vector) -> Bool {
        vector.name.hasPrefix("scrypt") || vector.name.hasPrefix("hybrid")
    }

    @Test("are all there")
    func number() {
        #expect(Vector.all.count == 143)
        #expect(VectorTests.native.count == 67)
        #expect(VectorTests.foreign.count == 43)
        #expect(Set(VectorTests.native.map(\.expect)).count == 5)
    }

    @Test("end as they say, with the plaintext they say and no byte more", arguments: native)
    func outcome(vector: Vector) throws {
        let outcome = try vector.outcome()
        #expect(outcome.result == vector.expect)
        if let payload = vector.payload { #expect(SHA256Hasher().hash(outcome.plaintext).hex == payload) }
    }

    @Test("of other kinds of recipients are read, and match nobody", arguments: foreign)
    func otherKinds(vector: Vector) throws {
        let outcome = try vector.outcome()
        // What whoever reads the header sees without passphrase or hybrid key.
        let refused: Set = [
            "scrypt_and_x25519", "scrypt_double", "scrypt_not_canonical_body", "hybrid_not_canonical_body",
            "hybrid_x25519_arg",
        ]
        if refused.contains(vector.name) { #expect(vector.expect == "header failure") }
        #expect(outcome.result == (refused.contains(vector.name) ? "header failure" : "no match"))
        #expect(outcome.plaintext.isEmpty)
    }

    @Test("in the ASCII armor are refused", arguments: Vector.all.filter(\.isArmored))
    func armor(vector: Vector) throws {
        let rule: AgeHeaderError.Rule = vector.name == "armor_empty" && vector.file.isEmpty ? .cutOff : .version
        #expect(throws: AgeHeaderError(rule, rule == .version ? .line(1) : .whole)) {
            try vector.file.withUnsafeBytes { try AgeHeader.read($0, isEnd: true) }
        }
    }

    @Test("have headers that are written as they are read, with the MAC", arguments: binary)
    func headers(vector: Vector) throws {
        guard let header = try? vector.file.withUnsafeBytes({ try AgeHeader.read($0, isEnd: true) }) else {
            #expect(vector.expect.hasSuffix("failure"))
            return
        }
        var encoded = AgeHeader.unsealed(header.stanzas)
        AgeHeader.append(header.mac, to: &encoded)
        #expect(encoded == header.encoded && vector.file.starts(with: encoded))
        guard let fileKey = vector.fileKey, vector.expect == "success" else { return }
        try header.check(fileKey)
        #expect(try AgeHeader(header.stanzas, fileKey: fileKey) == header)
    }

    @Test("have payloads that are written as they are read", arguments: native.filter { $0.expect == "success" })
    func payloads(vector: Vector) throws {
        let header = try #require(try vector.file.withUnsafeBytes { try AgeHeader.read($0) })
        let payload = Array(vector.file[header.encoded.count...])
        let content = try vector.outcome().plaintext
        var written: [UInt8] = []
        let writer = try AgePayloadWriter(
            fileKey: #require(vector.fileKey),
            nonce: Array(payload.prefix(AgePayload.nonceBytes)),
            to: &written
        )
        try content.withUnsafeBytes { try writer.write($0, to: &written) }
        try writer.finish(to: &written)
        #expect(written == payload)
        #expect(AgePayload.payloadBytes(ofPlaintext: UInt64(content.count)) == UInt64(payload.count))
        #expect(AgePayload.plaintextBytes(ofPayload: UInt64(payload.count)) == UInt64(content.count))
    }

    @Test(
        "opened chunk by chunk, from the last to the first, are the same",
        arguments: ["stream_three_chunks", "x25519"]
    )
    func chunks(name: String) throws {
        let vector = try #require(Vector.all.first { $0.name == name })
        let header = try #require(try vector.file.withUnsafeBytes { try AgeHeader.read($0) })
        let payload = Array(vector.file[header.encoded.count...])
        let chunks = try AgePayloadChunks(
            fileKey: #require(vector.fileKey),
            nonce: Array(payload.prefix(AgePayload.nonceBytes)),
            payloadBytes: UInt64(payload.count)
        )
        var content: [UInt8] = []
        for number in (0..<chunks.count).reversed() {
            let range = chunks.payloadRange(of: number)
            var chunk: [UInt8] = []
            try payload[Int(range.lowerBound)..<Int(range.upperBound)].withUnsafeBytes {
                try chunks.open(number, $0, to: &chunk)
            }
            content = chunk + content
        }
        #expect(SHA256Hasher().hash(content).hex == vector.payload)
        #expect(UInt64(content.count) == chunks.plaintextBytes)
    }
}
