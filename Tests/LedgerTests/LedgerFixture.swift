import Files
import Glibc
import JSON
import LedgerFormat
import OpenSSL
import Synchronization
import Testing

@testable import Ledger

/// A ledger in a directory of its own, and what it takes to use, close, tamper with and reopen it.
final class LedgerFixture {
    let directory: String
    let locations: LedgerLocations
    let keyring: Keyring
    let vkey: String
    var settings = LedgerSettings()

    init(origin: String = "test.example/ledger", suite: CipherSuite = .aes) throws {
        var template = Array("/tmp/evidenced-test-XXXXXX".utf8CString)
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
        settings.mapBytes = 64 << 20
        settings.indexMapBytes = 64 << 20
        settings.preparedBytes = 1 << 20
        vkey = try LedgerCreation.create(at: locations, origin: origin, suite: suite, keyring: keyring)
    }

    deinit { removeTree(directory) }

    func open(
        keyring: Keyring? = nil,
        clock: LedgerClock = LedgerClock(),
        notice: @escaping @Sendable (String) -> Void = { _ in }
    ) throws -> Ledger {
        let test = Test.current?.name ?? "no test"
        return try Ledger(
            at: locations,
            keyring: keyring ?? self.keyring,
            settings: settings,
            version: "0.0.1",
            clock: clock,
            notice: notice,
            fatal: { fatalError("the ledger of \(test) stopped: \($0)") }
        )
    }

    /// Runs `body` on the open ledger and closes it again.
    func whileOpen<Result>(_ body: (Ledger) throws -> Result) throws -> Result {
        let ledger = try open()
        defer { ledger.stop() }
        return try body(ledger)
    }

    /// Begins a new incarnation under a fresh checkpoint key.
    ///
    /// - Returns: the keyring it has.
    @discardableResult
    func recover(_ reason: Recovery.Reason = .moved, held: HeldCheckpoints = .none) throws -> Keyring {
        let keyring = try self.keyring.withFreshCheckpointKey()
        _ = try LedgerCreation.beginIncarnation(
            at: locations,
            old: self.keyring,
            keyring: keyring,
            reason: reason,
            held: held
        )
        return keyring
    }

    func audit() throws -> AuditReport {
        try LedgerAudit.run(at: locations, keyring: keyring, progress: { _, _ in })
    }

    func refusal(_ body: () throws -> Ledger) throws -> StartupRefusal {
        do {
            try body().stop()
        } catch let refusal as StartupRefusal {
            return refusal
        }
        throw Unexpected("the ledger opened")
    }
}

struct Unexpected: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

func removeTree(_ path: String) {
    for name in names(in: path) {
        let child = path + "/" + name
        if unlink(child) != 0 { removeTree(child) }
    }
    rmdir(path)
}

func names(in directory: String) -> [String] {
    guard let handle = opendir(directory) else { return [] }
    defer { closedir(handle) }
    var names: [String] = []
    while let item = readdir(handle) {
        let name = withUnsafeBytes(of: item.pointee.d_name) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        if name != ".", name != ".." { names.append(name) }
    }
    return names
}

func copyFile(_ source: String, _ target: String) throws {
    let bytes = try FileSystem.read(source, limit: 1 << 30)
    unlink(target)
    try FileSystem.create(target, bytes, mode: 0o600)
}

extension Ledger {
    /// Appends and waits.
    func submit(_ submissions: [Submission], as submitter: String = "shop") throws -> AppendOutcome {
        let answer = Answer()
        try append(Submissions(submissions), from: submitter, bytes: 400 * submissions.count) { answer.give($0) }
        return try answer.wait()
    }
}

/// An outcome that one thread gives and another waits for.
final class Answer: @unchecked Sendable {
    // Sendable: the value is written before the semaphore is posted and read after it is taken.
    private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)
    private var value: Result<AppendOutcome, LedgerError>?

    init() { sem_init(semaphore, 0, 0) }

    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }

    func give(_ result: Result<AppendOutcome, LedgerError>) {
        value = result
        sem_post(semaphore)
    }

    func wait() throws -> AppendOutcome { try result().get() }

    func result() throws -> Result<AppendOutcome, LedgerError> {
        while sem_wait(semaphore) != 0 {}
        guard let value else { throw Unexpected("no answer") }
        return value
    }
}

/// Lines of the log, from any thread.
final class Lines: Sendable {
    private let lines = Mutex<[String]>([])

    var all: [String] { lines.withLock { $0 } }

    func add(_ line: String) { lines.withLock { $0.append(line) } }
}

/// Events for tests.
enum Sample {
    static func id() throws -> ID128 { try ID128.fresh(now: LedgerClock().now) }

    static func request() throws -> RequestKey { try RequestKey.fresh(now: LedgerClock().now) }

    static func submission(
        _ type: String,
        request: RequestKey? = nil,
        streams: [StreamID],
        body: KeyValuePairs<String, JSONValue> = [:],
        claims: [Submission.Scope] = []
    ) throws -> Submission {
        try Submission(
            type: #require(EventCatalogue.type(named: type)),
            request: request ?? Sample.request(),
            actor: .system,
            streams: streams,
            body: JSONObjectText(body.map { JSONMember(name: $0.key, value: $0.value) }),
            claims: claims
        )
    }

    /// A deposit of a document with this digest.
    static func deposit(
        digest: String = String(repeating: "ab", count: 32),
        object: StreamID? = nil,
        request: RequestKey? = nil,
        fileName: String = "租赁合同-张三.pdf"
    ) throws -> Submission {
        let object = try object ?? StreamID(kind: .object, id: id())
        return try submission(
            "evidence.deposited",
            request: request,
            streams: [object],
            body: ["channel": .string("api"), "media_type": .string("application/pdf"), "product": .string("deposit")],
            claims: [
                Submission.Scope(
                    scope: object,
                    claims: JSONObjectText([
                        JSONMember(name: "sha256", value: .string(digest)),
                        JSONMember(name: "file_name", value: .string(fileName)),
                    ])
                )
            ]
        )
    }

    /// The event that has scopes erased.
    ///
    /// - Parameter destroyed: how many keys it says are destroyed.
    static func erasure(of scopes: [StreamID], destroyed: Int64? = nil) throws -> Submission {
        let scopes = JSONValue.array(scopes.map { .string($0.description) })
        return try submission(
            "erasure.executed",
            streams: [StreamID(kind: .request, id: id())],
            body: destroyed.map { ["requested": .int(1), "scopes": scopes, "keys_destroyed": .int($0)] }
                ?? ["requested": .int(1), "scopes": scopes]
        )
    }

    static func viewed(contract: StreamID, subject: StreamID) throws -> Submission {
        try submission("contract.viewed", streams: [contract, subject], body: ["seconds": .int(3)])
    }
}
