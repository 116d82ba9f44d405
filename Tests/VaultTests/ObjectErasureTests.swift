import Files
import Glibc
import Ledger
import LedgerFormat
import Testing

@testable import Vault

/// Erasing objects, and deposits that are cut off.
@Suite struct ObjectErasureTests {
    private let fixture: VaultFixture

    init() throws { fixture = try VaultFixture() }

    @Test func anErasedDocumentIsGone() throws {
        let (order, other) = (try Sample.order(), try Sample.order())
        try fixture.whileOpen { (vault: Vault) throws in
            let deposit = try vault.keep(Sample.document(100_000), order).receipts[0].index
            try vault.keep([1], other)
            let erasure = try vault.ledger.record(
                Submissions([try Sample.erasure(of: [StreamID(kind: .object, id: order.object)])]),
                from: "desk"
            ).receipts[0].index
            #expect(fixture.files().map { $0.suffix(36) } == ["\(other.object).age"].map { $0[...] })
            #expect(throws: LedgerError.erasedClaims(index: deposit, erasure: erasure)) {
                try vault.read(Sample.retrieval(order.object))
            }
            #expect(try vault.read(Sample.retrieval(other.object)) == [1])
            // The same object can't come back.
            #expect(throws: LedgerError.self) { try vault.keep([1], Sample.order(order.object)) }
        }
    }

    /// A copy of the file, as of a backup, opens to nobody.
    @Test func aCopyOfAnErasedFileDoesNotOpen() throws {
        let order = try Sample.order()
        try fixture.whileOpen { (vault: Vault) throws in
            try vault.keep([1, 2, 3], order)
            let path = vault.directory.file(of: order.object)
            let copy = try FileSystem.read(path, limit: 1 << 20)
            _ = try vault.ledger.record(
                Submissions([try Sample.erasure(of: [StreamID(kind: .object, id: order.object)])]),
                from: "desk"
            )
            try VaultFixture.write(copy, path)
            #expect(throws: LedgerError.self) { try vault.read(Sample.retrieval(order.object)) }
        }
    }

    @Test func whoReadsOrWritesAnErasedDocumentGetsNoFurther() throws {
        let (order, arriving) = (try Sample.order(), try Sample.order())
        let document = Sample.document(300_000)
        try fixture.whileOpen { (vault: Vault) throws in
            try vault.keep(document, order)
            let retrieval = try vault.retrieve(Sample.retrieval(order.object))
            var piece: [UInt8] = []
            try retrieval.next(&piece)
            #expect(document.starts(with: piece) && !piece.isEmpty)
            let deposit = vault.deposit(arriving)
            try document.withUnsafeBytes { try deposit.take($0) }
            let scopes = [order, arriving].map { StreamID(kind: .object, id: $0.object) }
            _ = try vault.ledger.record(Submissions([try Sample.erasure(of: scopes)]), from: "desk")
            piece = []
            #expect(throws: LedgerError.self) { try retrieval.next(&piece) }
            #expect(piece.isEmpty)
            #expect(throws: LedgerError.invalidArgument(field: "object", rule: "must be one that was not erased")) {
                try deposit.finish()
            }
            #expect(fixture.files() == [])
            #expect(try vault.types(of: arriving.object) == [])
        }
    }

    /// What a crash leaves at each step of a deposit, and what the next start makes of it.
    @Test func aDepositThatWasCutOffIsKeptOrGone() throws {
        let order = try Sample.order()
        let recorded = try fixture.whileOpen { (vault: Vault) throws in
            try vault.keep([1, 2, 3], order)
            return vault.directory.file(of: order.object)
        }
        let directory = try ObjectDirectory(path: fixture.objects)
        let good = try FileSystem.read(recorded, limit: 1 << 20)
        // Recorded, and not in its place yet.
        #expect(rename(recorded, directory.arrived(order.object)) == 0)
        // Never recorded: whole, or being received.
        let others = [try Sample.id(), try Sample.id()]
        try VaultFixture.write(good, directory.arrived(others[0]))
        try VaultFixture.write(Array(good[..<50]), directory.arriving(others[1]))
        try fixture.whileOpen { (vault: Vault) throws in
            #expect(fixture.files().count == 1)
            #expect(try vault.read(Sample.retrieval(order.object)) == [1, 2, 3])
        }
        // Another's bytes under the name of what is recorded are not taken for it.
        try VaultFixture.write(good + [0], directory.arrived(order.object))
        try fixture.whileOpen { (vault: Vault) throws in
            #expect(try vault.read(Sample.retrieval(order.object)) == [1, 2, 3])
            #expect(fixture.files().count == 1)
        }
    }

    @Test func aFileThatDidNotGetToItsPlaceIsFoundAllTheSame() throws {
        try fixture.whileOpen { (vault: Vault) throws in
            let order = try Sample.order()
            try vault.keep([1, 2, 3], order)
            let (place, arrived) = (vault.directory.file(of: order.object), vault.directory.arrived(order.object))
            #expect(rename(place, arrived) == 0)
            #expect(try vault.read(Sample.retrieval(order.object)) == [1, 2, 3])
            #expect(rename(place, arrived) == 0)
            #expect(try vault.keep([1, 2, 3], order).receipts.allSatisfy { $0.duplicate })
            #expect(FileSystem.exists(place) && !FileSystem.exists(arrived))
        }
    }

    /// The key of a deposit that was abandoned may be another's; the one of a deposit that was recorded is nobody else's.
    @Test func keysAreGivenOnce() throws {
        try fixture.whileOpen { (vault: Vault) throws in
            var orders: [DepositOrder] = []
            for number in 0..<40 {
                let order = try Sample.order()
                let deposit = vault.deposit(order)
                try Sample.document(10).withUnsafeBytes { try deposit.take($0) }
                // Somebody else's scopes get theirs meanwhile.
                let other = try Sample.order()
                try vault.keep([UInt8(number)], other)
                orders.append(other)
                if number % 3 == 0 {
                    deposit.abandon()
                } else {
                    _ = try deposit.finish()
                    orders.append(order)
                }
            }
            for order in orders { _ = try vault.read(Sample.retrieval(order.object)) }
        }
        let report = try LedgerAudit.run(at: fixture.locations, keyring: fixture.keyring, progress: { _, _ in })
        #expect(report.isClean)
    }
}
