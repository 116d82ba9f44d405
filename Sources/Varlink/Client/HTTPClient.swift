import JSON

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
        precondition(resource.utf8.first == UInt8(ascii: "/") && resource.utf8.allSatisfy { 0x21...0x7E ~= $0 })
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
        let (status, length) = try HTTPClient.read(received[consumed..<end])
        consumed = end
        while received.count - consumed < length { try fill() }
        let body = Array(received[consumed..<consumed + length])
        consumed += length
        return (status, body)
    }

    /// Status and content-length of a head.
    private static func read(_ head: ArraySlice<UInt8>) throws(VarlinkClientError) -> (status: Int, length: Int) {
        let lines = head.split(separator: 0x0A).map { $0.last == 0x0D ? $0.dropLast() : $0 }
        let words = lines.first?.split(separator: 0x20, maxSplits: 2) ?? []
        guard words.count >= 2, words[0].elementsEqual("HTTP/1.1".utf8), let status = number(words[1]),
            200...599 ~= status
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
        guard lengths.count == 1, 0...maximumBodyBytes ~= lengths[0] else {
            throw .malformedReply("an answer without one content-length of at most 32 MiB")
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
