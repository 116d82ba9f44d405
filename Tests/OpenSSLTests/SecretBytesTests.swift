import OpenSSL
import Testing

@Suite("Secret bytes")
struct SecretBytesTests {
    @Test("hold what was written, and start as zeros")
    func contents() throws {
        #expect(SecretBytes(count: 3) { $0[1] = 7 }.withUnsafeBytes { Array($0) } == [0, 7, 0])
        #expect(SecretBytes(copying: [1, 2, 3]).withUnsafeBytes { Array($0) } == [1, 2, 3])
        #expect(SecretBytes(copying: [1, 2, 3]) == SecretBytes(copying: [1, 2, 3]))
        #expect(SecretBytes(copying: [1, 2, 3]) != SecretBytes(copying: [1, 2, 4]))
        #expect(SecretBytes(copying: [1, 2, 3]) != SecretBytes(copying: [1, 2]))
        #expect(try SecretBytes.random(32) != SecretBytes.random(32))
        struct Refused: Error {}
        #expect(throws: Refused.self) { try SecretBytes(count: 1) { _ in throw Refused() } }
    }
}
