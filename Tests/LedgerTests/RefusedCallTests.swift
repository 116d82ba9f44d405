import Glibc
import JSON
import LedgerFormat
import Testing

@testable import Ledger

/// Calls that are refused half-way, in one commit with others that are accepted.
@Suite struct RefusedCallTests {
    /// Has the writer take all of these calls into one batch.
    private func inOneBatch(
        _ ledger: Ledger,
        _ calls: [[Submission]]
    ) throws -> [Result<AppendOutcome, LedgerError>] {
        // The writer waits in the answer to a call until the others are queued.
        let gate = Gate()
        let first = Answer()
        try ledger.append(Submissions([Sample.deposit()]), from: "shop", bytes: 400) { result in
            gate.pass()
            first.give(result)
        }
        let answers = calls.map { _ in Answer() }
        for (call, answer) in zip(calls, answers) {
            try ledger.append(Submissions(call), from: "shop", bytes: 400 * call.count) { answer.give($0) }
        }
        gate.open()
        _ = try first.wait()
        return try answers.map { try $0.result() }
    }

    /// What makes a call fail whose first event is valid.
    enum Failure: CaseIterable, Sendable {
        /// A request key that was recorded before.
        case conflict
        /// The request key of the event before it.
        case contradictsItself
    }

    @Test(arguments: Failure.allCases)
    func nothingOfARefusedCallStays(_ failure: Failure) throws {
        let fixture = try LedgerFixture()
        let (object, other) = (try newObject(), try newObject())
        let valid = try Sample.deposit(object: object)
        let size = try fixture.whileOpen { ledger in
            let request = try Sample.request()
            _ = try ledger.submit([Sample.deposit(request: request)])
            let conflicting = try Sample.deposit(request: failure == .conflict ? request : valid.request)
            let accepted = try Sample.deposit(object: other)
            let before = ledger.checkpoint.size
            let results = try inOneBatch(ledger, [[valid, conflicting], [accepted], [valid, conflicting]])
            switch failure {
            case .conflict: #expect(results[0].failure == .requestConflict(event: 1, index: before - 1))
            case .contradictsItself: #expect(results[0].failure?.isInvalidEvent == true)
            }
            #expect(results[2].failure == results[0].failure)
            let outcome = try results[1].get()
            // One commit: the accepted call alone is in it, behind the one the writer waited in.
            #expect(outcome.receipts.map(\.index) == [before + 1] && outcome.checkpoint.size == before + 2)
            #expect(try ledger.open(outcome.receipts[0].index, names: nil).count == 2)
            #expect(ledger.acceptsAppends)
            return ledger.checkpoint.size
        }
        let report = try fixture.audit()
        #expect(report.findings == [] && report.size == size + 1)

        // The object is as new as before: it begins with number 0, and its claims are sealed and opened.
        try fixture.whileOpen { ledger in
            let receipt = try ledger.submit([valid]).receipts[0]
            #expect(!receipt.duplicate)
            #expect(try Entry(ledger.entry(at: receipt.index).bytes).streams.map(\.number) == [0])
            #expect(try ledger.open(receipt.index, names: nil).count == 2)
        }
        try fixture.whileOpen { ledger in
            let again = try ledger.submit([valid]).receipts[0]
            #expect(again.duplicate)
            #expect(try ledger.open(again.index, names: nil).count == 2)
        }
        #expect(try fixture.audit().findings == [])
    }

    /// A refused call and one that uses what it asked for, in one batch: the second must not see anything of the first.
    @Test func theNextCallOfTheBatchMayUseTheObject() throws {
        let fixture = try LedgerFixture()
        let object = try newObject()
        let request = try Sample.request()
        let valid = try Sample.deposit(object: object)
        let index = try fixture.whileOpen { ledger in
            _ = try ledger.submit([Sample.deposit(request: request)])
            let conflicting = try Sample.deposit(request: request)
            let more = try Sample.deposit(object: object, fileName: "more.pdf")
            let results = try inOneBatch(
                ledger,
                [[valid, conflicting], [valid, more], [Sample.deposit(object: object), conflicting], [valid]]
            )
            let accepted = try results[1].get().receipts
            #expect(results[0].failure != nil && results[2].failure != nil)
            #expect(accepted.map(\.duplicate) == [false, false])
            let duplicate = try results[3].get().receipts[0]
            #expect(duplicate.duplicate && duplicate.index == accepted[0].index)
            for (number, receipt) in accepted.enumerated() {
                let entry = try Entry(ledger.entry(at: receipt.index).bytes)
                #expect(entry.streams.map(\.number) == [Int64(number)])
                #expect(try ledger.open(receipt.index, names: nil).count == 2)
            }
            return accepted[1].index
        }
        try fixture.whileOpen { ledger throws in
            #expect(try ledger.open(index, names: ["file_name"]).map(\.value) == [.string("more.pdf")])
        }
        #expect(try fixture.audit().findings == [])
    }

    /// The same where the object has claims already: their data key must stay.
    @Test func theDataKeyOfAKnownObjectStays() throws {
        let fixture = try LedgerFixture()
        let object = try newObject()
        let request = try Sample.request()
        try fixture.whileOpen { ledger in
            let first = try ledger.submit([Sample.deposit(object: object), Sample.deposit(request: request)]).receipts[
                0
            ]
            let results = try inOneBatch(
                ledger,
                [[Sample.deposit(object: object), Sample.deposit(request: request)], [Sample.deposit(object: object)]]
            )
            #expect(results[0].failure != nil)
            let receipt = try results[1].get().receipts[0]
            #expect(try Entry(ledger.entry(at: receipt.index).bytes).streams.map(\.number) == [1])
            for index in [first.index, receipt.index] { #expect(try ledger.open(index, names: nil).count == 2) }
        }
        #expect(try fixture.audit().findings == [])
    }

    private func newObject() throws -> StreamID { StreamID(kind: .object, id: try Sample.id()) }
}

/// Lets one thread wait until another opens it.
private final class Gate: @unchecked Sendable {
    // Sendable: a semaphore is made for it.
    private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

    init() { sem_init(semaphore, 0, 0) }

    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }

    func open() { sem_post(semaphore) }

    func pass() { while sem_wait(semaphore) != 0 {} }
}

extension Result where Failure == LedgerError {
    fileprivate var failure: LedgerError? {
        if case .failure(let error) = self { error } else { nil }
    }
}

extension LedgerError {
    fileprivate var isInvalidEvent: Bool {
        if case .invalidEvent = self { true } else { false }
    }
}
