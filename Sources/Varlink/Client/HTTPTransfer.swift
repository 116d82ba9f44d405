import Glibc

/// Why a body did not get from a file to the daemon, or back.
public enum HTTPTransferError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The connection failed.
    case transport(VarlinkClientError)
    /// The file can't be read; an errno.
    case input(errno: Int32)
    /// The file became shorter while it was sent.
    case inputEnded(at: UInt64, expected: UInt64)
    /// The file can't be written; an errno.
    case output(errno: Int32)
    /// The connection ended before all bytes were there.
    case cutShort(at: UInt64, expected: UInt64)

    public var description: String {
        switch self {
        case .transport(let error): "\(error)"
        case .input(let code): "reading failed: \(String(cString: strerror(code)))"
        case .inputEnded(let count, let expected): "the input ended after \(count) of \(expected) bytes"
        case .output(let code): "writing failed: \(String(cString: strerror(code)))"
        case .cutShort(let count, let expected): "the daemon sent \(count) of \(expected) bytes"
        }
    }
}

/// Bodies of any length, from and to open files, with as much memory as one piece takes. No other request may be under way
/// on the connection.
extension HTTPClient {
    private static let pieceBytes = 256 << 10

    /// Puts what an open file holds from its position on: with its length where it is a regular file, else as chunks. The
    /// daemon is asked first whether it takes it.
    ///
    /// - Parameters:
    ///   - resource: an absolute path of visible ASCII, perhaps with a query.
    ///   - descriptor: of the file; it stays open.
    ///   - headers: names and values in visible ASCII, and blanks within values, beside those of the body itself.
    ///   - progress: called with the number of bytes sent so far, after each piece.
    /// - Returns: the daemon's answer. With another status than 200 it may have come before all was sent: the connection is
    ///   of no further use then.
    public func put(
        _ resource: String,
        from descriptor: Int32,
        headers: [(name: String, value: String)] = [],
        progress: (UInt64) -> Void = { _ in }
    ) throws(HTTPTransferError) -> (status: Int, body: [UInt8]) {
        let length = try HTTPClient.length(of: descriptor)
        var head = "PUT \(resource) HTTP/1.1\r\nHost: ledger\r\nExpect: 100-continue\r\n"
        head += length.map { "Content-Length: \($0)\r\n" } ?? "Transfer-Encoding: chunked\r\n"
        for (name, value) in headers {
            precondition((name + value).utf8.allSatisfy { 0x20...0x7E ~= $0 }, "a header is one line of ASCII")
            head += "\(name): \(value)\r\n"
        }
        do throws(VarlinkClientError) {
            try socket.send(Array((head + "\r\n").utf8))
            if let refusal = try receiveInterim() { return refusal }
        } catch {
            throw .transport(error)
        }
        try send(descriptor, length, progress)
        do throws(VarlinkClientError) { return try receive() } catch { throw .transport(error) }
    }

    /// Gets a body into an open file.
    ///
    /// - Parameters:
    ///   - resource: an absolute path of visible ASCII, perhaps with a query.
    ///   - descriptor: of the file; it stays open. With another status than 200 nothing is written to it.
    ///   - progress: called with the number of bytes written so far and of all there are, after each piece.
    /// - Returns: the status, and with another than 200 the body that came with it.
    /// - Throws: `HTTPTransferError`; what was written by then is not whole.
    public func get(
        _ resource: String,
        to descriptor: Int32,
        progress: (_ done: UInt64, _ all: UInt64) -> Void = { _, _ in }
    ) throws(HTTPTransferError) -> (status: Int, body: [UInt8]) {
        let answer: (status: Int, length: Int)
        do throws(VarlinkClientError) {
            try send(get: resource)
            answer = try receiveHead()
            guard answer.status == 200 else { return (answer.status, try receiveBody(answer.length)) }
        } catch {
            throw .transport(error)
        }
        let all = UInt64(answer.length)
        var done: UInt64 = 0
        var piece = [UInt8](repeating: 0, count: HTTPClient.pieceBytes)
        while done < all {
            let wanted = Int(min(UInt64(piece.count), all - done))
            let count: Int
            do throws(VarlinkClientError) {
                count = try receive(into: &piece, atMost: wanted)
            } catch {
                throw error == .closed ? .cutShort(at: done, expected: all) : .transport(error)
            }
            try HTTPClient.write(piece, count, descriptor)
            done += UInt64(count)
            progress(done, all)
        }
        return (200, [])
    }

    /// Sends a body, until its end or the daemon's answer.
    private func send(
        _ descriptor: Int32,
        _ length: UInt64?,
        _ progress: (UInt64) -> Void
    ) throws(HTTPTransferError) {
        var piece = [UInt8](repeating: 0, count: HTTPClient.pieceBytes)
        var done: UInt64 = 0
        while length.map({ done < $0 }) ?? true, !socket.hasUnread {
            let wanted = Int(min(UInt64(piece.count), length.map { $0 - done } ?? UInt64.max))
            let count = try HTTPClient.read(&piece, wanted, descriptor)
            if count == 0, let length { throw .inputEnded(at: done, expected: length) }
            do throws(VarlinkClientError) {
                if length == nil { try socket.send(Array("\(String(count, radix: 16))\r\n".utf8)) }
                try socket.send(piece, count)
                if length == nil { try socket.send([0x0D, 0x0A]) }
            } catch {
                // The daemon has said why, and listens no more.
                if error == .closed { return }
                throw .transport(error)
            }
            if count == 0 { return }
            done += UInt64(count)
            progress(done)
        }
    }

    /// How many bytes a regular file holds from its position on; nil for what is none.
    private static func length(of descriptor: Int32) throws(HTTPTransferError) -> UInt64? {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .input(errno: errno) }
        guard status.st_mode & S_IFMT == S_IFREG else { return nil }
        let position = lseek(descriptor, 0, SEEK_CUR)
        guard position >= 0 else { throw .input(errno: errno) }
        return UInt64(max(0, status.st_size - position))
    }

    private static func read(_ piece: inout [UInt8], _ most: Int, _ descriptor: Int32) throws(HTTPTransferError) -> Int
    {
        while true {
            let count = Glibc.read(descriptor, &piece, most)
            if count >= 0 { return count }
            if errno != EINTR { throw .input(errno: errno) }
        }
    }

    private static func write(_ piece: [UInt8], _ count: Int, _ descriptor: Int32) throws(HTTPTransferError) {
        var done = 0
        while done < count {
            let written = piece.withUnsafeBytes {
                Glibc.write(descriptor, $0.baseAddress.map { $0 + done }, count - done)
            }
            if written < 0, errno == EINTR { continue }
            guard written > 0 else { throw .output(errno: written == 0 ? EIO : errno) }
            done += written
        }
    }
}
