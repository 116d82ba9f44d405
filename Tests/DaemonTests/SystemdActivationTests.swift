import Glibc
import Testing

@testable import Daemon

/// Each case runs in a process of its own: the environment belongs to all of it.
@Suite struct SystemdActivationTests {
    @Test func nothingPassedMeansNothing() async {
        await #expect(processExitsWith: .success) {
            try expectPassed(nil)
            announce(pid: getpid() + 1, count: "1")
            try expectPassed(nil)
            announce(pid: getpid(), count: "0")
            try expectPassed(nil)
        }
    }

    @Test func aListeningSocketIsTaken() async {
        await #expect(processExitsWith: .success) {
            try withPassed(listening(SOCK_STREAM)) {
                announce(pid: getpid(), count: "1", names: "varlink")
                try expectPassed(passedDescriptor)
                #expect(fcntl(passedDescriptor, F_GETFD) & FD_CLOEXEC != 0)
            }
            for name in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] { #expect(getenv(name) == nil) }
            try expectPassed(nil)
        }
    }

    @Test func otherDescriptorsAreRefused() async {
        await #expect(processExitsWith: .success) {
            let others: [Int32] = [
                open("/dev/null", O_RDONLY),
                socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0),
                socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0),
                listening(SOCK_SEQPACKET),
                -1,
            ]
            for descriptor in others {
                withPassed(descriptor) {
                    announce(pid: getpid(), count: "1")
                    #expect(throws: ActivationError.self) {
                        try SystemdActivation.listeningDescriptor(from: passedDescriptor)
                    }
                    #expect(getenv("LISTEN_FDS") == nil)
                }
            }
        }
    }

    @Test func malformedVariablesAreRefused() async {
        await #expect(processExitsWith: .success) {
            for count in ["2", "-1", "x", "", "2147483647", "99999999999"] {
                announce(pid: getpid(), count: count)
                #expect(throws: ActivationError.self) {
                    try SystemdActivation.listeningDescriptor(from: passedDescriptor)
                }
            }
            setenv("LISTEN_PID", "me", 1)
            #expect(throws: ActivationError.self) { try SystemdActivation.listeningDescriptor(from: passedDescriptor) }
            setenv("LISTEN_PID", String(getpid()), 1)
            #expect(throws: ActivationError.self) { try SystemdActivation.listeningDescriptor(from: passedDescriptor) }
        }
    }
}

private func expectPassed(_ expected: Int32?) throws {
    let passed = try SystemdActivation.listeningDescriptor(from: passedDescriptor)
    #expect(passed == expected)
}

private func announce(pid: Int32, count: String, names: String? = nil) {
    setenv("LISTEN_PID", String(pid), 1)
    setenv("LISTEN_FDS", count, 1)
    if let names { setenv("LISTEN_FDNAMES", names, 1) }
}

/// A Unix socket bound to a name the kernel picks, listening.
private func listening(_ type: __socket_type) -> Int32 {
    let descriptor = socket(AF_UNIX, Int32(type.rawValue), 0)
    var address = sockaddr()
    address.sa_family = sa_family_t(AF_UNIX)
    bind(descriptor, &address, socklen_t(MemoryLayout<sa_family_t>.size))
    listen(descriptor, 1)
    return descriptor
}

/// Stands for descriptor 3, which the test runner may be using.
private let passedDescriptor: Int32 = 200

/// Puts a descriptor in the place of the one that is passed; none for -1.
private func withPassed(_ descriptor: Int32, _ body: () throws -> Void) rethrows {
    if descriptor >= 0 { dup2(descriptor, passedDescriptor) }
    defer { close(passedDescriptor) }
    try body()
}
