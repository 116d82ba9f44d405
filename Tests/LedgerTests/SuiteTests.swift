import Files
import Keys
import LMDB
import LedgerFormat
import Merkle
import OpenSSL
import Testing

@testable import Ledger

/// A ledger keeps the suite it was made with (`ledger-format.md` section 10, "Suites").
@Suite struct SuiteTests {
    private func suites(_ fixture: LedgerFixture, _ keyring: Keyring) throws -> [CipherSuite] {
        let stored = try fixture.read { try $1.keyTree($0).suite }
        let ledger = try fixture.open(keyring: keyring)
        defer { ledger.stop() }
        return [stored, ledger.suite]
    }

    @Test(arguments: CipherSuite.allCases)
    func storeAndKeysHaveTheSuiteOfTheCreation(suite: CipherSuite) throws {
        let fixture = try LedgerFixture(suite: suite)
        #expect(try suites(fixture, fixture.keyring) == [suite, suite])
    }

    /// Whatever of the two was exchanged or changed: nothing is sealed with what the store doesn't name.
    @Test(arguments: CipherSuite.allCases)
    func aTreeOfAnotherSuiteThanTheStoreNamesIsRefused(suite: CipherSuite) throws {
        let fixture = try LedgerFixture(suite: suite)
        try fixture.whileOpen { _ = try $0.submit([Sample.deposit()]) }
        let other: CipherSuite = suite == .aes ? .sm4 : .aes
        try fixture.tamper { try $1.setKeyTree(NamedTree(id: $1.keyTree($0).id, suite: other), $0) }
        let refusal = try fixture.refusal { try fixture.open() }
        #expect(refusal.code == .keysOther)
        #expect(refusal.reason.contains(suite.rawValue) && refusal.reason.contains(other.rawValue))
        let findings = try fixture.audit().findings
        #expect(findings.contains { $0.what.contains("is of the suite \(suite.rawValue)") }, "\(findings)")
    }

    @Test func aSuiteNobodyKnowsIsDamage() throws {
        let fixture = try LedgerFixture()
        let row = try fixture.read { try #require(try $0.get($1.meta, Array("keys".utf8))) }
        for content in ["", "aes-256-gcm", "\(String(repeating: "0", count: 32)) aes-128-gcm"] {
            let hash = SHA256Hasher().hash(Array("evidenced/key-row/v1\nkeys\n\(content)".utf8)).bytes.prefix(8)
            try fixture.tamper { try $0.set($1.meta, Array("keys".utf8), Array(content.utf8) + hash) }
            #expect(throws: StoreDamage.self, "\(content)") { try fixture.open().stop() }
        }
        try fixture.tamper { try $0.set($1.meta, Array("keys".utf8), row) }
        try fixture.open().stop()
    }

    /// A tree that takes the place of a lost one has its suite, or the one that is asked for.
    @Test(
        arguments: [(CipherSuite.sm4, nil), (.sm4, .aes), (.aes, .sm4), (.aes, nil)] as [(CipherSuite, CipherSuite?)]
    )
    func aRecoveryKeepsTheSuiteUnlessToldOtherwise(suite: CipherSuite, asked: CipherSuite?) throws {
        let fixture = try LedgerFixture(suite: suite)
        let object = StreamID(kind: .object, id: try Sample.id())
        let lost = try fixture.whileOpen { try $0.submit([Sample.deposit(object: object)]).receipts[0].index }
        func recover(_ keyring: Keyring) throws {
            _ = try LedgerCreation.beginIncarnation(
                at: fixture.locations,
                old: nil,
                keyring: keyring,
                reason: .keyLost,
                suite: asked
            )
        }
        // Where they open, they are not lost, and their suite is what it is.
        if let asked {
            do {
                try recover(fixture.keyring.withFreshCheckpointKey())
                Issue.record("\(suite) became \(asked)")
            } catch let refusal as StartupRefusal {
                #expect(refusal.code == .keysOther && refusal.reason.contains(suite.rawValue))
            }
            #expect(try suites(fixture, fixture.keyring) == [suite, suite])
        }
        let keyring = try Keyring()
        try recover(keyring)
        #expect(try suites(fixture, keyring) == [asked ?? suite, asked ?? suite])
        let ledger = try fixture.open(keyring: keyring)
        defer { ledger.stop() }
        #expect(throws: LedgerError.erasedClaims(index: lost, erasure: nil)) { try ledger.open(lost, names: nil) }
        let index = try ledger.submit([Sample.deposit(object: object)]).receipts[0].index
        #expect(try ledger.open(index, names: nil).count == 2)
    }
}
