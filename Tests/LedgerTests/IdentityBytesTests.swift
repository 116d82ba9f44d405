import LMDB
import LedgerFormat
import Merkle
import Testing

@testable import Ledger

/// An origin and a key are their bytes: to a `String` the sign of kelvin, U+212A, is the letter K.
@Suite struct IdentityBytesTests {
    private let fixture: LedgerFixture
    private let signer: CheckpointSigner

    init() throws {
        fixture = try LedgerFixture(origin: "test.example/Kiln")
        try fixture.whileOpen { _ = try $0.submit([Sample.deposit()]) }
        signer = try CheckpointSigner(seed: fixture.keyring.checkpointSeed, origin: "test.example/Kiln")
    }

    @Test(arguments: [("test.example/Kiln", true), ("test.example/\u{212A}iln", false)])
    func aCheckpointNamesTheOriginByteForByte(_ origin: String, _ isValid: Bool) throws {
        var identities = IdentityHistory()
        try fixture.tamper { transaction, schema in
            let genesis = try Entry(schema.entry(transaction, 0))
            #expect(identities.take(genesis, at: 0).isEmpty)
        }
        // The key of the ledger signs it, under its right name.
        let note = try SignedNote.signed(Checkpoint(origin: origin, size: 1, root: .zero).text, by: signer)
        if isValid {
            try identities.verify(note)
        } else {
            #expect(throws: NoteError.self) { try identities.verify(note) }
        }
    }

    @Test(arguments: ["origin", "checkpoint_key"])
    func theStoresIdentityIsComparedByteForByte(_ member: String) throws {
        try fixture.tamper { transaction, schema in
            let bytes = try #require(try transaction.get(schema.meta, StoreSchema.identityKey))
            let text = String(decoding: bytes, as: UTF8.self)
            let changed = text.replacing(
                "\"\(member)\":\"test.example/K",
                with: "\"\(member)\":\"test.example/\u{212A}"
            )
            #expect(!changed.utf8.elementsEqual(text.utf8))
            try transaction.set(schema.meta, StoreSchema.identityKey, Array(changed.utf8))
        }
        let findings = try LedgerAudit.run(at: fixture.locations, keyring: fixture.keyring, progress: { _, _ in })
            .findings
        #expect(findings.contains { $0.what == "the store's identity is not what its entries establish" })
        #expect(throws: (any Error).self) { try fixture.open() }
    }
}
