import JSON
import Ledger
import LedgerFormat
import Varlink

extension LedgerService {
    /// Reads the events, hands them to the writer, and answers once they are durable.
    ///
    /// - Parameter erasing: whether it is of the events that destroy keys; those and no others go that way.
    func append(_ call: VarlinkCall, _ principal: Principal, erasing: Bool) {
        let parameters: AppendParameters
        do throws(VarlinkError) {
            parameters = try AppendParameters(call.parameters, limit: settings.batchEvents)
            for (position, event) in parameters.events.events.enumerated() {
                let type = event.type
                guard !type.isReserved, erasing || principal.maySubmit(type.name) else {
                    throw LedgerErrors.permissionDenied("Append", type: type.name)
                }
                if type === Submissions.sealedType {
                    throw LedgerErrors.invalidEvent(position, "type", "is recorded by a deposit of the document alone")
                }
                if parameters.events.claimsCustody(event) {
                    throw LedgerErrors.invalidEvent(
                        position,
                        "body.custody",
                        "must not be kept: that is recorded by a deposit of the document alone"
                    )
                }
                guard type.isErasing == erasing else {
                    let rule =
                        erasing
                        ? "must be of a type that erases" : "is recorded by Erase alone, which destroys what it says"
                    throw LedgerErrors.invalidEvent(position, "type", rule)
                }
            }
        } catch {
            ledger.counters.countRefusal()
            return call.fail(error)
        }
        let underWay = begin()
        do {
            try ledger.append(parameters.events, from: principal.name, bytes: call.parameters.count) { [self] result in
                withExtendedLifetime(underWay) {
                    switch result {
                    case .success(let outcome) where parameters.proofs:
                        if outcome.receipts.count > LedgerService.promptProofs
                            || outcome.receipts.contains(where: \.duplicate)
                        {
                            call.perform { [self] in
                                withExtendedLifetime(underWay) { answerWithProofs(call, outcome) }
                            }
                        } else {
                            call.reply(isOneOfMany: true) { [self] () throws(VarlinkError) in
                                try receiptsWithProofs(outcome)
                            }
                        }
                    case .success(let outcome) where outcome.receipts.count > LedgerService.promptReceipts:
                        call.perform {
                            withExtendedLifetime(underWay) {
                                call.reply(LedgerReplies.receipts(outcome, proofs: nil), isOneOfMany: true)
                            }
                        }
                    case .success(let outcome):
                        call.reply(isOneOfMany: true) { LedgerReplies.receipts(outcome, proofs: nil) }
                    case .failure(let refusal):
                        conflictLog.note(refusal, of: principal.name)
                        call.fail(LedgerErrors.refusal(refusal), isOneOfMany: true)
                    }
                }
            }
        } catch {
            ledger.counters.countRefusal()
            fail(call, error)
        }
    }

    /// Up to so many proofs of new entries are made where the answer is written: their paths lie in pages just written,
    /// so no disk is waited for, and the way over a worker would cost more. Those of older entries may lie anywhere.
    private static let promptProofs = 8

    /// Up to so many receipts are written where the answer is; more would keep other connections waiting.
    private static let promptReceipts = 256

    private func answerWithProofs(_ call: VarlinkCall, _ outcome: AppendOutcome) {
        do throws(VarlinkError) {
            call.reply(try receiptsWithProofs(outcome), isOneOfMany: true)
        } catch {
            call.fail(error)
        }
    }

    private func receiptsWithProofs(_ outcome: AppendOutcome) throws(VarlinkError) -> [UInt8] {
        do {
            let proofs = try ledger.proofs(of: outcome.receipts.map(\.index), in: outcome.checkpoint)
            return LedgerReplies.receipts(outcome, proofs: proofs)
        } catch {
            log("Append was recorded, but its proofs failed: \(Ledger.forLog(error))")
            throw LedgerErrors.failure(error)
        }
    }
}

/// The parameters of Append, read straight from the message into typed events.
private struct AppendParameters {
    private(set) var events = Submissions()
    private(set) var proofs = false

    init(_ bytes: [UInt8], limit: Int) throws(VarlinkError) {
        var reader = JSONReader(bytes)
        var hasEvents = false
        var hasProofs = false
        do {
            try reader.beginObject()
            while let name = try reader.nextName() {
                let start = reader.position
                if reader.isName(name, "events") {
                    guard !hasEvents else { throw JSONError(.duplicateName, at: start) }
                    hasEvents = true
                    try reader.beginArray()
                    while try reader.nextElement() {
                        guard events.count < limit else { throw LedgerErrors.tooLarge("events", limit: limit) }
                        do throws(EventError) {
                            try events.append(reading: &reader)
                        } catch {
                            throw LedgerErrors.invalidEvent(events.count, error.field, error.rule)
                        }
                    }
                } else if reader.isName(name, "proofs") {
                    guard !hasProofs else { throw JSONError(.duplicateName, at: start) }
                    hasProofs = true
                    if try !reader.null() { proofs = try reader.bool() }
                } else {
                    throw LedgerErrors.invalidArgument("parameters", "must hold only events, proofs")
                }
            }
            try reader.finish()
        } catch let error as VarlinkError {
            throw error
        } catch {
            throw LedgerErrors.invalidArgument("parameters", "must be as declared: \(error)")
        }
        guard events.count > 0 else { throw LedgerErrors.invalidArgument("events", "must hold at least one event") }
    }
}

extension Submissions {
    // The types of the catalogue are there once each; every event is compared with these.
    fileprivate static let sealedType = EventCatalogue.type(named: "evidence.sealed")
    fileprivate static let depositedType = EventCatalogue.type(named: "evidence.deposited")

    /// Whether an event says that the daemon keeps the document.
    fileprivate func claimsCustody(_ event: Event) -> Bool {
        guard event.type === Submissions.depositedType else { return false }
        return members[event.body.members].contains { member in
            text[member.name].elementsEqual("custody".utf8) && text[member.value].elementsEqual("\"kept\"".utf8)
        }
    }
}
