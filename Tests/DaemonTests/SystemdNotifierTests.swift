import Glibc
import Testing

@testable import Daemon

@Suite struct SystemdNotifierTests {
    @Test(arguments: [false, true])
    func statesArriveOneDatagramEach(isAbstract: Bool) throws {
        let manager = try ServiceManager(isAbstract: isAbstract)
        let notifier = SystemdNotifier(environment: ["NOTIFY_SOCKET": manager.name])
        notifier.ready()
        notifier.status("serving\nREADY=1\u{0}x")
        notifier.stopping()
        #expect(manager.next() == "READY=1")
        #expect(manager.next() == "STATUS=serving READY=1 x")
        #expect(manager.next() == "STOPPING=1")
        #expect(manager.next(milliseconds: 0) == nil)
    }

    @Test func theWatchdogBeatsTwiceAPeriodWhileAlive() throws {
        let manager = try ServiceManager(isAbstract: true)
        let environment = [
            "NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "100000", "WATCHDOG_PID": String(getpid()),
        ]
        let notifier = SystemdNotifier(environment: environment)
        notifier.startWatchdog(isAlive: { true })
        var last: ContinuousClock.Instant?
        var gaps: [Duration] = []
        for _ in 0..<6 {
            #expect(manager.next() == "WATCHDOG=1")
            let now = ContinuousClock.now
            if let last { gaps.append(now - last) }
            last = now
        }
        // A busy machine may lengthen single gaps, so only the shortest and their sum say something.
        #expect(try #require(gaps.min()) < .milliseconds(90))
        #expect(gaps.reduce(.zero, +) >= .milliseconds(200))
        notifier.stopping()
        while let state = manager.next(), state != "STOPPING=1" {}
        #expect(manager.next(milliseconds: 200) == nil)
    }

    @Test func aStuckDaemonGivesNoSignOfLife() throws {
        let manager = try ServiceManager(isAbstract: true)
        let notifier = SystemdNotifier(environment: ["NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "20000"])
        notifier.startWatchdog(isAlive: { false })
        #expect(manager.next(milliseconds: 200) == nil)
        notifier.stopping()
    }

    @Test(
        arguments: [
            ([:], nil),
            (["WATCHDOG_USEC": "2000000"], 2_000_000),
            (["WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "1"], nil),
            (["WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "x"], nil),
            (["WATCHDOG_USEC": "0"], nil),
            (["WATCHDOG_USEC": "-5"], nil),
            (["WATCHDOG_USEC": "soon"], nil),
        ] as [([String: String], UInt64?)]
    )
    func watchdogPeriods(environment: [String: String], period: UInt64?) {
        #expect(SystemdNotifier(environment: environment).watchdogMicroseconds == period)
    }

    @Test(arguments: [
        "", "/", "@", "relative", "vsock:2:1234", "/nowhere/at/all", "/" + String(repeating: "x", count: 200),
    ])
    func unusableSocketsAreIgnored(name: String) {
        let notifier = SystemdNotifier(environment: ["NOTIFY_SOCKET": name, "WATCHDOG_USEC": "1"])
        notifier.ready()
        notifier.stopping()
    }
}

/// The receiving end of NOTIFY_SOCKET.
private final class ServiceManager {
    let name: String
    private let descriptor: Int32
    private let path: String?

    init(isAbstract: Bool) throws {
        let random = UInt64.random(in: 0...UInt64.max)
        name = isAbstract ? "@evidenced-\(random)" : "/tmp/evidenced-notify-\(random)"
        path = isAbstract ? nil : name
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var bytes = Array(name.utf8)
        if isAbstract { bytes[0] = 0 }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let length = socklen_t(2 + bytes.count)
        let descriptor = descriptor
        let code = withUnsafePointer(to: address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) }
        }
        try #require(code == 0)
    }

    deinit {
        close(descriptor)
        if let path { unlink(path) }
    }

    func next(milliseconds: Int32 = 2_000) -> String? {
        var poller = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&poller, 1, milliseconds) == 1 else { return nil }
        var bytes = [UInt8](repeating: 0, count: 4_096)
        let count = recv(descriptor, &bytes, bytes.count, 0)
        return count < 0 ? nil : String(decoding: bytes.prefix(count), as: UTF8.self)
    }
}
