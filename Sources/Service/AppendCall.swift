import JSON
import Ledger
import LedgerFormat
import Varlink

extension LedgerService {
    /// Reads the events, hands them to the writer, and answers once they are durable.
    func append(_ call: VarlinkCall, _ principal: Principal) {
        let parameters: AppendParameters
        do throws(VarlinkError) {
            parameters = try AppendParameters(call.parameters, limit: settings.batchEvents)
            for submission in parameters.events {
                let type = submission.type
                guard !EventCatalogue.reservedDomains.contains(type.domain), principal.maySubmit(type.name) else {
                    throw LedgerErrors.permissionDenied("Append", type: type.name)
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
                        call.perform { [self] in withExtendedLifetime(underWay) { answerWithProofs(call, outcome) } }
                    case .success(let outcome):
                        call.reply(isOneOfMany: true) { LedgerReplies.receipts(outcome, proofs: nil) }
                    case .failure(let refusal): call.fail(LedgerErrors.refusal(refusal), isOneOfMany: true)
                    }
                }
            }
        } catch {
            ledger.counters.countRefusal()
            call.fail(LedgerErrors.refusal(error))
        }
    }

    private func answerWithProofs(_ call: VarlinkCall, _ outcome: AppendOutcome) {
        do {
            let proofs = try ledger.proofs(of: outcome.receipts.map(\.index), in: outcome.checkpoint)
            call.reply { LedgerReplies.receipts(outcome, proofs: proofs.map(\.encoded)) }
        } catch {
            fail(call, error)
        }
    }
}

/// The parameters of Append, read straight from the message into typed events.
private struct AppendParameters {
    private(set) var events: [Submission] = []
    private(set) var proofs = false

    init(_ bytes: [UInt8], limit: Int) throws(VarlinkError) {
        var reader = JSONReader(bytes)
        var refusal: VarlinkError?
        do throws(JSONError) {
            try reader.object { (name, reader) throws(JSONError) in
                switch name {
                case "events":
                    try reader.array { (reader) throws(JSONError) in
                        guard events.count < limit else {
                            refusal = LedgerErrors.tooLarge("events", limit: limit)
                            throw JSONError(.wrongType, at: reader.position)
                        }
                        do throws(EventError) {
                            events.append(try Submission(reading: &reader))
                        } catch {
                            refusal = LedgerErrors.invalidEvent(events.count, error.field, error.rule)
                            throw JSONError(.wrongType, at: reader.position)
                        }
                    }
                case "proofs":
                    if try !reader.null() { proofs = try reader.bool() }
                default:
                    refusal = LedgerErrors.invalidArgument("parameters", "must hold only events, proofs")
                    throw JSONError(.wrongType, at: reader.position)
                }
            }
            try reader.finish()
        } catch {
            throw refusal ?? LedgerErrors.invalidArgument("parameters", "must be as declared: \(error)")
        }
        guard !events.isEmpty else { throw LedgerErrors.invalidArgument("events", "must hold at least one event") }
    }
}
