import Age
import Files
import Glibc
import JSON
import Ledger
import LedgerFormat
import OpenSSL

/// A document in custody that is being given out, chunk by chunk: what was not shown to be as it was stored is not given out.
///
/// Its calls come one after another; each may block.
public final class Retrieval: @unchecked Sendable {
    // Sendable: its calls come one after another, with what orders memory in between.

    /// How many bytes are given out in all.
    public let count: UInt64
    /// The document's media type, as its deposit states it.
    public let mediaType: String
    /// The index of the entry that records that it was deposited.
    public let deposit: UInt64
    /// The index of the entry that records that it is given out.
    public let decryption: UInt64

    private let vault: Vault
    private let file: ObjectFile
    private let chunks: AgePayloadChunks
    private let use: ObjectUse
    /// The new header, until it is given out; nil where the document goes out in clear.
    private var header: [UInt8]?
    private let isReencrypted: Bool
    private var next: UInt64 = 0
    /// A chunk as it is stored, and one that is only opened to show that it can be. Kept from chunk to chunk.
    private var sealed: [UInt8] = []
    private var opened: [UInt8] = []

    fileprivate init(
        _ vault: Vault,
        _ file: ObjectFile,
        _ fileKey: AgeFileKey,
        _ use: ObjectUse,
        record: CustodyRecord,
        decryption: UInt64,
        recipient: RetrievalOrder.Recipient?
    ) throws {
        self.vault = vault
        self.file = file
        self.use = use
        self.decryption = decryption
        deposit = record.deposit.index
        mediaType = record.deposit.body["media_type"]?.string ?? "application/octet-stream"
        chunks = try AgePayloadChunks(fileKey: fileKey, nonce: file.nonce, payloadBytes: file.payloadBytes)
        isReencrypted = recipient != nil
        if let recipient {
            let header = try AgeHeader([recipient.key.wrap(fileKey)], fileKey: fileKey).encoded
            self.header = header + file.nonce
            count = UInt64(header.count) + file.payloadBytes
        } else {
            header = nil
            count = chunks.plaintextBytes
        }
    }

    deinit { end() }

    /// Appends the next piece; nothing once all is given out.
    ///
    /// - Throws: `LedgerError`: `.damaged` where the file is not what was stored, `.erasedClaims` where the object was erased
    ///   meanwhile.
    public func next(_ piece: inout [UInt8]) throws {
        try use.requireKept(deposit: deposit)
        if let header {
            piece += header
            self.header = nil
            return
        }
        guard next < chunks.count else { return }
        let range = chunks.payloadRange(of: next)
        do {
            try file.read(range, into: &sealed)
            if isReencrypted {
                opened.removeAll(keepingCapacity: true)
                try sealed.withUnsafeBytes { try chunks.open(next, $0, to: &opened) }
                piece += sealed
            } else {
                try sealed.withUnsafeBytes { try chunks.open(next, $0, to: &piece) }
            }
        } catch let error as AgePayloadError {
            throw LedgerError.damaged(index: deposit, what: "the document's file is not what was stored: \(error)")
        }
        next += 1
        try use.requireKept(deposit: deposit)
    }

    /// Nothing more is given out.
    public func end() { vault.directory.end(use) }

    /// Shows that no chunk was cut off behind the file, which only its last one can show.
    fileprivate func requireEnd() throws {
        let last = chunks.count - 1
        try file.read(chunks.payloadRange(of: last), into: &sealed)
        opened.removeAll(keepingCapacity: true)
        try sealed.withUnsafeBytes { try chunks.open(last, $0, to: &opened) }
    }
}

extension Vault {
    /// Records that a document is opened, and then opens it.
    ///
    /// - Throws: `LedgerError`: `.notFound` where it is not in custody, `.erasedClaims` where it was erased, `.damaged` where
    ///   its file is missing or not what was stored, `.invalidArgument`; and what recording throws. Nothing was opened then.
    public func retrieve(_ order: RetrievalOrder) throws -> Retrieval {
        try order.check()
        guard let record = try record(of: order.object) else {
            throw LedgerError.notFound(what: "a document in custody of this id")
        }
        let deposit = record.deposit.index
        let scope = StreamID(kind: .object, id: order.object)
        try requireLiving(scope, deposit)
        let use = ObjectUse(order.object)
        directory.begin(use)
        do {
            try takeLeft(order.object, record)
            let file = try ObjectFile(directory.file(of: order.object), record.ciphertext)
            try ObjectKey.stanza(of: file.header, order.object, ledger.suite)
            let opening = Submissions([try order.decrypted(deposit: deposit, ledger.freshRequest())])
            let decryption = try ledger.record(opening, from: order.submitter).receipts[0].index
            if let recipient = order.recipient {
                let request = try ledger.freshRequest()
                let event = try order.exported(to: recipient, deposit: deposit, decryption: decryption, request)
                _ = try ledger.record(Submissions([event]), from: order.submitter)
            }
            // Only now, for it is recorded.
            let dataKey = try requireLiving(scope, deposit)
            let retrieval = try Retrieval(
                self,
                file,
                ObjectKey.unwrap(file.header, order.object, under: dataKey, ledger.suite),
                use,
                record: record,
                decryption: decryption,
                recipient: order.recipient
            )
            try retrieval.requireEnd()
            return retrieval
        } catch {
            directory.end(use)
            throw Vault.explained(error, deposit: deposit)
        }
    }

    @discardableResult
    private func requireLiving(_ scope: StreamID, _ deposit: UInt64) throws -> CipherKey {
        switch try ledger.dataKey(of: scope) {
        case .living(let key): return key
        case .erased(let entry): throw LedgerError.erasedClaims(index: deposit, erasure: entry)
        case .none: throw LedgerError.damaged(index: deposit, what: "the object has no data key")
        }
    }

    /// Damage of an object's file as damage at its deposit.
    private static func explained(_ error: any Error, deposit: UInt64) -> any Error {
        switch error {
        case let damage as ObjectDamage:
            LedgerError.damaged(index: deposit, what: "the document's file is not what was stored: \(damage.what)")
        case let error as AgePayloadError:
            LedgerError.damaged(index: deposit, what: "the document's file is not what was stored: \(error)")
        default: error
        }
    }
}
