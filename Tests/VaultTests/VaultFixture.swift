import Age
import Files
import Glibc
import JSON
import LedgerFormat
import Merkle
import OpenSSL
import Testing

@testable import Ledger
@testable import Vault

/// A ledger and a vault in a directory of their own.
final class VaultFixture {
    let directory: String
    let keyring: Keyring
    let locations: LedgerLocations
    var settings = VaultSettings()

    init() throws {
        var template = Array("/tmp/evidenced-vault-XXXXXX".utf8CString)
        directory = try template.withUnsafeMutableBufferPointer { buffer in
            try #require(buffer.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) })
        }
        locations = LedgerLocations(
            store: directory + "/store",
            index: directory + "/index",
            keys: directory + "/keys",
            lock: directory + "/lock/checkpoint.lock"
        )
        keyring = try Keyring()
        settings.reservedBytes = 0
        _ = try LedgerCreation.create(at: locations, origin: "test.example/vault", keyring: keyring)
    }

    deinit { VaultFixture.remove(directory) }

    var objects: String { directory + "/objects" }

    /// Opens both, as the daemon does.
    func open() throws -> Vault {
        var ledgerSettings = LedgerSettings()
        ledgerSettings.mapBytes = 64 << 20
        ledgerSettings.indexMapBytes = 64 << 20
        ledgerSettings.preparedBytes = 1 << 20
        let objects = try ObjectDirectory(path: objects)
        let ledger = try Ledger(
            at: locations,
            keyring: keyring,
            settings: ledgerSettings,
            version: "0.0.1",
            custody: objects,
            fatal: { fatalError("the ledger stopped: \($0)") }
        )
        let vault = Vault(ledger: ledger, directory: objects, settings: settings, log: { _ in })
        try vault.settleReceived()
        return vault
    }

    /// Runs `body` while both are open.
    @discardableResult
    func whileOpen<Result>(_ body: (Vault) throws -> Result) throws -> Result {
        let vault = try open()
        defer { vault.ledger.stop() }
        return try body(vault)
    }

    /// Every file below the directory of the documents, with its path in there.
    func files() -> [String] { VaultFixture.files(below: objects).sorted() }

    /// Changes the one file in custody.
    func tamper(_ change: (inout [UInt8]) -> Void) throws {
        let path = try objects + "/" + #require(files().first)
        var bytes = try FileSystem.read(path, limit: 1 << 30)
        change(&bytes)
        try VaultFixture.write(bytes, path)
    }

    static func write(_ bytes: [UInt8], _ path: String) throws {
        let descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        defer { close(descriptor) }
        try FileSystem.write(bytes, to: descriptor, at: 0, name: path)
    }

    static func files(below directory: String) -> [String] {
        names(in: directory).flatMap { name in
            let path = directory + "/" + name
            var status = stat()
            guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else { return [name] }
            return files(below: path).map { name + "/" + $0 }
        }
    }

    private static func names(in directory: String) -> [String] {
        guard let stream = opendir(directory) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    private static func remove(_ path: String) {
        for name in names(in: path) where unlink(path + "/" + name) != 0 { remove(path + "/" + name) }
        rmdir(path)
    }
}

enum Sample {
    static func id() throws -> ID128 {
        let words = try SecureRandom.bytes(16)
        let halves = [words[..<8], words[8...]].map { $0.reduce(UInt64(0)) { $0 << 8 | UInt64($1) } }
        return ID128(high: halves[0], low: halves[1])
    }

    static func order(_ object: ID128? = nil, request: RequestKey? = nil) throws -> DepositOrder {
        DepositOrder(
            submitter: "shop",
            request: try request ?? RequestKey(value: id()),
            actor: .system,
            object: try object ?? id(),
            body: [
                JSONMember(name: "channel", value: .string("api")),
                JSONMember(name: "media_type", value: .string("application/pdf")),
                JSONMember(name: "product", value: .string("deposit")),
            ]
        )
    }

    /// Bytes that never repeat a chunk.
    static func document(_ count: Int) -> [UInt8] {
        var state: UInt64 = 0x9E37_79B9_7F4A_7C15 &+ UInt64(count)
        return (0..<count).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(truncatingIfNeeded: state >> 56)
        }
    }

    static func retrieval(_ object: ID128, _ purpose: RetrievalPurpose = .ownerDownload) -> RetrievalOrder {
        RetrievalOrder(submitter: "desk", actor: .system, object: object, purpose: purpose)
    }

    static func erasure(of scopes: [StreamID]) throws -> Submission {
        let request = StreamID(kind: .request, id: try id())
        return try VaultEvents.submission(
            "erasure.executed",
            RequestKey(value: id()),
            .system,
            streams: [request],
            body: [
                JSONMember(name: "requested", value: .int(0)),
                JSONMember(name: "scopes", value: .array(scopes.map { .string($0.description) })),
            ]
        )
    }
}

extension Vault {
    /// Deposits a document in pieces of so many bytes.
    @discardableResult
    func keep(_ document: [UInt8], _ order: DepositOrder, pieces: Int = 100_000) throws -> AppendOutcome {
        let deposit = deposit(order)
        var start = 0
        while start < document.count {
            let end = min(start + pieces, document.count)
            try document[start..<end].withUnsafeBytes { try deposit.take($0) }
            start = end
        }
        return try deposit.finish()
    }

    /// All of a document.
    func read(_ order: RetrievalOrder) throws -> [UInt8] {
        let retrieval = try retrieve(order)
        defer { retrieval.end() }
        var bytes: [UInt8] = []
        while true {
            let before = bytes.count
            try retrieval.next(&bytes)
            if bytes.count == before { break }
        }
        #expect(UInt64(bytes.count) == retrieval.count)
        return bytes
    }

    func types(of object: ID128) throws -> [String] {
        let filter = EntryFilter(stream: StreamID(kind: .object, id: object))
        return try ledger.list(filter, from: nil, limit: 100, reverse: false).entries.map { try Entry($0.bytes).type }
    }
}

extension AgeHeader {
    /// The header of a whole file.
    static func read(of file: [UInt8]) throws -> AgeHeader? {
        try file.withUnsafeBytes { bytes in try AgeHeader.read(bytes, isEnd: true) }
    }
}
