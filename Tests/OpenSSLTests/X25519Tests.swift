import Merkle
import OpenSSL
import Testing

@Suite("X25519")
struct X25519Tests {
    private static func key(_ hex: String) throws -> X25519PrivateKey {
        try X25519PrivateKey(scalar: SecretBytes(copying: #require(Hex.decode(hex))))
    }

    private static func hex(_ secret: SecretBytes) -> String { secret.withUnsafeBytes { Hex.encode(Array($0)) } }

    @Test(
        "multiplies as RFC 7748, section 5.2 says, also where the coordinate has its highest bit set",
        arguments: [
            (
                "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
                "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
                "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"
            ),
            (
                "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
                "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
                "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"
            ),
        ]
    )
    func multiplication(scalar: String, coordinate: String, product: String) throws {
        let secret = try Self.key(scalar).sharedSecret(with: #require(Hex.decode(coordinate)))
        #expect(Self.hex(secret) == product)
    }

    @Test("multiplies a thousand times over as RFC 7748, section 5.2 says")
    func iteration() throws {
        var scalar = "09" + String(repeating: "00", count: 31)
        var coordinate = scalar
        for round in 1...1_000 {
            let product = try Self.key(scalar).sharedSecret(with: #require(Hex.decode(coordinate)))
            (scalar, coordinate) = (Self.hex(product), scalar)
            if round == 1 {
                #expect(scalar == "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079")
            }
        }
        #expect(scalar == "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51")
    }

    @Test("two keys have in common what RFC 7748, section 6.1 says")
    func agreement() throws {
        let alice = try Self.key("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
        let bob = try Self.key("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
        #expect(Hex.encode(alice.publicKey) == "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
        #expect(Hex.encode(bob.publicKey) == "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")
        let secret = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"
        #expect(try Self.hex(alice.sharedSecret(with: bob.publicKey)) == secret)
        #expect(try Self.hex(bob.sharedSecret(with: alice.publicKey)) == secret)
    }

    /// The coordinates of points whose order divides 8, and those that are the same below 2^255.
    static let lowOrder = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ]

    @Test("refuses points of low order", arguments: lowOrder)
    func lowOrderPoint(hex: String) throws {
        var point = try #require(Hex.decode(hex))
        for _ in 0..<2 {
            #expect(throws: OpenSSLError.self) {
                try X25519PrivateKey(scalar: .random(32)).sharedSecret(with: point)
            }
            // The highest bit is not part of the coordinate.
            point[31] ^= 0x80
        }
    }

    @Test("refuses keys of another length", arguments: [0, 31, 33])
    func lengths(count: Int) throws {
        #expect(throws: OpenSSLError.self) { try X25519PrivateKey(scalar: .random(count)) }
        let key = try X25519PrivateKey(scalar: .random(32))
        #expect(throws: OpenSSLError.self) { try key.sharedSecret(with: [UInt8](repeating: 9, count: count)) }
    }
}
