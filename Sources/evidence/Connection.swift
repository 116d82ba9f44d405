import JSON
import LedgerFormat
import Merkle
import OpenSSL
import Varlink

/// A connection to the daemon that speaks `org.evidenced.Ledger`.
final class Connection {
    private let path: String
    private let timeoutSeconds: Int
    private var client: VarlinkClient

    init(path: String, timeoutSeconds: Int) throws {
        self.path = path
        self.timeoutSeconds = timeoutSeconds
        client = try VarlinkClient(path: path, timeoutSeconds: timeoutSeconds)
    }

    /// Connects anew, where the connection was lost.
    func reopen() throws { client = try VarlinkClient(path: path, timeoutSeconds: timeoutSeconds) }

    /// Calls a method; parameters that are nil are left out.
    func call(_ method: String, _ parameters: KeyValuePairs<String, JSONValue?> = [:]) throws -> JSONValue {
        try client.call(Connection.qualified(method), Connection.object(parameters))
    }

    /// Calls a method once for each of the parameters, with up to 64 calls under way; `each` gets the place of each call
    /// and its answer, in order.
    func callAll(
        _ method: String,
        _ parameters: [JSONValue],
        each: (Int, Result<JSONValue, VarlinkError>) throws -> Void
    ) throws {
        var sent = 0
        for received in parameters.indices {
            while sent < parameters.count, sent - received < 64 {
                try client.send(Connection.qualified(method), parameters[sent].canonicalBytes)
                sent += 1
            }
            let answer: Result<JSONValue, VarlinkError>
            do {
                answer = .success(try client.receive().parameters)
            } catch let error as VarlinkError {
                answer = .failure(error)
            }
            try each(received, answer)
        }
    }

    /// Calls a method with `more`; `each` gets every reply and stops the stream with false.
    func stream(
        _ method: String,
        _ parameters: KeyValuePairs<String, JSONValue?>,
        each: (JSONValue) throws -> Bool
    ) throws {
        try client.stream(Connection.qualified(method), Connection.object(parameters), each: each)
    }

    /// One entry by its index.
    func entry(_ index: Int64) throws -> RecordedEntry {
        let reply = try call("GetEntry", ["index": .int(index)])
        return try RecordedEntry(reply.member("entry"))
    }

    private static let interfaces: [String: String] = [
        "Erase": "Privacy", "BeginUpload": "Vault", "UploadStatus": "Vault", "CheckObjects": "Vault",
    ]

    private static func qualified(_ method: String) -> String {
        "org.evidenced.\(interfaces[method] ?? "Ledger").\(method)"
    }

    /// All entries that record a document by this digest.
    func entries(recording digest: String) throws -> [RecordedEntry] {
        var entries: [RecordedEntry] = []
        var from: Int64? = 0
        while let start = from {
            let page = try call("FindByDigest", ["digest": .string(digest), "from": .int(start)])
            entries += try page.list("entries").map { try RecordedEntry($0) }
            from = page["next"]?.int
        }
        return entries
    }

    private static func object(_ parameters: KeyValuePairs<String, JSONValue?>) -> JSONValue {
        .object(parameters.compactMap { name, value in value.map { JSONMember(name: name, value: $0) } })
    }
}

/// An entry as the daemon hands it out, checked against its leaf hash.
struct RecordedEntry {
    /// The exact text that was hashed.
    let text: String
    let leaf: Digest
    let entry: Entry

    init(_ value: JSONValue) throws {
        text = try value.text("entry")
        let bytes = Array(text.utf8)
        var hasher = SHA256Hasher()
        leaf = hasher.leaf(bytes)
        guard leaf.base64.utf8.elementsEqual(try value.text("leaf").utf8) else {
            throw Failure(.refused, "the daemon's leaf hash is not that of the entry it sent")
        }
        do {
            entry = try Entry(bytes)
        } catch {
            throw Failure(.refused, "the daemon sent an entry that breaks the format: \(error)")
        }
    }

    /// The entry and its leaf hash as one JSON line.
    var json: JSONValue {
        .members([
            "index": .int(Int64(entry.index)), "leaf": .string(leaf.base64), "entry": .string(text),
        ])
    }
}

/// Reading replies: a missing member is the daemon's fault, and says which one.
extension JSONValue {
    func member(_ name: String) throws -> JSONValue {
        guard let value = self[name] else { throw Failure(.refused, "the daemon's reply lacks \(name)") }
        return value
    }

    func text(_ name: String) throws -> String {
        guard let value = try member(name).string else { throw Failure(.refused, "the daemon's \(name) is no string") }
        return value
    }

    func number(_ name: String) throws -> Int64 {
        guard let value = try member(name).int else { throw Failure(.refused, "the daemon's \(name) is no integer") }
        return value
    }

    func list(_ name: String) throws -> [JSONValue] {
        guard let value = try member(name).array else { throw Failure(.refused, "the daemon's \(name) is no list") }
        return value
    }

    func hashes(_ name: String) throws -> [Digest] {
        try list(name).map { value in
            guard let digest = value.string.flatMap({ Digest(base64: $0) }) else {
                throw Failure(.refused, "the daemon's \(name) holds something that is no hash")
            }
            return digest
        }
    }
}
