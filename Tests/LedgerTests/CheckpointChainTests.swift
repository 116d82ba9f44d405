import LMDB
import LedgerFormat
import Testing

@testable import Ledger

/// Signed checkpoints are kept for good, and each row names the one before: what is missing shows
/// (`ledger-format.md` sections 9 and 11).
@Suite struct CheckpointChainTests {
    private let fixture: LedgerFixture
    private let sizes: [UInt64]

    init() throws {
        fixture = try LedgerFixture()
        try fixture.whileOpen { ledger in for _ in 0..<5 { _ = try ledger.submit([Sample.deposit()]) } }
        sizes = try fixture.read { transaction, schema in
            var sizes: [UInt64] = []
            try transaction.forEach(schema.checkpoints) { key, _ in sizes.append(StoreKey.readNumber(key) ?? 0) }
            return sizes
        }
    }

    /// What an audit finds with a lock and without, as of a backup.
    private func findings(_ keyring: Keyring? = nil) throws -> [[String]] {
        try [false, true].map { isCopy in
            try LedgerAudit.run(
                at: fixture.locations,
                keyring: keyring ?? fixture.keyring,
                isCopy: isCopy,
                progress: { _, _ in }
            ).findings.map(\.what)
        }
    }

    @Test func rowsBeginWithTheFirstEntryAndNameOneAnother() throws {
        #expect(sizes.count >= 7 && sizes.first == 1)
        let (before, newest) = try fixture.read { transaction, schema in
            (
                try sizes.map { try schema.checkpointRow(transaction, size: $0)?.before },
                try schema.newestCheckpoint(transaction)
            )
        }
        #expect(before == [0] + sizes.dropLast() && newest == sizes.last)
        #expect(try findings() == [[], []])
    }

    @Test(arguments: ["first", "one", "last", "last two", "all"])
    func aMissingRowIsFound(which: String) throws {
        let gone =
            switch which {
            case "first": sizes.prefix(1)
            case "one": sizes[3...3]
            case "last": sizes.suffix(1)
            case "last two": sizes.suffix(2)
            default: sizes[...]
            }
        try fixture.tamper { transaction, schema in
            for size in gone { try transaction.remove(schema.checkpoints, StoreKey.number(size)) }
        }
        #expect(try findings().allSatisfy { !$0.isEmpty && $0.allSatisfy { $0.contains("checkpoint row") } })
        if which.hasPrefix("last") || which == "all" {
            #expect(throws: StoreDamage.self) { try fixture.open() }
        }
    }

    @Test func aTableThatWasEmptiedAndSaysSoIsFound() throws {
        try fixture.tamper { transaction, schema in
            try transaction.clear(schema.checkpoints)
            try transaction.set(schema.meta, StoreSchema.newestCheckpointKey, StoreKey.number(0))
        }
        #expect(try findings().allSatisfy { $0 == ["the checkpoint row of size 1 is missing"] })
        try fixture.tamper { try $0.remove($1.meta, StoreSchema.newestCheckpointKey) }
        #expect(try findings().allSatisfy { $0.contains("the store does not say which checkpoint row is the newest") })
        #expect(throws: StoreDamage.self) { try fixture.open() }
    }

    /// A crash leaves the newest checkpoint in the lock only; a recovery keeps it, so that nothing is missing between.
    @Test func theChainGoesOnAcrossARecovery() throws {
        try fixture.tamper { transaction, schema in
            // As if the daemon had not stopped, but ended.
            let row = try #require(try schema.checkpointRow(transaction, size: sizes[sizes.count - 1]))
            try transaction.remove(schema.checkpoints, StoreKey.number(sizes[sizes.count - 1]))
            try transaction.set(schema.meta, StoreSchema.newestCheckpointKey, StoreKey.number(row.before))
        }
        #expect(try findings() == [[], []])
        let keyring = try fixture.keyring.withFreshCheckpointKey()
        _ = try LedgerCreation.beginIncarnation(
            at: fixture.locations,
            old: fixture.keyring,
            keyring: keyring,
            reason: .moved
        )
        #expect(try fixture.read { try $1.newestCheckpoint($0) } == sizes.last)
        let ledger = try fixture.open(keyring: keyring)
        _ = try ledger.submit([Sample.deposit()])
        ledger.stop()
        #expect(try findings(keyring) == [[], []])
        // The row that the recovery names is missed, even where the rows around it are made to fit.
        let newest = try #require(sizes.last)
        try fixture.tamper { transaction, schema in
            let following = try #require(
                try transaction.cursor(schema.checkpoints) { try $0.seek(StoreKey.number(newest + 1)) }
            )
            let row = try #require(CheckpointRow(following.value))
            let before = try #require(try schema.checkpointRow(transaction, size: newest)).before
            try transaction.set(
                schema.checkpoints,
                following.key,
                CheckpointRow(before: before, signature: row.signature).encoded
            )
            try transaction.remove(schema.checkpoints, StoreKey.number(newest))
        }
        #expect(
            try findings(keyring).allSatisfy {
                $0 == ["the checkpoint row of size \(newest), of a lock that a recovery names, is missing"]
            }
        )
    }
}
