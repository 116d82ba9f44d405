import Ledger
import Varlink
import Vault

/// Gives out the bytes of a document.
final class RetrievalSource: ByteSource {
    private let service: LedgerService
    private let retrieval: Retrieval
    private let underWay: CallInFlight

    init(_ service: LedgerService, _ retrieval: Retrieval) {
        self.service = service
        self.retrieval = retrieval
        underWay = service.begin()
    }

    var count: UInt64 { retrieval.count }

    func next(_ piece: inout [UInt8]) throws(VarlinkError) {
        let before = piece.count
        do {
            try retrieval.next(&piece)
        } catch {
            // Half a chunk is nothing to be given out.
            piece.removeLast(piece.count - before)
            retrieval.end()
            throw service.refused(error, "giving out a document")
        }
        if piece.count == before { retrieval.end() }
    }

    func abandon() { retrieval.end() }
}
