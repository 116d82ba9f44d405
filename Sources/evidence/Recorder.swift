import JSON
import LedgerFormat
import Paths

/// Records events for a command: hands on every receipt, writes proofs beside, and says what to do where it was cut off.
struct Recorder {
    let connection: Connection
    /// Where proofs go, if anywhere.
    let proofs: ProofDirectory?
    /// What the request keys were made of.
    let series: RequestSeries
    private var unwritten = 0

    init(connection: Connection, proofs: ProofDirectory?, series: RequestSeries) {
        self.connection = connection
        self.proofs = proofs
        self.series = series
    }

    /// Records the events. A receipt is handed on even where its proof can't be written, which is said on standard error.
    ///
    /// - Parameters:
    ///   - report: gets the place of each event and its receipt, in order, and gives the name its proof shall have.
    ///   - written: gets the place of an event and the path of its proof.
    /// - Throws: `Failure` with status 74 where proofs are missing at the end.
    mutating func record(
        _ events: [JSONValue],
        report: (Int, Receipt) throws -> [UInt8],
        written: (Int, FilePath) -> Void = { _, _ in }
    ) throws {
        // Who may not read entries gets no proof to keep, and hears it before anything is recorded.
        if proofs != nil { _ = try connection.entry(0) }
        do {
            try connection.append(events, proofs: proofs != nil) { position, receipt in
                let name = try report(position, receipt)
                guard let proofs else { return }
                do {
                    written(position, try proofs.save(receipt, name: name, connection: connection))
                } catch {
                    guard let failure = Failure(explaining: error) else { throw error }
                    unwritten += 1
                    Terminal.complain(
                        "entry \(receipt.index) is recorded, but its proof is not written: \(failure.message)"
                    )
                }
            }
        } catch {
            throw advised(error)
        }
        guard unwritten == 0 else {
            throw Failure(
                .outputFailed,
                "all \(events.count) events are recorded, but \(unwritten) proofs are not written: "
                    + "get them with evidence prove INDEX -o FILE --entry-out FILE"
            )
        }
    }

    /// Where the answer stayed lost, or the daemon can't take more now, the same events can be sent again.
    private func advised(_ error: any Error) -> any Error {
        guard let failure = Failure(explaining: error), [.unreachable, .busy].contains(failure.status) else {
            return error
        }
        return Failure(
            failure.status,
            "\(failure.message); run the same again with --request \(series.key): nothing is recorded twice"
        )
    }
}
