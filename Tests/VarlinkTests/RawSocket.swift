import Glibc
import Testing

/// A Unix socket without any protocol, to say to a server what no client would.
final class RawSocket {
    /// How reading came to an end.
    enum End: Equatable {
        case closed
        case timeout
    }

    struct HTTPAnswer {
        let status: Int
        let headers: [String: String]
        let body: String
    }

    let descriptor: Int32
    private var received: [UInt8] = []

    init(path: String, timeoutSeconds: Int = 5, isBlocking: Bool = true) throws {
        let type = isBlocking ? SOCK_STREAM.rawValue : SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue
        descriptor = Glibc.socket(AF_UNIX, Int32(type), 0)
        let code = RawSocket.withAddress(path) { connect(descriptor, $0, $1) }
        try #require(code == 0, "connect: \(errno)")
        setTimeout(timeoutSeconds)
    }

    init(descriptor: Int32, timeoutSeconds: Int = 5) {
        self.descriptor = descriptor
        setTimeout(timeoutSeconds)
    }

    deinit { close(descriptor) }

    /// A listening socket at a path.
    static func listen(at path: String) throws -> Int32 {
        let descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        let code = withAddress(path) { bind(descriptor, $0, $1) }
        try #require(code == 0 && Glibc.listen(descriptor, 16) == 0, "bind: \(errno)")
        return descriptor
    }

    private static func withAddress(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }

    private func setTimeout(_ seconds: Int) {
        var timeout = timeval(tv_sec: seconds, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            setsockopt(descriptor, SOL_SOCKET, option, &timeout, socklen_t(MemoryLayout<timeval>.size))
        }
    }

    /// Sends until the other side takes no more; gives how many bytes went.
    @discardableResult
    func send(_ bytes: [UInt8]) -> Int {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { buffer in
                Glibc.send(descriptor, buffer.baseAddress.map { $0 + done }, bytes.count - done, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { break }
            done += count
        }
        return done
    }

    @discardableResult
    func send(_ text: String) -> Int { send(Array(text.utf8)) }

    /// Sends copies of a block until a size is reached or the other side hangs up.
    func flood(_ block: [UInt8], upTo size: Int) -> Int {
        var sent = 0
        while sent < size {
            let count = send(block)
            sent += count
            if count < block.count { break }
        }
        return sent
    }

    func finishSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Whether nothing has come that was not read yet.
    var isSilent: Bool {
        var byte: UInt8 = 0
        return received.isEmpty && recv(descriptor, &byte, 1, Int32(MSG_DONTWAIT) | Int32(MSG_PEEK)) < 0
    }

    private func fill() -> End? {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        if count > 0 {
            received += buffer[..<count]
            return nil
        }
        return count < 0 && errno == EAGAIN ? .timeout : .closed
    }

    /// Everything up to the end of the connection.
    func readToEnd() -> (text: String, end: End) {
        let (bytes, end) = readToEndBytes()
        return (String(decoding: bytes, as: UTF8.self), end)
    }

    func readToEndBytes() -> (bytes: [UInt8], end: End) {
        while true {
            if let end = fill() {
                defer { received = [] }
                return (received, end)
            }
        }
    }

    /// So many bytes.
    func readBytes(_ count: Int) throws -> [UInt8] { try read(count) }

    /// The next NUL-terminated message; nil where the connection ends instead.
    func readMessage() -> String? {
        readThrough([0]).map { String(decoding: $0.dropLast(), as: UTF8.self) }
    }

    private func readThrough(_ mark: [UInt8]) -> [UInt8]? {
        while true {
            if let range = received.firstRange(of: mark) { return take(range.upperBound) }
            if fill() != nil { return nil }
        }
    }

    private func read(_ count: Int) throws -> [UInt8] {
        while received.count < count { try #require(fill() == nil, "the answer is cut short") }
        return take(count)
    }

    private func take(_ count: Int) -> [UInt8] {
        defer { received.removeFirst(count) }
        return Array(received[..<count])
    }

    /// The next HTTP response.
    ///
    /// - Parameter hasBody: false for the answer to HEAD.
    func readHTTP(hasBody: Bool = true) throws -> HTTPAnswer {
        let (status, headers) = try readHTTPHead()
        let body = try hasBody ? readHTTPBody(headers) : []
        return HTTPAnswer(status: status, headers: headers, body: String(decoding: body, as: UTF8.self))
    }

    /// The next HTTP response, with its body as it is.
    func readHTTPBytes() throws -> (headers: [String: String], body: [UInt8]) {
        let (_, headers) = try readHTTPHead()
        return (headers, try readHTTPBody(headers))
    }

    private func readHTTPHead() throws -> (status: Int, headers: [String: String]) {
        let bytes = try #require(readThrough(Array("\r\n\r\n".utf8)), "no HTTP response")
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\r\n")
        let status = try #require(lines.first?.split(separator: " ").dropFirst().first.flatMap { Int($0) })
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            let colon = try #require(line.firstIndex(of: ":"))
            headers[line[..<colon].lowercased()] = String(line[line.index(after: colon)...].drop { $0 == " " })
        }
        return (status, headers)
    }

    private func readHTTPBody(_ headers: [String: String]) throws -> [UInt8] {
        var body: [UInt8] = []
        if let length = headers["content-length"] {
            body = try read(#require(Int(length)))
        } else if headers["transfer-encoding"] == "chunked" {
            while true {
                let line = try #require(readThrough(Array("\r\n".utf8)))
                let size = try #require(Int(String(decoding: line.dropLast(2), as: UTF8.self), radix: 16))
                body += try read(size)
                #expect(try read(2) == [13, 10])
                if size == 0 { break }
            }
        }
        return body
    }
}
