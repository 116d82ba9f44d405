import Age
import Files
import Glibc
public import Ledger
import LedgerFormat
import Merkle
import OpenSSL

/// A document on its way into custody. What comes of it is encrypted and hashed in one pass, in constant memory; it is kept
/// once it is whole, durable and recorded, and else nothing is left of it.
///
/// Its calls come one after another; each may block.
public final class Deposit: @unchecked Sendable {
    // Sendable: its calls come one after another, with what orders memory in between.
    private enum Stage {
        case waiting
        /// Being received into a file of its own.
        case receiving(Receiving)
        /// The document is in custody already: what comes is only compared with it.
        case comparing(CustodyRecord)
        case over
    }

    private struct Receiving {
        let descriptor: Int32
        let writer: AgePayloadWriter
        let use: ObjectUse
        let ciphertext = RunningDigest.sha256()
        /// Bytes written to the file.
        var written: UInt64 = 0
        /// How many of them are on their way to the disk.
        var begun: UInt64 = 0
        /// When the disk was looked at last.
        var measured: UInt64 = 0
    }

    /// Bytes that are gathered before they are written.
    private static let gatheredBytes = 1 << 19
    /// Bytes after which it is looked whether the disk has room, and the kernel is asked to begin writing them out.
    private static let stepBytes: UInt64 = 16 << 20

    private let vault: Vault
    private let order: DepositOrder
    private var stage = Stage.waiting
    private var isClaimed = false
    private var size: UInt64 = 0
    private let sha256 = RunningDigest.sha256()
    private let sm3 = try? RunningDigest.sm3()
    private var gathered: [UInt8] = []

    init(_ vault: Vault, _ order: DepositOrder) {
        self.vault = vault
        self.order = order
    }

    deinit { abandon() }

    /// Takes the next bytes.
    ///
    /// - Throws: `LedgerError`; nothing is kept then.
    public func take(_ bytes: UnsafeRawBufferPointer) throws {
        do {
            if case .waiting = stage { try begin() }
            let limit = order.size ?? UInt64(vault.settings.objectBytes)
            guard UInt64(bytes.count) <= limit - min(limit, size) else { throw tooLong }
            size += UInt64(bytes.count)
            sha256.update(bytes)
            sm3?.update(bytes)
            guard case .receiving(let receiving) = stage else { return }
            try receiving.writer.write(bytes, to: &gathered)
            if gathered.count >= Deposit.gatheredBytes { try flush() }
        } catch {
            abandon()
            throw Deposit.explained(error)
        }
    }

    /// All bytes were taken: the document is kept, and that is recorded, once this returns.
    ///
    /// - Throws: `LedgerError`; nothing is kept then.
    public func finish() throws -> AppendOutcome {
        do {
            if case .waiting = stage { try begin() }
            let contents = DepositOrder.Contents(sha256: sha256.finish(), sm3: sm3?.finish(), size: size)
            if let declared = order.size, declared != size {
                throw LedgerError.invalidArgument(
                    field: "size",
                    rule: "must be that of the document: \(size) bytes came"
                )
            }
            if let claimed = order.sha256, claimed != contents.sha256 {
                throw LedgerError.invalidArgument(field: "sha256", rule: "must be that of the document that came")
            }
            let outcome: AppendOutcome
            switch stage {
            case .receiving: outcome = try keep(contents)
            case .comparing(let record): outcome = try repeated(contents, record)
            case .waiting, .over: throw LedgerError.stopping
            }
            end()
            return outcome
        } catch {
            abandon()
            throw Deposit.explained(error)
        }
    }

    /// Nothing more comes: nothing is kept.
    public func abandon() {
        if case .receiving(let receiving) = stage {
            do {
                try vault.directory.discard(order.object)
                // Others may get the key from now on; a daemon that stops gives out none.
                try? vault.ledger.releaseKey(of: order.scope)
            } catch {
                vault.log(
                    "what was received of a document may be left: \(Ledger.forLog(error)); the next start destroys it"
                )
            }
            vault.directory.end(receiving.use)
            close(receiving.descriptor)
        }
        end()
    }

    private func end() {
        stage = .over
        gathered = []
        if isClaimed { vault.unclaim(order.object) }
        isClaimed = false
    }

    private var tooLong: LedgerError {
        guard order.size == nil else {
            return .invalidArgument(field: "size", rule: "must be that of the document: more came")
        }
        return .tooLarge(what: "document", limit: vault.settings.objectBytes)
    }

    // MARK: Receiving

    private func begin() throws {
        try order.check()
        if let size = order.size, size > UInt64(vault.settings.objectBytes) {
            throw LedgerError.tooLarge(what: "document", limit: vault.settings.objectBytes)
        }
        try vault.claim(order.object)
        isClaimed = true
        if let record = try vault.record(of: order.object) {
            // Only who deposited it may say so once more; it is answered as the first time.
            guard record.deposit.request == order.request,
                record.deposit.submitter.utf8.elementsEqual(order.submitter.utf8)
            else { throw LedgerError.invalidArgument(field: "object", rule: "must be one that holds no document yet") }
            try vault.takeLeft(order.object, record)
            stage = .comparing(record)
            return
        }
        try requireRoom(order.size ?? 0)
        guard let dataKey = try vault.ledger.reserveKey(of: order.scope) else {
            throw Deposit.erased
        }
        let fileKey = try AgeFileKey.random()
        let stanza = try ObjectKey.wrap(fileKey, order.object, under: dataKey, vault.ledger.suite)
        let header = try AgeHeader([stanza], fileKey: fileKey)
        let use = ObjectUse(order.object)
        vault.directory.begin(use)
        gathered.reserveCapacity(Deposit.gatheredBytes + AgePayload.sealedChunkBytes)
        gathered = header.encoded
        do {
            stage = .receiving(
                Receiving(
                    descriptor: try vault.directory.create(order.object),
                    writer: try AgePayloadWriter(fileKey: fileKey, to: &gathered),
                    use: use
                )
            )
        } catch {
            vault.directory.end(use)
            try? vault.ledger.releaseKey(of: order.scope)
            throw error
        }
    }

    private static let erased = LedgerError.invalidArgument(field: "object", rule: "must be one that was not erased")

    private func requireRoom(_ bytes: UInt64) throws {
        let free = try vault.directory.freeBytes()
        guard free >= UInt64(vault.settings.reservedBytes) + bytes else {
            throw LedgerError.storeFull(reason: "the disk has no room for the document")
        }
    }

    /// Writes out what was gathered.
    private func flush() throws {
        guard case .receiving(var receiving) = stage else { return }
        // No entry of it is there whose claims could be called erased.
        guard !receiving.use.wasErased else { throw Deposit.erased }
        try FileSystem.write(
            gathered,
            to: receiving.descriptor,
            at: Int(receiving.written),
            name: "a file of a document"
        )
        gathered.withUnsafeBytes { receiving.ciphertext.update($0) }
        receiving.written += UInt64(gathered.count)
        gathered.removeAll(keepingCapacity: true)
        if receiving.written - receiving.measured >= Deposit.stepBytes {
            receiving.measured = receiving.written
            try requireRoom(0)
            // Else all of a large document waits for the one sync at its end, and whoever else syncs waits with it.
            let begun = Int(receiving.begun)
            FileSystem.beginWritingOut(receiving.descriptor, at: begun, count: Int(receiving.written) - begun)
            receiving.begun = receiving.written
        }
        stage = .receiving(receiving)
    }

    /// Makes the document durable, records it, and takes it into custody.
    private func keep(_ contents: DepositOrder.Contents) throws -> AppendOutcome {
        guard case .receiving(let begun) = stage else { throw LedgerError.stopping }
        try begun.writer.finish(to: &gathered)
        try flush()
        guard case .receiving(let receiving) = stage else { throw LedgerError.stopping }
        guard fsync(receiving.descriptor) == 0 else { throw SystemError("syncing a file of a document") }
        try vault.directory.complete(order.object)
        let ciphertext = CiphertextDigest(size: receiving.written, sha256: receiving.ciphertext.finish())
        let events = Submissions([try order.deposited(contents), try order.sealed(ciphertext)])
        let outcome = try vault.ledger.record(events, from: order.submitter)
        // What is recorded is not taken back: from here on a failure leaves the file to the next start.
        stage = .over
        close(receiving.descriptor)
        defer { vault.directory.end(receiving.use) }
        try vault.directory.place(order.object, for: receiving.use)
        try? vault.ledger.releaseKey(of: order.scope)
        return outcome
    }

    /// Answers the deposit of a document that is in custody already: it must be the same.
    private func repeated(_ contents: DepositOrder.Contents, _ record: CustodyRecord) throws -> AppendOutcome {
        let events = Submissions([try order.deposited(contents), try order.sealed(record.ciphertext)])
        return try vault.ledger.record(events, from: order.submitter)
    }

    /// Want of room is told as what it is.
    private static func explained(_ error: any Error) -> any Error {
        guard let error = error as? SystemError, error.isOutOfRoom else { return error }
        return LedgerError.storeFull(reason: "the disk has no room for the document")
    }
}

extension Vault {
    /// Begins to take a document into custody. Nothing is done before its first bytes come.
    public func deposit(_ order: DepositOrder) -> Deposit { Deposit(self, order) }
}
