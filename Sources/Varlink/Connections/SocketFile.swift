import Glibc
import NIOCore

/// The file of a listening Unix socket that this process made. At the end it is removed, unless another server has put
/// its own in its place meanwhile.
struct SocketFile: Sendable {
    /// The bound socket.
    let descriptor: Int32
    private let path: String
    private let device: dev_t
    private let inode: ino_t

    /// Makes the file and binds a socket to it.
    ///
    /// - Parameter mode: permissions of the file, from its first moment on.
    /// - Throws: `IOError` with the errno of the failed call.
    init(path: String, mode: UInt32) throws {
        guard path.utf8.count < UnixAddress.capacity else { throw IOError(errnoCode: ENAMETOOLONG, reason: path) }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw IOError(errnoCode: errno, reason: "making a socket") }
        let mask = umask(0o777)
        let code = UnixAddress(path).withPointer { bind(descriptor, $0, $1) == 0 ? 0 : errno }
        umask(mask)
        var status = stat()
        guard code == 0, chmod(path, mode) == 0, lstat(path, &status) == 0 else {
            let error = IOError(errnoCode: code == 0 ? errno : code, reason: "binding \(path)")
            close(descriptor)
            throw error
        }
        self.descriptor = descriptor
        self.path = path
        device = status.st_dev
        inode = status.st_ino
    }

    /// Removes the file if it is still this one.
    func remove() {
        var status = stat()
        guard lstat(path, &status) == 0, status.st_dev == device, status.st_ino == inode else { return }
        unlink(path)
    }
}
