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
    private let method: String

    /// - Parameter method: Append, or Erase for events that destroy keys.
    init(connection: Connection, proofs: ProofDirectory?, series: RequestSeries, method: String = "Append") {
        self.method = method
        self.connection = connection
        self.proofs = proofs
        self.series = series
    }

    /// Records the events. A receipt is handed on even where its proof can't be written, which is said on standard error.
    ///
    /// - Parameters:
    ///   - name: gives the name the proof of an event shall have, by its place.
    ///   - report: gets the place of each event, its receipt and the path of its proof, in order.
    /// - Throws: `Failure` with status 74 where proofs are missing at the end.
    func record(
        _ events: [JSONValue],
        name: (Int, Receipt) -> [UInt8],
        report: (Int, Receipt, FilePath?) -> Void
    ) throws {
        try requireReader()
        var unwritten = 0
        do {
            try connection.append(events, by: method, proofs: proofs != nil) { position, receipt in
                if try !handOn(position, receipt, name, report) { unwritten += 1 }
            }
        } catch {
            throw advised(error)
        }
        try requireProofs(of: events.count, unwritten)
    }

    /// The same for what is recorded one by one.
    ///
    /// - Parameter recordOne: records what is at a place, and gives its receipt.
    func record(
        _ count: Int,
        _ recordOne: (Int) throws -> Receipt,
        name: (Int, Receipt) -> [UInt8],
        report: (Int, Receipt, FilePath?) -> Void
    ) throws {
        try requireReader()
        var unwritten = 0
        for position in 0..<count {
            let receipt: Receipt
            do {
                receipt = try recordOne(position)
            } catch {
                throw advised(error)
            }
            if try !handOn(position, receipt, name, report) { unwritten += 1 }
        }
        try requireProofs(of: count, unwritten)
    }

    /// Who may not read entries gets no proof to keep, and hears it before anything is recorded.
    private func requireReader() throws {
        if proofs != nil { _ = try connection.entry(0) }
    }

    /// Writes the proof of a receipt, where one is wanted, and hands the receipt on.
    ///
    /// - Returns: whether it could be written.
    private func handOn(
        _ position: Int,
        _ receipt: Receipt,
        _ name: (Int, Receipt) -> [UInt8],
        _ report: (Int, Receipt, FilePath?) -> Void
    ) throws -> Bool {
        var written: FilePath?
        defer { report(position, receipt, written) }
        do {
            written = try proofs?.save(receipt, name: name(position, receipt), connection: connection)
            return true
        } catch {
            guard let failure = Failure(explaining: error) else { throw error }
            Terminal.complain("entry \(receipt.index) is recorded, but its proof is not written: \(failure.message)")
            return false
        }
    }

    private func requireProofs(of count: Int, _ unwritten: Int) throws {
        guard unwritten == 0 else {
            throw Failure(
                .outputFailed,
                "all \(count) events are recorded, but \(unwritten) proofs are not written: "
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
