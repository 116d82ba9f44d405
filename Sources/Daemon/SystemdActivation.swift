import Glibc

/// Why what the service manager passed can't be served.
public struct ActivationError: Error, Equatable, Sendable, CustomStringConvertible {
    public let description: String

    init(_ description: String) { self.description = description }
}

/// Socket activation: the service manager binds the socket and passes it from descriptor 3 on, announced by
/// `LISTEN_PID`, `LISTEN_FDS` and `LISTEN_FDNAMES` (sd_listen_fds(3)).
public enum SystemdActivation {
    /// First descriptor the service manager passes.
    private static let firstDescriptor: Int32 = 3
    private static let variables = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID"]

    /// The listening Unix stream socket passed to this process, or nil where none was.
    ///
    /// The variables are removed from the environment, so that no child takes them for its own. To be called once,
    /// before other threads read the environment.
    public static func listeningDescriptor() throws(ActivationError) -> Int32? {
        try listeningDescriptor(from: firstDescriptor)
    }

    /// - Parameter first: the first descriptor passed; tests, whose runner has uses for low ones, take another.
    static func listeningDescriptor(from first: Int32) throws(ActivationError) -> Int32? {
        let values = variables.map { getenv($0).map { String(cString: $0) } }
        for name in variables { unsetenv(name) }
        guard let process = values[0] else { return nil }
        guard let pid = Int32(process), pid > 0 else { throw ActivationError("LISTEN_PID is not a process id") }
        guard pid == getpid() else { return nil }
        guard let count = values[1].flatMap({ Int32($0) }), 0...Int32.max - first ~= count else {
            throw ActivationError("LISTEN_FDS is not a number of descriptors")
        }
        if count == 0 { return nil }
        guard count == 1 else {
            let names = values[2].map { " (\($0))" } ?? ""
            throw ActivationError("the service manager passed \(count) sockets\(names); one is served")
        }
        return try checked(first)
    }

    private static func checked(_ descriptor: Int32) throws(ActivationError) -> Int32 {
        let flags = fcntl(descriptor, F_GETFD)
        guard flags >= 0, fcntl(descriptor, F_SETFD, flags | FD_CLOEXEC) == 0 else {
            throw ActivationError("descriptor \(descriptor) from the service manager is not open")
        }
        guard option(SO_DOMAIN, of: descriptor) == AF_UNIX,
            option(SO_TYPE, of: descriptor) == Int32(SOCK_STREAM.rawValue),
            option(SO_ACCEPTCONN, of: descriptor) == 1
        else { throw ActivationError("descriptor \(descriptor) is not a listening Unix stream socket") }
        return descriptor
    }

    private static func option(_ name: Int32, of descriptor: Int32) -> Int32? {
        var value: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        return getsockopt(descriptor, SOL_SOCKET, name, &value, &length) == 0 ? value : nil
    }
}
