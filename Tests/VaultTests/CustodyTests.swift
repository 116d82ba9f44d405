import Age
import Files
import Glibc
import JSON
import Ledger
import LedgerFormat
import Merkle
import OpenSSL
import Testing

@testable import Vault

/// Documents that are deposited, kept and given out.
@Suite struct CustodyTests {
    private let fixture: VaultFixture

    init() throws { fixture = try VaultFixture() }

    /// Lengths around the borders of age's chunks, and none at all.
    @Test(arguments: [0, 1, 65_535, 65_536, 65_537, 131_072, 1_000_003])
    func whatIsDepositedIsGivenOut(_ count: Int) throws {
        let document = Sample.document(count)
        try fixture.whileOpen { (vault: Vault) throws in
            let order = try Sample.order()
            let outcome = try vault.keep(document, order)
            #expect(outcome.receipts.count == 2)
            #expect(try vault.types(of: order.object) == ["evidence.deposited", "evidence.sealed"])
            #expect(try vault.read(Sample.retrieval(order.object)) == document)
            #expect(try vault.types(of: order.object).last == "evidence.decrypted")
            #expect(fixture.files() == ["\(order.object.description.suffix(2))/\(order.object).age"])
        }
        let sealed = try FileSystem.read(fixture.objects + "/" + fixture.files()[0], limit: 1 << 30)
        #expect(sealed.starts(with: "age-encryption.org/v1\n-> evidenced.org/object ".utf8))
        if count > 100 { #expect(!sealed.containsRun(of: document[..<16])) }
    }

    @Test func theDaemonTakesDigestsAndSizeItself() throws {
        let document = Array("An example contract.\n".utf8)
        try fixture.whileOpen { (vault: Vault) throws in
            var order = try Sample.order()
            // sha256sum of the document, as the worked example of ledger-format.md has it.
            order.sha256 = Digest(hex: "be0a9afdb1e6c77d4fe69e8b234b60d48917f5e8cf3d00859c0acc2c96e0c596")
            let index = try vault.keep(document, order).receipts[0].index
            let openings = try vault.ledger.open(index, names: nil)
            func value(_ name: String) -> JSONValue? { openings.first { $0.name == name }?.value }
            #expect(value("sha256")?.string == order.sha256?.hex && value("claimed_sha256") == value("sha256"))
            #expect(value("size") == .int(21))
            #expect((value("sm3") != nil) == RunningDigest.hasSM3)
            #expect(try Entry(vault.ledger.entry(at: index).bytes).body["custody"]?.string == "kept")
        }
    }

    @Test func aDocumentThatIsNotWhatIsClaimedIsNotKept() throws {
        let document = Sample.document(200_000)
        try fixture.whileOpen { (vault: Vault) throws in
            var other = try Sample.order()
            other.sha256 = .zero
            #expect(
                throws: LedgerError.invalidArgument(field: "sha256", rule: "must be that of the document that came")
            ) {
                try vault.keep(document, other)
            }
            var short = try Sample.order()
            short.size = 200_001
            #expect(throws: LedgerError.self) { try vault.keep(document, short) }
            var long = try Sample.order()
            long.size = 199_999
            #expect(throws: LedgerError.self) { try vault.keep(document, long) }
            for order in [other, short, long] { #expect(try vault.types(of: order.object) == []) }
            #expect(fixture.files() == [])
        }
    }

    @Test func whatTheDaemonSaysOthersDoNot() throws {
        try fixture.whileOpen { (vault: Vault) throws in
            for name in ["sha256", "sm3", "size", "claimed_sha256"] {
                var order = try Sample.order()
                order.claims = [
                    (StreamID(kind: .object, id: order.object), [JSONMember(name: name, value: .string("x"))])
                ]
                #expect(throws: LedgerError.self, "\(name)") { try order.check() }
            }
            var order = try Sample.order()
            order.body.append(JSONMember(name: "custody", value: .string("kept")))
            #expect(throws: LedgerError.self) { try order.check() }
            order = try Sample.order()
            order.streams = [StreamID(kind: .object, id: try Sample.id())]
            #expect(throws: LedgerError.self) { try order.check() }
            order = try Sample.order()
            order.body.removeFirst()
            #expect(throws: LedgerError.invalidEvent(event: 0, field: "body.channel", rule: "must be given")) {
                try order.check()
            }
        }
    }

    @Test func anAbandonedDocumentLeavesNothing() throws {
        try fixture.whileOpen { (vault: Vault) throws in
            let order = try Sample.order()
            let deposit = vault.deposit(order)
            try Sample.document(3 << 20).withUnsafeBytes { try deposit.take($0) }
            #expect(fixture.files() == ["incoming/\(order.object).part"])
            #expect(throws: LedgerError.busy) { try vault.keep([1], order) }
            deposit.abandon()
            #expect(fixture.files() == [])
            #expect(try vault.types(of: order.object) == [])
            // The object is free again.
            try vault.keep([1], order)
            #expect(try vault.read(Sample.retrieval(order.object)) == [1])
        }
    }

    @Test func theSameDepositAgainIsAnsweredAsTheFirstTime() throws {
        let document = Sample.document(100_000)
        try fixture.whileOpen { (vault: Vault) throws in
            let order = try Sample.order()
            let first = try vault.keep(document, order)
            let again = try vault.keep(document, order)
            #expect(again.receipts.map(\.index) == first.receipts.map(\.index))
            #expect(again.receipts.allSatisfy { $0.duplicate })
            #expect(throws: LedgerError.requestConflict(event: 0, index: first.receipts[0].index)) {
                try vault.keep(Sample.document(99_999), order)
            }
            let other = try Sample.order(order.object)
            #expect(
                throws: LedgerError.invalidArgument(field: "object", rule: "must be one that holds no document yet")
            ) {
                try vault.keep(document, other)
            }
            #expect(try vault.read(Sample.retrieval(order.object)) == document)
            #expect(fixture.files().count == 1)
        }
    }

    @Test func aLimitOfSizeAndWantOfRoomAreSaid() throws {
        fixture.settings.objectBytes = 1_000
        try fixture.whileOpen { (vault: Vault) throws in
            #expect(throws: LedgerError.tooLarge(what: "document", limit: 1_000)) {
                try vault.keep(Sample.document(1_001), Sample.order())
            }
            try vault.keep(Sample.document(1_000), Sample.order())
        }
        fixture.settings.reservedBytes = Int.max / 2
        try fixture.whileOpen { (vault: Vault) throws in
            #expect(throws: LedgerError.storeFull(reason: "the disk has no room for the document")) {
                try vault.keep([1], Sample.order())
            }
        }
    }

    @Test func purposesHaveTheirRules() throws {
        try fixture.whileOpen { (vault: Vault) throws in
            let order = try Sample.order()
            try vault.keep([1, 2, 3], order)
            let staff = StreamID(kind: .staff, id: try Sample.id())
            func attempt(_ purpose: RetrievalPurpose, approver: ID128? = nil, court: UInt64? = nil) throws -> [UInt8] {
                var retrieval = Sample.retrieval(order.object, purpose)
                retrieval.actor = .party(staff)
                retrieval.approver = approver
                retrieval.order = court
                return try vault.read(retrieval)
            }
            #expect(throws: LedgerError.self) { try attempt(.issuance) }
            #expect(throws: LedgerError.self) { try attempt(.issuance, approver: staff.id) }
            #expect(throws: LedgerError.self) { try attempt(.courtOrder, approver: Sample.id()) }
            #expect(try vault.types(of: order.object) == ["evidence.deposited", "evidence.sealed"])
            #expect(try attempt(.issuance, approver: Sample.id()) == [1, 2, 3])
            #expect(try attempt(.courtOrder, approver: Sample.id(), court: 0) == [1, 2, 3])
            #expect(try attempt(.integrityCheck) == [1, 2, 3])
            #expect(try vault.types(of: order.object).count == 5)
        }
    }

    @Test func aRecipientOpensWhatItWasGivenByItsOwnKey() throws {
        let document = Sample.document(300_000)
        let identity = try AgeIdentity.random()
        try fixture.whileOpen { (vault: Vault) throws in
            let order = try Sample.order()
            try vault.keep(document, order)
            var retrieval = Sample.retrieval(order.object)
            retrieval.recipient = .init(id: try Sample.id(), key: identity.recipient, issuance: nil)
            let given = try vault.read(retrieval)
            let header = try #require(try AgeHeader.read(of: given))
            let fileKey = try #require(try identity.fileKey(of: header))
            try header.check(fileKey)
            let reader = AgePayloadReader(fileKey: fileKey)
            var opened: [UInt8] = []
            try given[header.encoded.count...].withUnsafeBytes { try reader.read($0, to: &opened) }
            try reader.finish(to: &opened)
            #expect(opened == document)
            // The payload is the very bytes that are kept.
            let kept = try FileSystem.read(fixture.objects + "/" + fixture.files()[0], limit: 1 << 30)
            #expect(kept.suffix(given.count - header.encoded.count).elementsEqual(given[header.encoded.count...]))
            #expect(try vault.types(of: order.object).suffix(2) == ["evidence.decrypted", "evidence.exported"])
        }
    }

    /// Every flipped bit of the header, and one of each chunk: never a wrong byte, and it is named.
    @Test func aFileThatWasChangedIsNotGivenOut() throws {
        let document = Sample.document(140_000)
        let order = try Sample.order()
        _ = try fixture.whileOpen { try $0.keep(document, order) }
        let path = fixture.objects + "/" + fixture.files()[0]
        let good = try FileSystem.read(path, limit: 1 << 30)
        let header = try #require(try AgeHeader.read(of: good)).encoded.count
        try fixture.whileOpen { (vault: Vault) throws in
            func attempt(_ bytes: [UInt8], _ what: String) throws {
                try VaultFixture.write(bytes, path)
                var given: [UInt8] = []
                #expect(throws: LedgerError.self, "\(what)") {
                    let retrieval = try vault.retrieve(Sample.retrieval(order.object))
                    defer { retrieval.end() }
                    while true {
                        let before = given.count
                        try retrieval.next(&given)
                        if given.count == before { break }
                    }
                }
                #expect(document.starts(with: given), "\(what)")
            }
            let places = Array(stride(from: 0, to: header, by: 3)) + stride(from: header, to: good.count, by: 19_973)
            for place in places {
                var bad = good
                bad[place] ^= 1 << UInt8(place % 8)
                try attempt(bad, "a bit of byte \(place)")
            }
            for count in [0, 1, header - 1, header, header + 16, good.count - 1] {
                try attempt(Array(good[..<count]), "\(count) bytes")
            }
            try attempt(good + [0], "a byte more")
            let chunk = AgePayload.sealedChunkBytes
            let first = header + AgePayload.nonceBytes
            try attempt(
                Array(
                    good[..<first] + good[first + chunk..<first + 2 * chunk] + good[first..<first + chunk]
                        + good[(first + 2 * chunk)...]
                ),
                "two chunks exchanged"
            )
            try VaultFixture.write(good, path)
            #expect(try vault.read(Sample.retrieval(order.object)) == document)
            unlink(path)
            #expect(throws: LedgerError.self) { try vault.read(Sample.retrieval(order.object)) }
        }
    }

    @Test func theFilesOfTwoObjectsCanNotTakeEachOthersPlace() throws {
        let orders = [try Sample.order(), try Sample.order()]
        try fixture.whileOpen { (vault: Vault) throws in
            for order in orders { try vault.keep(Sample.document(1_000), order) }
            let paths = orders.map { vault.directory.file(of: $0.object) }
            let files = try paths.map { try FileSystem.read($0, limit: 1 << 20) }
            #expect(files[0].count == files[1].count)
            try VaultFixture.write(files[1], paths[0])
            #expect(throws: LedgerError.self) { try vault.read(Sample.retrieval(orders[0].object)) }
            #expect(try vault.read(Sample.retrieval(orders[1].object)) == Sample.document(1_000))
        }
    }

    @Test func whatIsNotInCustodyIsNotFound() throws {
        try fixture.whileOpen { (vault: Vault) throws in
            #expect(throws: LedgerError.notFound(what: "a document in custody of this id")) {
                try vault.read(Sample.retrieval(Sample.id()))
            }
        }
    }
}

extension [UInt8] {
    func containsRun(of run: some Collection<UInt8>) -> Bool {
        let run = Array(run)
        return indices.contains { self[$0...].starts(with: run) }
    }
}
