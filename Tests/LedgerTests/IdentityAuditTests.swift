import JSON
import LMDB
import LedgerFormat
import Merkle
import OpenSSL
import Testing

@testable import Ledger

/// What an audit says of a history whose identities break the rules (`ledger-format.md` section 6).
@Suite struct IdentityAuditTests {
    private let fixture: LedgerFixture
    private let keyring: Keyring
    /// The entry that begins the second incarnation.
    private let recovery: Entry

    init() throws {
        fixture = try LedgerFixture()
        try fixture.whileOpen { _ = try $0.submit([Sample.deposit()]) }
        keyring = try fixture.keyring.withFreshCheckpointKey()
        _ = try LedgerCreation.beginIncarnation(
            at: fixture.locations,
            old: fixture.keyring,
            keyring: keyring,
            reason: .moved
        )
        let ledger = try fixture.open(keyring: keyring)
        _ = try ledger.submit([Sample.deposit()])
        let page = try ledger.list(EntryFilter(type: "system.recovered"), from: nil, limit: 2, reverse: false)
        recovery = try Entry(#require(page.entries.first).bytes)
        ledger.stop()
    }

    private func findings() throws -> [AuditFinding] {
        try LedgerAudit.run(at: fixture.locations, keyring: keyring, progress: { _, _ in }).findings
    }

    @Test func eachRuleOfARecoveryIsChecked() throws {
        let key = try #require(recovery.body["checkpoint_key"]?.string)
        let origin = try #require(recovery.body["origin"]?.string)
        let root = try #require(recovery.body["root"]?.string)
        let sha256 = { (bytes: [UInt8]) in SHA256Hasher().hash(bytes) }
        let first = try VerificationKey(parsing: fixture.vkey, sha256: sha256)
        let other = try VerificationKey(name: origin, publicKey: first.publicKey, sha256: sha256)
        let recovered = try Recovery(recovery)
        let succession = try Base64.encode(#require(recovered.succession))
        let signer = try CheckpointSigner(seed: fixture.keyring.checkpointSeed, origin: "test.example/ledger")
        let stranger = try CheckpointSigner(seed: Keyring().checkpointSeed, origin: "test.example/ledger")
        // Signed by the right key, but over another origin; by another key over the right bytes.
        let misplaced = try Base64.encode(signer.sign(recovered.statement(from: "test.example/ledgers")))
        let foreign = try Base64.encode(stranger.sign(recovered.statement(from: signer.name)))
        let unsigned = "the key in force before did not sign"
        let changes: [(String, String, String)] = [
            (succession, misplaced, unsigned), (succession, foreign, unsigned),
            (",\"succession\":\"\(succession)\"", "", "succession must be given"),
            ("\"reason\":\"moved\"", "\"reason\":\"key-lost\"", "succession must not be given"),
            (",\"lock_size\":\(try #require(recovered.lock).size)", "", "body.lock_size must be given"),
            ("\"size\":\(recovery.index)", "\"size\":\(recovery.index + 1)", "another size"),
            (root, Digest.zero.base64, "another tree"),
            (key, other.text, "the key of the incarnation before"),
            (key, fixture.vkey, "a key of another name"),
            (
                "\"incarnation\":\(recovered.incarnation)", "\"incarnation\":\(recovered.incarnation + 1)",
                "an origin that is not"
            ),
            ("\"incarnation\":\(recovered.incarnation)", "\"incarnation\":0", "must be an integer from 2"),
            ("\"lock_root\":\"\(root)\"", "\"lock_root\":\"\(Digest.zero.base64)\"", "had another root than they have"),
            (
                "\"lock_size\":\(recovery.index)", "\"lock_size\":\(recovery.index - 1)",
                "had another root than they have"
            ),
            ("\"lock_size\":\(recovery.index)", "\"lock_size\":0", "lock_size must be an integer from 1"),
            ("\"origin\":\"\(origin)\"", "\"origin\":\"\(origin)2\"", "an origin that is not"),
        ]
        for (from, to, what) in changes {
            try fixture.rewrite(entry: recovery.index) { _ in
                String(decoding: recovery.encoded, as: UTF8.self).replacing(from, with: to)
            }
            let found = try findings().filter { $0.index == recovery.index }.map(\.what)
            #expect(found.contains { $0.contains(what) }, "\(to): \(found)")
        }
        try fixture.rewrite(entry: recovery.index) { _ in String(decoding: recovery.encoded, as: UTF8.self) }
        #expect(try findings() == [])
    }

    @Test func aLedgerOfAHashSuiteThatIsNotThereIsRefused() throws {
        try fixture.rewrite(entry: 0) { $0.replacing("\"suite\":\"sha256\"", with: "\"suite\":\"sm3\"") }
        #expect(try findings().contains { $0.index == 0 && $0.what.contains("hash suite") })
        #expect(throws: (any Error).self) { try fixture.open(keyring: keyring) }
    }

    @Test func anOldKeySignsNothingNew() throws {
        let size = recovery.index + 2
        let signer = try CheckpointSigner(seed: fixture.keyring.checkpointSeed, origin: "test.example/ledger")
        try fixture.tamper { transaction, schema in
            let checkpoint = Checkpoint(
                origin: signer.name,
                size: size,
                root: try schema.root(transaction, size: size)
            )
            try transaction.set(
                schema.checkpoints,
                StoreKey.number(size),
                Array(signer.name.utf8) + [0x0A] + withUnsafeBytes(of: signer.keyID.bigEndian) { [UInt8]($0) }
                    + signer.sign(Array(checkpoint.text.utf8))
            )
        }
        #expect(try findings().contains { $0.index == size - 1 && $0.what.contains("does not hold") })
    }

    @Test func theDaemonsOwnTypesAreItsOwn() throws {
        try fixture.rewrite(entry: recovery.index) {
            $0.replacing("\"submitter\":\"evidenced\"", with: "\"submitter\":\"shop\"")
        }
        #expect(try findings().contains { $0.index == recovery.index && $0.what.contains("may not submit its type") })
    }
}
