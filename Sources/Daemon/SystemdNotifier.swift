import Glibc
import Synchronization

/// Tells the service manager how the daemon fares: datagrams of `KEY=value` lines to `NOTIFY_SOCKET` (sd_notify(3)).
///
/// Without a service manager every call does nothing. A state that can't be delivered is dropped: the service manager
/// has time limits of its own, and the ledger must not stop because nobody listens.
public final class SystemdNotifier: Sendable {
    /// How often the service manager expects a sign of life, in microseconds; nil where it does not ask.
    public let watchdogMicroseconds: UInt64?
    private let address: NotifyAddress?
    private let isStopped = Mutex(false)

    /// - Parameter environment: The process's environment.
    public init(environment: [String: String]) {
        address = environment["NOTIFY_SOCKET"].flatMap { NotifyAddress($0) }
        let isForUs = environment["WATCHDOG_PID"].map { Int32($0) == getpid() } ?? true
        watchdogMicroseconds =
            isForUs ? environment["WATCHDOG_USEC"].flatMap { UInt64($0) }.flatMap { $0 > 0 ? $0 : nil } : nil
    }

    /// The daemon serves.
    public func ready() { send("READY=1") }

    /// The daemon is stopping; no sign of life follows.
    public func stopping() {
        isStopped.withLock { $0 = true }
        send("STOPPING=1")
    }

    /// One line for `systemctl status`.
    public func status(_ text: String) {
        let line = text.unicodeScalars.map { $0.properties.generalCategory == .control ? " " : String($0) }.joined()
        send("STATUS=" + line)
    }

    /// Starts a thread that gives a sign of life at half the time the service manager allows, as long as `isAlive`
    /// says so. Does nothing where the service manager does not ask for it.
    public func startWatchdog(isAlive: @escaping @Sendable () -> Bool) {
        guard address != nil, let limit = watchdogMicroseconds else { return }
        let interval = max(limit / 2, 1)
        let pulse = Pulse { [self] in
            while true {
                if isStopped.withLock({ $0 }) { return }
                if isAlive() { send("WATCHDOG=1") }
                var pause = timespec(
                    tv_sec: Int(clamping: interval / 1_000_000),
                    tv_nsec: Int(interval % 1_000_000) * 1_000
                )
                // Woken early by a signal, the next sign of life comes early.
                nanosleep(&pause, nil)
            }
        }
        var thread = pthread_t()
        let context = Unmanaged.passRetained(pulse)
        let code = pthread_create(
            &thread,
            nil,
            { context in
                guard let context else { return nil }
                Unmanaged<Pulse>.fromOpaque(context).takeRetainedValue().run()
                return nil
            },
            context.toOpaque()
        )
        if code == 0 { pthread_detach(thread) } else { context.release() }
    }

    private func send(_ state: String) { address?.send(Array(state.utf8)) }

    /// What the watchdog thread runs, boxed for its way through C.
    private final class Pulse: Sendable {
        let run: @Sendable () -> Void

        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }
}

/// The service manager's datagram socket: a path, or a name in the abstract namespace behind an `@`.
private struct NotifyAddress: Sendable {
    private let path: [UInt8]

    init?(_ text: String) {
        var bytes = Array(text.utf8)
        guard bytes.count > 1, bytes.count < MemoryLayout.size(ofValue: sockaddr_un().sun_path) else { return nil }
        switch bytes[0] {
        case UInt8(ascii: "/"): bytes.append(0)
        case UInt8(ascii: "@"): bytes[0] = 0
        default: return nil
        }
        path = bytes
    }

    func send(_ bytes: [UInt8]) {
        let type = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(AF_UNIX, type, 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path) }
        // An abstract name has no end mark: the length alone says where it ends.
        let length = socklen_t((MemoryLayout<sockaddr_un>.offset(of: \.sun_path) ?? 2) + path.count)
        withUnsafePointer(to: address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                while sendto(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL), address, length) < 0,
                    errno == EINTR
                {}
            }
        }
    }
}
