import Files
import Glibc
import Keys
import LMDB
import LedgerFormat
import Merkle
import OpenSSL
import Testing

@testable import Ledger

/// Destroying keys on an open ledger: after the event is recorded, before anybody is told (`ledger-format.md` section 10,
/// "Erasure").
@Suite struct ErasureTests {
    private let fixture: LedgerFixture
    private let object: StreamID

    init() throws {
        fixture = try LedgerFixture()
        object = StreamID(kind: .object, id: try Sample.id())
    }

    private func copyKeys(_ source: String, _ target: String) throws {
        try FileSystem.makeDirectory(target)
        for name in ["data.mdb", "root.key"] { try copyFile(source + "/" + name, target + "/" + name) }
    }

    @Test func whatIsRecordedIsErasedBeforeItIsAnswered() throws {
        let digest = String(repeating: "5c", count: 32)
        try fixture.whileOpen { (ledger: Ledger) throws in
            let index = try ledger.submit([Sample.deposit(digest: digest, object: object)]).receipts[0].index
            #expect(try ledger.open(index, names: nil).count == 2)
            #expect(try ledger.find(document: #require(Digest(hex: digest))).entries.map(\.index) == [index])
            let epoch = ledger.claimKeys.tree.epoch
            let erasure = try ledger.submit([Sample.erasure(of: [object])]).receipts[0].index
            #expect(ledger.claimKeys.tree.epoch == epoch + 1)
            #expect(throws: LedgerError.erasedClaims(index: index, erasure: erasure)) {
                try ledger.open(index, names: nil)
            }
            // As if the look-up index knew the document yet: nobody is told.
            let tail = try ledger.lookups.ready().tail
            for _ in 0..<1_000 where tail.erasing != nil { usleep(10_000) }
            let known = try #require(tail.oldest(tail.count, below: .max)?.first { $0.index == index })
            var documents = DocumentDigests()
            documents.note("sha256", try #require(Digest(hex: digest)))
            tail.revise([
                LookupRecord(
                    index: index,
                    leaf: known.leaf,
                    type: known.type,
                    submitter: known.submitter,
                    request: known.request,
                    documents: documents
                )
            ])
            #expect(try ledger.find(document: #require(Digest(hex: digest))).entries.isEmpty)
        }
        #expect(try fixture.read { try $1.pendingErasures($0) }.isEmpty)
        #expect(try fixture.audit().isClean)
    }

    /// What comes after an erasure in one call, or in one commit, finds its scopes erased, and nothing is sealed to be lost.
    @Test func nothingIsSealedUnderAScopeThatIsAboutToBeErased() throws {
        try fixture.whileOpen { (ledger: Ledger) throws in
            let calls = [
                [try Sample.deposit(object: object)], [try Sample.erasure(of: [object])],
                [try Sample.deposit(object: object)], [try Sample.deposit()],
            ]
            let answers = calls.map { _ in Answer() }
            for (call, answer) in zip(calls, answers) {
                try ledger.append(Submissions(call), from: "shop", bytes: 400) { answer.give($0) }
            }
            let results = answers.map { answer in Result { try answer.wait() } }
            #expect((try? results[0].get()) != nil && (try? results[1].get()) != nil && (try? results[3].get()) != nil)
            #expect(throws: LedgerError.self) { try results[2].get() }
        }
        #expect(try fixture.audit().isClean)
    }

    @Test(arguments: [Int64(0), 1, 2]) func anErasureSaysHowManyKeysThereAre(_ stated: Int64) throws {
        let other = StreamID(kind: .object, id: try Sample.id())
        try fixture.whileOpen { (ledger: Ledger) throws in
            let index = try ledger.submit([Sample.deposit(object: object)]).receipts[0].index
            let erasure = try Sample.erasure(of: [object, other], destroyed: stated)
            if stated == 1 {
                _ = try ledger.submit([erasure])
                #expect(throws: LedgerError.self) { try ledger.open(index, names: nil) }
            } else {
                #expect {
                    try ledger.submit([erasure])
                } throws: { error in
                    if case .invalidEvent(0, "body.keys_destroyed", let rule)? = error as? LedgerError {
                        rule.contains(": 1")
                    } else {
                        false
                    }
                }
                #expect(try ledger.open(index, names: nil).count == 2)
                // The refused erasure condemned nothing.
                _ = try ledger.submit([Sample.deposit(object: object)])
            }
        }
    }

    /// Cut off behind its record, before or after the keys were destroyed, it is done at the next start, before anything
    /// is served.
    @Test(arguments: [false, true]) func aStartGoesOnWithAnErasure(areKeysDestroyed: Bool) throws {
        let index = try fixture.whileOpen { try $0.submit([Sample.deposit(object: object)]).receipts[0].index }
        let before = fixture.directory + "/keys.before"
        try copyKeys(fixture.locations.keys, before)
        let row = try fixture.read { try #require(try $1.scopes.stored($0, StoreKey.stream(object))) }
        let erasure = try fixture.whileOpen { try $0.submit([Sample.erasure(of: [object])]).receipts[0].index }
        try fixture.tamper { [object] transaction, schema in
            try schema.scopes.put(transaction, StoreKey.stream(object), row)
            try schema.setPendingErasures([erasure], transaction)
            try schema.setKeyEpoch(1, transaction)
        }
        if !areKeysDestroyed {
            removeTree(fixture.locations.keys)
            try copyKeys(before, fixture.locations.keys)
        }
        try fixture.whileOpen { (ledger: Ledger) throws -> Void in
            #expect(throws: LedgerError.erasedClaims(index: index, erasure: erasure)) {
                try ledger.open(index, names: nil)
            }
        }
        #expect(try fixture.read { try $1.pendingErasures($0) }.isEmpty)
        #expect(try fixture.audit().isClean)
    }

    @Test func keysFromBeforeAnErasureAreRefused() throws {
        let before = fixture.directory + "/keys.before"
        try fixture.whileOpen { _ = try $0.submit([Sample.deposit(object: object)]) }
        try copyKeys(fixture.locations.keys, before)
        try fixture.whileOpen { _ = try $0.submit([Sample.erasure(of: [object])]) }
        removeTree(fixture.locations.keys)
        try copyKeys(before, fixture.locations.keys)
        #expect(try fixture.refusal { try fixture.open() }.code == .keysOlder)
    }

    /// What another ledger's keys or none are worth.
    @Test func keysThatDontBelongToTheStoreAreRefused() throws {
        let other = try LedgerFixture()
        removeTree(fixture.locations.keys)
        #expect(try fixture.refusal { try fixture.open() }.code == .keysMissing)
        try copyKeys(other.locations.keys, fixture.locations.keys)
        #expect(try fixture.refusal { try fixture.open() }.code == .badKeyring)
        let tree = fixture.directory + "/tree"
        try FileSystem.makeDirectory(tree)
        _ = try KeyTree.create(in: tree, master: fixture.keyring.masterKey(), suite: .aes)
        try copyKeys(tree, fixture.locations.keys)
        #expect(try fixture.refusal { try fixture.open() }.code == .keysOther)
    }

    /// Slots that were ready and not used are used by the next run; those of scopes never twice.
    @Test func noSlotIsGivenTwice() throws {
        var scopes: [StreamID] = []
        for _ in 0..<3 {
            try fixture.whileOpen { (ledger: Ledger) throws in
                for _ in 0..<20 {
                    let scope = StreamID(kind: .object, id: try Sample.id())
                    scopes.append(scope)
                    _ = try ledger.submit([Sample.deposit(object: scope)])
                }
            }
        }
        let slots = try fixture.read { transaction, schema in
            try scopes.map { scope in
                guard case .slot(let slot)? = try schema.scopeRow(of: scope, transaction, SHA256Hasher()) else {
                    throw Unexpected("\(scope) has no slot")
                }
                return slot
            }
        }
        #expect(slots == Array(0..<60))
        #expect(try fixture.read { try $1.nextSlot($0) } == 60)
        #expect(try fixture.audit().isClean)
    }
}
