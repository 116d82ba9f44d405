import Glibc

/// A connection that is made for load: it sends messages that lie ready, and of the replies it looks only at how they
/// begin and where they end.
final class LoadConnection {
    private static let bufferBytes = 1 << 20
    private static let success = Array(#"{"parameters":"#.utf8)
    private let descriptor: Int32
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: LoadConnection.bufferBytes, alignment: 64)
    /// How much of the beginning of the reply under way was already looked at.
    private var seen = 0

    init(path: String) throws {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw BenchError("\(path) is too long for a socket")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw BenchError("cannot make a socket") }
        // A whole batch fits, so that it takes one system call and one wake-up of the daemon.
        var bytes = Int32(LoadConnection.bufferBytes)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &bytes, socklen_t(MemoryLayout<Int32>.size))
        var patience = timeval(tv_sec: 120, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        let code = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard code == 0 else { throw BenchError("nobody listens on \(path)") }
    }

    deinit {
        close(descriptor)
        buffer.deallocate()
    }

    /// Sends what the socket takes without waiting; gives how many bytes that was.
    func send(_ bytes: UnsafeRawBufferPointer) throws -> Int {
        while true {
            let count = Glibc.send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
            if count >= 0 { return count }
            if errno == EAGAIN { return 0 }
            guard errno == EINTR else { throw BenchError("the daemon closed the connection") }
        }
    }

    /// Waits until the socket takes more or there is something to read; true where it is the latter.
    ///
    /// Who only waited to send could wait for ever for a daemon that itself waits for its answers to be read.
    func waitForEither() -> Bool {
        var item = pollfd(fd: descriptor, events: Int16(POLLIN | POLLOUT), revents: 0)
        _ = poll(&item, 1, -1)
        return item.revents & Int16(POLLIN) != 0
    }

    /// Waits for replies; gives how many ended in what came.
    func receive() throws -> Int {
        var count: Int
        repeat { count = recv(descriptor, buffer.baseAddress, buffer.count, 0) } while count < 0 && errno == EINTR
        guard count > 0 else {
            throw BenchError(count == 0 ? "the daemon closed the connection" : "the daemon does not answer")
        }
        guard let start = buffer.baseAddress else { return 0 }
        var replies = 0
        var position = 0
        while position < count {
            try checkBeginning(UnsafeRawBufferPointer(rebasing: buffer[position..<count]))
            guard let end = memchr(start + position, 0, count - position) else { break }
            position = UnsafeRawPointer(end) - UnsafeRawPointer(start) + 1
            seen = 0
            replies += 1
        }
        return replies
    }

    private func checkBeginning(_ bytes: UnsafeRawBufferPointer) throws {
        let expected = LoadConnection.success
        guard seen < expected.count else { return }
        for byte in bytes.prefix(expected.count - seen) {
            guard byte == expected[seen] else {
                throw BenchError("refused: " + String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self))
            }
            seen += 1
        }
    }
}
