import Glibc

/// A blocking connection to a Unix socket. Not for more than one thread.
final class UnixSocket {
    private let descriptor: Int32

    /// Connects.
    ///
    /// - Parameter timeoutSeconds: how long a single wait may take; 0 for ever.
    init(path: String, timeoutSeconds: Int) throws(VarlinkClientError) {
        guard path.utf8.count < UnixAddress.capacity else { throw .unreachable(path: path, errno: ENAMETOOLONG) }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw .unreachable(path: path, errno: errno) }
        var timeout = timeval(tv_sec: timeoutSeconds, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            setsockopt(descriptor, SOL_SOCKET, option, &timeout, socklen_t(MemoryLayout<timeval>.size))
        }
        let code = UnixAddress(path).withPointer { connect(descriptor, $0, $1) == 0 ? 0 : errno }
        guard code == 0 else {
            close(descriptor)
            throw .unreachable(path: path, errno: code)
        }
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    /// Waits for bytes and appends what there is, at least one.
    func receive(into received: inout [UInt8]) throws(VarlinkClientError) {
        let (count, code) = withUnsafeTemporaryAllocation(byteCount: 1 << 16, alignment: 1) { buffer in
            var count: Int
            repeat { count = recv(descriptor, buffer.baseAddress, buffer.count, 0) } while count < 0 && errno == EINTR
            let code = errno
            if count > 0 { received.append(contentsOf: buffer[..<count]) }
            return (count, code)
        }
        if count == 0 || count < 0 && code == ECONNRESET { throw .closed }
        guard count > 0 else { throw .timeout }
    }

    /// Waits for bytes and puts what there is to the front of a piece, at least one byte.
    func receive(into piece: inout [UInt8], atMost most: Int) throws(VarlinkClientError) -> Int {
        var count: Int
        repeat { count = recv(descriptor, &piece, most, 0) } while count < 0 && errno == EINTR
        if count == 0 || count < 0 && errno == ECONNRESET { throw .closed }
        guard count > 0 else { throw .timeout }
        return count
    }

    /// Whether something came that was not received yet.
    var hasUnread: Bool { UnreadBytes.areThere(descriptor) }

    /// Sends all bytes.
    func send(_ bytes: [UInt8]) throws(VarlinkClientError) { try send(bytes, bytes.count) }

    /// Sends the first bytes.
    func send(_ bytes: [UInt8], _ length: Int) throws(VarlinkClientError) {
        var done = 0
        while done < length {
            let count = bytes.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress.map { $0 + done }, length - done, Int32(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            if count < 0, [EPIPE, ECONNRESET].contains(errno) { throw .closed }
            guard count > 0 else { throw .timeout }
            done += count
        }
    }
}

/// The address of a Unix socket's path.
struct UnixAddress {
    /// Bytes of a path that are too many.
    static let capacity = MemoryLayout.size(ofValue: sockaddr_un().sun_path)
    private var address = sockaddr_un()

    /// - Precondition: the path has fewer bytes than `capacity`.
    init(_ path: String) {
        precondition(path.utf8.count < UnixAddress.capacity)
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    }

    func withPointer<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
}
