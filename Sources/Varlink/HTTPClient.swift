/// A blocking HTTP/1.1 client for GETs over a Unix socket, as many under way at once as the caller likes (RFC 9112
/// section 9.3.2). It takes answers with a content-length only, which is all the daemon gives to a GET. Not for more
/// than one thread.
public final class HTTPClient {
    /// Longest body taken, in bytes: an entry bundle has at most 256 × 65,537.
    public static let maximumBodyBytes = 32 << 20
    private static let maximumHeadBytes = 64 << 10
    private static let emptyLine = Array("\r\n\r\n".utf8)
    private let socket: UnixSocket
    private var received: [UInt8] = []
    private var consumed = 0

    /// Connects.
    ///
    /// - Parameter timeoutSeconds: how long a single wait for bytes may take; 0 for ever.
    public init(path: String, timeoutSeconds: Int = 60) throws(VarlinkClientError) {
        socket = try UnixSocket(path: path, timeoutSeconds: timeoutSeconds)
    }

    /// Sends a request without waiting; answers come in the order of the requests.
    ///
    /// - Parameter resource: an absolute path of visible ASCII, such as `/tile/0/000`.
    public func send(get resource: String) throws(VarlinkClientError) {
        precondition(resource.hasPrefix("/") && resource.utf8.allSatisfy { 0x21...0x7E ~= $0 })
        try socket.send(Array("GET \(resource) HTTP/1.1\r\nHost: ledger\r\n\r\n".utf8))
    }

    /// Waits for the next answer.
    ///
    /// - Throws: `VarlinkClientError`, `.malformedReply` for what is no answer to a GET.
    public func receive() throws(VarlinkClientError) -> (status: Int, body: [UInt8]) {
        var end: Int?
        while end == nil {
            end = received[consumed...].firstRange(of: HTTPClient.emptyLine)?.upperBound
            if end == nil {
                guard received.count - consumed <= HTTPClient.maximumHeadBytes else {
                    throw .malformedReply("a head longer than 64 KiB")
                }
                try fill()
            }
        }
        guard let end else { throw .closed }
        let head = String(decoding: received[consumed..<end], as: UTF8.self)
        let (status, length) = try HTTPClient.read(head)
        consumed = end
        while received.count - consumed < length { try fill() }
        let body = Array(received[consumed..<consumed + length])
        consumed += length
        return (status, body)
    }

    /// Status and content-length of a head.
    private static func read(_ head: String) throws(VarlinkClientError) -> (status: Int, length: Int) {
        let lines = head.split(separator: "\r\n")
        let words = lines.first?.split(separator: " ", maxSplits: 2) ?? []
        guard words.count >= 2, words[0] == "HTTP/1.1", let status = Int(words[1]), 200...599 ~= status else {
            throw .malformedReply("not an HTTP/1.1 answer")
        }
        let lengths = lines.dropFirst().compactMap { line -> Int? in
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2, parts[0].lowercased() == "content-length" else { return nil }
            return Int(parts[1].filter { $0 != " " }) ?? -1
        }
        guard lengths.count == 1, 0...maximumBodyBytes ~= lengths[0] else {
            throw .malformedReply("an answer without one content-length of at most 32 MiB")
        }
        return (status, lengths[0])
    }

    private func fill() throws(VarlinkClientError) {
        if consumed > 0 {
            received.removeFirst(consumed)
            consumed = 0
        }
        try socket.receive(into: &received)
    }
}
