import JSON
import LMDB
import LedgerFormat
import OpenSSL
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

    /// An erasure destroys a key, and takes away neither the row that names it nor what was sealed: no event explains that.
    @Test func aScopeThatIsMissingIsFoundWhateverAnEventSays() throws {
        try fixture.tamper { [object] in try $1.scopes.put($0, StoreKey.stream(object), nil) }
        let finding = "are missing, and the key of that scope was not erased"
        try expectFinding(finding)
        try fixture.whileOpen { _ = try $0.submit([Sample.erasure(of: [object])]) }
        try expectFinding(finding)
        for keyring in [fixture.keyring, nil] {
            let report = try LedgerAudit.run(at: fixture.locations, keyring: keyring, progress: { _, _ in })
            #expect(report.erasedClaims == 0 && report.lostClaims == 2)
        }
    }

    @Test func claimsThatAreMissingAreFoundUntilTheirKeyIsDestroyed() throws {
        try fixture.tamper { [index] in try $0.remove($1.sealed, StoreKey.sealed(index: index, ordinal: 0)) }
        try expectFinding("are missing, and the key of that scope was not erased")
        try fixture.whileOpen { _ = try $0.submit([Sample.erasure(of: [object])]) }
        try expectFinding(nil)
    }

    /// A slot whose key was destroyed with no event is found by whoever has the keys.
    @Test func aKeyThatIsDestroyedInTheTreeAloneIsFound() throws {
        try fixture.erase(scope: object)
        let findings = try audited(fixture.keyring)
        #expect(findings.map(\.index) == [index])
        #expect(findings.allSatisfy { $0.what.contains("no event says that they were erased") })
    }

    /// Two scopes with one key would be erased together, and an entry that erases nothing explains nothing.
    @Test func aSlotIsOfOneScope() throws {
        let other = try fixture.read { transaction, schema in
            try #require(try Entry(schema.entry(transaction, index + 1)).claims.first?.scope)
        }
        let row = try fixture.read { try $1.scopes.stored($0, StoreKey.stream(other)) }
        let slot = try #require(row.flatMap { StoreKey.readNumber($0.prefix(8)) })
        for (content, what) in [
            (ScopeSlot.content(slot, of: object, SHA256Hasher()), "two scopes have the data key of slot \(slot)"),
            (ScopeSlot.content(1 << 20, of: object, SHA256Hasher()), "not as it was written"),
            (ScopeSlot.content(slot, of: other, SHA256Hasher()), "not as it was written"),
            (StoreKey.number(index), "does not name that scope"), (StoreKey.number(99), "does not name that scope"),
            (
                ScopeSlot.content(slot, of: object, SHA256Hasher()) + StoreKey.number(index),
                "the key of a scope it erases is not destroyed"
            ),
        ] {
            try fixture.tamper { [object] in try $1.scopes.put($0, StoreKey.stream(object), content) }
            #expect(try audited(fixture.keyring).contains { $0.what.contains(what) }, "\(what)")
        }
    }

    /// Nothing else says what they say, so each bit of them is held by a hash.
    @Test(arguments: ["keys", "slots", "erasing", "key epoch"])
    func whatTheStoreSaysOfItsKeysIsHeld(_ row: String) throws {
        let name = Array(row.utf8)
        let good = try fixture.read { try #require(try $0.get($1.meta, name)) }
        for position in good.indices {
            var bad = good
            bad[position] ^= 1 << UInt8(position % 8)
            try fixture.tamper { try $0.set($1.meta, name, bad) }
            #expect(try audited(nil).contains { $0.what.contains("'\(row)'") }, "\(position)")
        }
        #expect(throws: StoreDamage.self) { try fixture.open() }
        try fixture.tamper { try $0.set($1.meta, name, good) }
        #expect(try audited(nil) == [])
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
                    "deposit": .int(1), "erasure": .int(1), "ground": .string("D1"),
                ]
            ),
        ]
        for event in events {
            let fixture = try LedgerFixture()
            let (entry, other) = try fixture.whileOpen { ledger in
                let receipts = try ledger.submit([event, Sample.deposit()]).receipts
                return (try Entry(ledger.entry(at: receipts[0].index).bytes), receipts[1].index)
            }
            #expect(Erasing.scopes(namedBy: entry) == [object], "\(entry.type)")
            let deposit = try Entry(fixture.read { try $1.entry($0, other) })
            #expect(Erasing.scopes(namedBy: deposit) == [])
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
