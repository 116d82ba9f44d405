import JSON

/// A blocking HTTP/1.1 client for GETs over a Unix socket, as many under way at once as the caller likes (RFC 9112
/// section 9.3.2), and for bodies from and to files. It takes answers with a content-length only, which is all the daemon
/// gives to a GET. Not for more than one thread.
public final class HTTPClient {
    /// Longest body taken, in bytes: an entry bundle has at most 256 × 65,537.
    public static let maximumBodyBytes = 32 << 20
    private static let maximumHeadBytes = 64 << 10
    private static let emptyLine = Array("\r\n\r\n".utf8)
    let socket: UnixSocket
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
        precondition(resource.utf8.first == UInt8(ascii: "/") && resource.utf8.allSatisfy { 0x21...0x7E ~= $0 })
        try socket.send(Array("GET \(resource) HTTP/1.1\r\nHost: ledger\r\n\r\n".utf8))
    }

    /// Waits for the next answer.
    ///
    /// - Throws: `VarlinkClientError`, `.malformedReply` for what is no answer to a GET.
    public func receive() throws(VarlinkClientError) -> (status: Int, body: [UInt8]) {
        let (status, length) = try receiveHead()
        return (status, try receiveBody(length))
    }

    /// Waits to be told to go on with a body (RFC 9110 section 10.1.1).
    ///
    /// - Returns: the answer, where it is another.
    func receiveInterim() throws(VarlinkClientError) -> (status: Int, body: [UInt8])? {
        let (status, length) = try receiveHead(mayBeInterim: true)
        return status == 100 ? nil : (status, try receiveBody(length))
    }

    /// Waits for the next head, and gives status and content-length: 0 for 100 (Continue), which has none.
    func receiveHead(mayBeInterim: Bool = false) throws(VarlinkClientError) -> (status: Int, length: Int) {
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
        defer { consumed = end }
        return try HTTPClient.read(received[consumed..<end], mayBeInterim: mayBeInterim)
    }

    /// Waits for a body of a length that fits into memory.
    func receiveBody(_ length: Int) throws(VarlinkClientError) -> [UInt8] {
        guard length <= HTTPClient.maximumBodyBytes else { throw .malformedReply("a body longer than 32 MiB") }
        while received.count - consumed < length { try fill() }
        let body = Array(received[consumed..<consumed + length])
        consumed += length
        return body
    }

    /// Waits for bytes of a body and copies what there is to the front of a piece, at least one byte.
    func receive(into piece: inout [UInt8], atMost most: Int) throws(VarlinkClientError) -> Int {
        guard consumed < received.count else { return try socket.receive(into: &piece, atMost: most) }
        let count = min(most, received.count - consumed)
        piece.replaceSubrange(..<count, with: received[consumed..<consumed + count])
        consumed += count
        return count
    }

    /// Status and content-length of a head.
    private static func read(
        _ head: ArraySlice<UInt8>,
        mayBeInterim: Bool
    ) throws(VarlinkClientError) -> (status: Int, length: Int) {
        let lines = head.split(separator: 0x0A).map { $0.last == 0x0D ? $0.dropLast() : $0 }
        let words = lines.first?.split(separator: 0x20, maxSplits: 2) ?? []
        guard words.count >= 2, words[0].elementsEqual("HTTP/1.1".utf8), let status = number(words[1]),
            mayBeInterim && status == 100 || 200...599 ~= status
        else { throw .malformedReply("not an HTTP/1.1 answer") }
        let lengths = lines.dropFirst().compactMap { line -> Int? in
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")),
                line[..<colon].asciiLowercased.elementsEqual("content-length".utf8)
            else { return nil }
            // RFC 9110 section 5.5: blanks around a value are no part of it.
            let value = line[(colon + 1)...].drop(while: isBlank)
            return number(value.prefix((value.lastIndex { !isBlank($0) } ?? value.startIndex) + 1 - value.startIndex))
                ?? -1
        }
        // RFC 9110 section 8.6: an interim answer has none.
        if status == 100, lengths.isEmpty { return (status, 0) }
        guard lengths.count == 1, lengths[0] >= 0 else {
            throw .malformedReply("an answer without one content-length")
        }
        return (status, lengths[0])
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

    /// What nothing but digits say; nil for other texts, and for numbers beyond any use here.
    private static func number(_ digits: ArraySlice<UInt8>) -> Int? {
        guard 1...15 ~= digits.count, digits.allSatisfy({ 0x30...0x39 ~= $0 }) else { return nil }
        return digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    }

    private func fill() throws(VarlinkClientError) {
        if consumed > 0 {
            received.removeFirst(consumed)
            consumed = 0
        }
        try socket.receive(into: &received)
    }
}
