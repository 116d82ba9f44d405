import Files
import Ledger
public import LedgerFormat
import Merkle
import OpenSSL

/// Compares the files of documents in custody with what was recorded of them. It needs no key.
///
/// Its calls come one after another; each may block.
public final class CustodyCheck: @unchecked Sendable {
    // Sendable: its calls come one after another, with what orders memory in between.

    /// How far it is.
    public struct Progress: Sendable {
        /// Documents whose files were read.
        public var checked = 0
        /// The entry it has come to.
        public var at: UInt64 = 0
        /// How many entries there are.
        public var of: UInt64 = 0
        /// Documents whose files are missing, or not what was recorded.
        public var unsound: [ID128] = []
        /// Documents that were erased, whose files are there all the same.
        public var erasedLeft: [ID128] = []
    }

    private static let pageEntries = 64
    private let vault: Vault
    /// About one in so many is read.
    private let sample: UInt64
    private var next: UInt64? = 0
    public private(set) var progress = Progress()

    init(_ vault: Vault, sample: UInt64) {
        self.vault = vault
        self.sample = sample
    }

    /// Goes on by some documents.
    ///
    /// - Returns: false where there are no more.
    /// - Throws: `LedgerError`, `StoreDamage`.
    public func goOn() throws -> Bool {
        guard let from = next else { return false }
        let filter = EntryFilter(type: "evidence.sealed")
        let page = try vault.ledger.list(filter, from: from, limit: CustodyCheck.pageEntries, reverse: false)
        for stored in page.entries {
            let entry = try Entry(stored.bytes)
            for stream in entry.streams.map(\.stream) where stream.kind == .object { try check(stream) }
        }
        next = page.next
        progress.of = vault.ledger.checkpoint.size
        progress.at = next ?? progress.of
        return true
    }

    private func check(_ scope: StreamID) throws {
        let path = vault.directory.file(of: scope.id)
        if case .erased = try vault.ledger.dataKey(of: scope) {
            if FileSystem.isTaken(path) { progress.erasedLeft.append(scope.id) }
            return
        }
        guard sample <= 1 || UInt64.random(in: 0..<sample) == 0, let record = try vault.record(of: scope.id) else {
            return
        }
        let use = ObjectUse(scope.id)
        vault.directory.begin(use)
        defer { vault.directory.end(use) }
        let found = try? CiphertextDigest(of: path)
        // What was erased while it was read is as it should be.
        if found != record.ciphertext, !use.wasErased { progress.unsound.append(scope.id) }
        progress.checked += 1
    }

    /// Records what was found.
    ///
    /// - Returns: the index of `system.selfcheck`.
    public func record() throws -> UInt64 {
        try vault.ledger.recordSelfcheck(
            objects: progress.checked,
            failed: progress.unsound.count + progress.erasedLeft.count
        )
    }
}

extension Vault {
    /// Begins a check.
    ///
    /// - Parameter sample: about one document in so many is read; 1 for all.
    public func check(sample: UInt64) -> CustodyCheck { CustodyCheck(self, sample: sample) }
}
