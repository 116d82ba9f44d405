import JSON
import LMDB
import LedgerFormat
import Testing

@testable import Ledger

/// Claims may be gone where an event says that they were erased, or where their keyring was lost; elsewhere somebody
/// destroyed evidence (`ledger-format.md` sections 10 and 11).
@Suite struct ErasureAuditTests {
    private let fixture: LedgerFixture
    private let object: StreamID
    /// The entry with claims under the object.
    private let index: UInt64

    init() throws {
        fixture = try LedgerFixture()
        let object = StreamID(kind: .object, id: try Sample.id())
        self.object = object
        index = try fixture.whileOpen { ledger in
            try ledger.submit([Sample.deposit(), Sample.deposit(object: object), Sample.deposit()]).receipts[1].index
        }
    }

    private func audited(_ keyring: Keyring?) throws -> [AuditFinding] {
        try LedgerAudit.run(at: fixture.locations, keyring: keyring, progress: { _, _ in }).findings
    }

    /// With a keyring and without one, whose audit counts claims only.
    private func expectFinding(_ what: String?) throws {
        for keyring in [fixture.keyring, nil] {
            let findings = try audited(keyring)
            #expect(findings.map(\.index) == (what == nil ? [] : [index]))
            #expect(findings.allSatisfy { $0.what.contains(what ?? "") })
        }
    }

    @Test func claimsWhoseKeyIsDestroyedAreFoundUnlessAnEventNamesThem() throws {
        try fixture.tamper { [object] in try $1.scopes.put($0, StoreKey.stream(object), []) }
        let finding = "no event says that they were erased"
        try expectFinding(finding)
        try fixture.whileOpen { _ = try $0.submit([Sample.erasure(of: [StreamID(kind: .object, id: Sample.id())])]) }
        try expectFinding(finding)
        try fixture.whileOpen { _ = try $0.submit([Sample.erasure(of: [object])]) }
        try expectFinding(nil)
    }

    /// An erasure empties the row of a key: it neither takes one away nor what was sealed alone, so no event explains it.
    @Test(arguments: ["the key is removed", "what was sealed is removed"])
    func claimsThatAreMissingAreFoundWhateverAnEventSays(how: String) throws {
        try fixture.whileOpen { _ = try $0.submit([Sample.erasure(of: [object])]) }
        try fixture.tamper { [index, object] transaction, schema in
            if how == "the key is removed" {
                try schema.scopes.put(transaction, StoreKey.stream(object), nil)
            } else {
                try transaction.remove(schema.sealed, StoreKey.sealed(index: index, ordinal: 0))
            }
        }
        try expectFinding("are missing, and the key of that scope was not erased")
        for keyring in [fixture.keyring, nil] {
            let report = try LedgerAudit.run(at: fixture.locations, keyring: keyring, progress: { _, _ in })
            #expect(report.erasedClaims == 0 && report.lostClaims == 2)
        }
    }

    @Test func eachEventThatDestroysClaimsNamesItsScopes() throws {
        let request = StreamID(kind: .request, id: try Sample.id())
        let scope = JSONValue.array([.string(object.description)])
        let events = [
            try Sample.erasure(of: [object]),
            try Sample.submission(
                "erasure.partial",
                streams: [request],
                body: [
                    "requested": .int(1), "erased": scope, "kept": .array([.string(request.description)]),
                    "reason": .string("law"),
                ]
            ),
            try Sample.submission(
                "evidence.destroyed",
                streams: [object],
                body: [
                    "deposit": .int(1), "erasure": .int(1), "key": .string(Sample.id().description),
                    "ground": .string("D1"),
                ]
            ),
        ]
        for event in events {
            let fixture = try LedgerFixture()
            let (entry, other) = try fixture.whileOpen { ledger in
                let receipts = try ledger.submit([event, Sample.deposit()]).receipts
                return (try Entry(ledger.entry(at: receipts[0].index).bytes), receipts[1].index)
            }
            #expect(AuditErasures.scopes(namedBy: entry) == [object], "\(entry.type)")
            let deposit = try Entry(fixture.read { try $1.entry($0, other) })
            #expect(AuditErasures.scopes(namedBy: deposit) == [])
        }
    }

    @Test func aLostKeyringExplainsWhatIsGoneBeforeItAndNothingAfter() throws {
        let keyring = try Keyring()
        _ = try LedgerCreation.beginIncarnation(at: fixture.locations, old: nil, keyring: keyring, reason: .keyLost)
        #expect(try audited(keyring) == [] && audited(nil) == [])
        let ledger = try fixture.open(keyring: keyring)
        let later = try ledger.submit([Sample.deposit(object: object)]).receipts[0].index
        ledger.stop()
        #expect(try audited(keyring) == [])
        try fixture.tamper { try $0.remove($1.sealed, StoreKey.sealed(index: later, ordinal: 0)) }
        #expect(try audited(keyring).map(\.index) == [later])
        #expect(try audited(nil).map(\.index) == [later])
    }

    /// Who says that the keyring was lost, and goes on with the claims key, has not lost what was sealed under it.
    @Test func aKeyThatStillOpensOtherClaimsExplainsNothing() throws {
        try fixture.tamper { try $0.remove($1.sealed, StoreKey.sealed(index: index, ordinal: 0)) }
        let keyring = try fixture.keyring.withFreshCheckpointKey()
        _ = try LedgerCreation.beginIncarnation(at: fixture.locations, old: nil, keyring: keyring, reason: .keyLost)
        #expect(try audited(keyring).map(\.index) == [index])
        #expect(try audited(nil).map(\.index) == [index])
        // A later loss gives up all of it, and says so.
        let later = try Keyring()
        _ = try LedgerCreation.beginIncarnation(at: fixture.locations, old: nil, keyring: later, reason: .keyLost)
        #expect(try audited(later) == [] && audited(nil) == [])
    }

    @Test func anErasedScopeStaysErasedWhereTheKeyringIsLost() throws {
        try fixture.whileOpen { _ = try $0.submit([Sample.erasure(of: [object])]) }
        try fixture.erase(scope: object)
        let keyring = try Keyring()
        _ = try LedgerCreation.beginIncarnation(at: fixture.locations, old: nil, keyring: keyring, reason: .keyLost)
        let ledger = try fixture.open(keyring: keyring)
        #expect(throws: LedgerError.self) { try ledger.submit([Sample.deposit(object: object)]) }
        // One that was not erased goes on under a new key.
        _ = try ledger.submit([Sample.deposit()])
        ledger.stop()
        #expect(try audited(keyring) == [])
    }
}
