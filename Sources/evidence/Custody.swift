import Glibc
import JSON
import LedgerFormat
import Paths
import Varlink

/// Documents that go into custody and come out of it: calls over the native skin, bytes over HTTP.
struct Custody {
    let socket: SocketOptions
    private let connection: Connection
    /// How long an upload that was cut off waits before it is gone on with, in milliseconds.
    private static let pauses: [UInt32] = [100, 1_000, 3_000]

    init(_ socket: SocketOptions, _ connection: Connection) {
        self.socket = socket
        self.connection = connection
    }

    /// Deposits the document in a file. Where the connection is lost, it is gone on with; where the daemon was started anew,
    /// it is begun again, under the same request.
    ///
    /// - Parameters:
    ///   - sha256: what the document must have when it arrives, 64 hex digits.
    ///   - progress: called with the number of bytes that arrived.
    /// - Returns: the receipts of `evidence.deposited` and `evidence.sealed`.
    func deposit(
        _ path: FilePath,
        event: JSONValue,
        size: Int64,
        sha256: String,
        proofs: Bool,
        progress: (UInt64) -> Void
    ) throws -> [Receipt] {
        let descriptor = path.withCString { open($0, O_RDONLY | O_CLOEXEC) }
        guard descriptor >= 0 else { throw Failure(path: path, errno: errno) }
        defer { close(descriptor) }
        var pauses = Custody.pauses[...]
        var upload: String?
        while true {
            do {
                var offset: Int64 = 0
                if let upload {
                    offset = try connection.call("UploadStatus", ["upload": .string(upload)]).number("offset")
                } else {
                    let begun = try connection.call(
                        "BeginUpload",
                        [
                            "event": event, "size": .int(size), "sha256": .string(sha256), "proofs": .bool(proofs),
                        ]
                    )
                    upload = try begun.text("upload")
                }
                guard lseek(descriptor, off_t(offset), SEEK_SET) >= 0 else { throw Failure(path: path, errno: errno) }
                let answer = try Custody.transferred(path) { () throws(HTTPTransferError) in
                    try (try Custody.client(socket)).put(
                        "/objects/uploads/\(upload ?? "")?offset=\(offset)",
                        from: descriptor,
                        progress: { progress(UInt64(offset) + $0) }
                    )
                }
                let reply = try Custody.reply(answer)
                guard reply["receipts"] != nil else { continue }
                return try reply.list("receipts").map { try Receipt($0) }
            } catch let error as VarlinkError where upload != nil && Custody.isForgotten(error) {
                upload = nil
            } catch let error as VarlinkClientError where !pauses.isEmpty && Custody.mayPass(error) {
                usleep(1_000 * pauses.removeFirst())
                try? connection.reopen()
            }
        }
    }

    /// Whether the daemon doesn't know the upload, as one that was started anew.
    private static func isForgotten(_ error: VarlinkError) -> Bool {
        error.name.utf8.elementsEqual("org.evidenced.Ledger.NotFound".utf8)
    }

    private static func mayPass(_ error: VarlinkClientError) -> Bool {
        if case .malformedReply = error { false } else { true }
    }

    private static func client(_ socket: SocketOptions) throws(HTTPTransferError) -> HTTPClient {
        do throws(VarlinkClientError) {
            return try HTTPClient(path: socket.path)
        } catch {
            throw .transport(error)
        }
    }

    /// Gets a document into an open file.
    ///
    /// - Parameter resource: its path, with a query.
    static func fetch(
        _ resource: String,
        to descriptor: Int32,
        _ path: FilePath,
        _ socket: SocketOptions,
        progress: (UInt64, UInt64) -> Void
    ) throws {
        let answer = try transferred(path) { () throws(HTTPTransferError) in
            try (try client(socket)).get(resource, to: descriptor, progress: progress)
        }
        guard answer.status != 200 else { return }
        _ = try reply(answer)
    }

    /// What a transfer gives; its errors as those of the connection, or of the file.
    private static func transferred<Result>(
        _ path: FilePath,
        _ body: () throws(HTTPTransferError) -> Result
    ) throws -> Result {
        do throws(HTTPTransferError) {
            return try body()
        } catch {
            switch error {
            case .transport(let error): throw error
            case .input(let code): throw Failure(path: path, errno: code)
            case .inputEnded: throw Failure(.refused, "\(path): was written to while it was read")
            case .output(let code): throw Failure(output: path, errno: code)
            case .cutShort:
                throw Failure(.refused, "\(error): what the daemon keeps of the document may be damaged; its log says")
            }
        }
    }

    /// The parameters of an answer.
    ///
    /// - Throws: `VarlinkError` that it holds.
    private static func reply(_ answer: (status: Int, body: [UInt8])) throws -> JSONValue {
        guard let value = try? JSONReader.parse(answer.body) else {
            let text = Terminal.printable(String(decoding: answer.body.prefix(200), as: UTF8.self))
            throw Failure(
                answer.status == 403 ? .permissionDenied : .refused,
                "the daemon answered \(answer.status): \(text)"
            )
        }
        if let name = value["error"]?.string {
            throw VarlinkError(name: name, parameters: (value["parameters"] ?? .object([])).canonicalBytes)
        }
        guard answer.status == 200 else { throw Failure(.refused, "the daemon answered \(answer.status)") }
        return value
    }
}
