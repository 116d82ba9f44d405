import CLinux
import Glibc
import NIOCore

/// A Unix stream socket that listens.
final class ListeningSocket: Sendable {
    /// Connections that may wait to be taken in: as many as the system lets (`net.core.somaxconn`). Where there is no room,
    /// a client that doesn't block is told `EAGAIN`; to wait behind thousands takes milliseconds.
    private static let backlog = Int32.max

    let descriptor: Int32
    /// nil where the service manager made the socket.
    private let file: SocketFile?

    /// One that the service manager bound.
    init(inherited descriptor: Int32) throws {
        self.descriptor = descriptor
        file = nil
        try listen()
    }

    /// One of its own. Where a server that is gone left a socket, that is replaced; one that still answers keeps its path,
    /// and what is no socket is not ours to remove.
    ///
    /// - Parameter mode: the socket's permissions.
    /// - Throws: `IOError`.
    init(path: String, mode: UInt32) throws {
        try ListeningSocket.removeStaleSocket(at: path)
        let file = try SocketFile(path: path, mode: mode)
        self.file = file
        descriptor = file.descriptor
        do {
            try listen()
        } catch {
            close()
            throw error
        }
    }

    /// Takes the next connection in and says who made it.
    ///
    /// - Returns: the descriptor, or the negated errno; -`EAGAIN` where nobody waits.
    func accept(_ peer: inout PeerCredentials) -> Int32 {
        var found = evidenced_peer()
        let taken = evidenced_accept(descriptor, &found)
        if taken >= 0 { peer = PeerCredentials(pid: found.pid, uid: found.uid, gid: found.gid) }
        return taken
    }

    /// Listens no more, and removes the socket where it is still this one.
    func close() {
        file?.remove()
        Glibc.close(descriptor)
    }

    private func listen() throws {
        let flags = fcntl(descriptor, F_GETFL)
        guard flags >= 0, fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) == 0,
            Glibc.listen(descriptor, ListeningSocket.backlog) == 0
        else { throw IOError(errnoCode: errno, reason: "listen") }
    }

    private static func removeStaleSocket(at path: String) throws {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else { throw IOError(errnoCode: EEXIST, reason: path) }
        let attempt = Result { try VarlinkClient(path: path) }
        guard case .failure(VarlinkClientError.unreachable(_, ECONNREFUSED)) = attempt else {
            throw IOError(errnoCode: EADDRINUSE, reason: path)
        }
        unlink(path)
    }
}
