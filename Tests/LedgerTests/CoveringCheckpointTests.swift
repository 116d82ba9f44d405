import LMDB
import LedgerFormat
import Testing

@testable import Ledger

@Suite struct CoveringCheckpointTests {
    @Test func theOldestCheckpointThatCoversASizeIsFound() throws {
        let fixture = try LedgerFixture()
        let verifier = try CheckpointVerifier(vkey: fixture.vkey)
        try fixture.whileOpen { ledger in
            // What the ledger records of its start is signed by then.
            var signed = [try ledger.submit([Sample.deposit()]).checkpoint]
            for round in [3, 1, 4] {
                signed.append(try ledger.submit((0..<round).map { _ in try Sample.deposit() }).checkpoint)
            }
            for size in signed[0].size...ledger.checkpoint.size {
                let expected = try #require(signed.first { $0.size >= size })
                let found = try ledger.checkpoint(covering: size)
                #expect(found.note == expected.note && found.checkpoint == expected.checkpoint)
                #expect(found.vkey == fixture.vkey)
                try SignedNote(parsing: Array(found.note.utf8)).verify([verifier])
            }
            #expect(try ledger.checkpoint(covering: 0).checkpoint.size == 1)
            #expect(throws: LedgerError.self) { try ledger.checkpoint(covering: ledger.checkpoint.size + 1) }
        }
    }

    @Test func eachIncarnationsCheckpointsComeWithItsKey() throws {
        let fixture = try LedgerFixture()
        let old = try fixture.whileOpen { try $0.submit([Sample.deposit()]).checkpoint }
        let keyring = try fixture.keyring.withFreshCheckpointKey()
        let (_, _, vkey) = try LedgerCreation.beginIncarnation(
            at: fixture.locations,
            old: fixture.keyring,
            keyring: keyring,
            reason: .moved
        )
        let ledger = try fixture.open(keyring: keyring)
        defer { ledger.stop() }
        let before = try ledger.checkpoint(covering: old.size)
        #expect(before.note == old.note && before.vkey == fixture.vkey)
        #expect(try ledger.checkpoint(covering: ledger.checkpoint.size).vkey == vkey)
    }

    /// Which keys there were is known from the start: neither the look-up index is asked, which may be a long time being
    /// checked or made, nor the ledger's own stream, which grows for ever.
    @Test func keysOfEarlierIncarnationsAreNotLookedFor() throws {
        let fixture = try LedgerFixture()
        let old = try fixture.whileOpen { try $0.submit([Sample.deposit()]).checkpoint }
        let keyring = try fixture.keyring.withFreshCheckpointKey()
        _ = try LedgerCreation.beginIncarnation(
            at: fixture.locations,
            old: fixture.keyring,
            keyring: keyring,
            reason: .moved
        )
        let ledger = try fixture.open(keyring: keyring)
        defer { ledger.stop() }
        _ = try ledger.submit([Sample.deposit()])
        let (schema, row) = (ledger.schema, StoreKey.stream(ledger.identity.stream, number: 1))
        let kept = try ledger.environment.write { transaction in
            let kept = try #require(try transaction.get(schema.streams.database, row))
            try transaction.remove(schema.streams.database, row)
            return kept
        }
        ledger.lookups.condemn(LookupDamage("of a test"))
        #expect(try ledger.checkpoint(covering: old.size).vkey == fixture.vkey)
        try ledger.environment.write { try $0.set(schema.streams.database, row, kept) }
    }
}
