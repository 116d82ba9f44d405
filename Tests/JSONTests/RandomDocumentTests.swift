import JSON
import SeededRandom
import Testing

@Suite("Random documents")
struct RandomDocumentTests {
    @Test("Every spelling of a value is read as the value, and has its canonical form")
    func roundTrip() throws {
        var documents = RandomDocuments(seed: 8_785)
        for _ in 0..<3_000 {
            let value = documents.value()
            let bytes = value.canonicalBytes
            #expect(try canonical(bytes) == bytes)
            let spelling = documents.spelling(of: value)
            let read = try JSONReader.parse(spelling)
            #expect(read == value && read.canonicalBytes == bytes, "\(String(decoding: spelling, as: UTF8.self))")
            var reader = JSONReader(spelling)
            let passed = try reader.skip()
            try reader.finish()
            #expect(try canonical(spelling[passed]) == bytes)
        }
    }

    @Test("Whatever the bytes, they are read or refused, and what is read has one canonical form")
    func spoilt() throws {
        var documents = RandomDocuments(seed: 7_493)
        var accepted = 0
        for _ in 0..<3_000 {
            var bytes = documents.spelling(of: documents.value())
            // Changes add up, so that the documents stray ever farther.
            for _ in 0..<5 {
                bytes = documents.spoilt(bytes)
                let refusal = refusal(of: bytes)
                #expect(refusalPassingOver(bytes) == refusal)
                if let refusal {
                    #expect(0...bytes.count ~= refusal.offset)
                    continue
                }
                accepted += 1
                let once = try canonical(bytes)
                #expect(try canonical(once) == once)
            }
        }
        // Otherwise the loop would show nothing about what is accepted.
        #expect(accepted > 500)
    }

    @Test("Random bytes are read or refused")
    func noise() {
        var random = SeededGenerator(seed: 8_259)
        let alphabet = Array(#"{}[]",:\/-0129.eEtrufalsn bd"#.utf8) + [0x00, 0x0A, 0x80, 0xC3, 0xA9, 0xFF]
        for _ in 0..<20_000 {
            let count = Int.random(in: 0...40, using: &random)
            let bytes = (0..<count).map { _ in alphabet.randomElement(using: &random) ?? 0 }
            let refusal = refusal(of: bytes)
            #expect(refusalPassingOver(bytes) == refusal)
            if let refusal { #expect(0...count ~= refusal.offset) }
        }
    }
}
