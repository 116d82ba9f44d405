import Logging
import Synchronization
import Testing

@testable import Daemon

@Suite struct JournalLogHandlerTests {
    private final class Lines: Sendable {
        private let lines = Mutex<[String]>([])
        var all: [String] { lines.withLock { $0 } }
        func add(_ bytes: [UInt8]) { lines.withLock { $0.append(String(decoding: bytes, as: UTF8.self)) } }
    }

    private static func logger(_ lines: Lines, level: Logger.Level = .trace, hasPrefixes: Bool = true) -> Logger {
        Logger(label: "test") { _ in
            JournalLogHandler(level: level, hasPrefixes: hasPrefixes) { lines.add($0) }
        }
    }

    /// Priorities as syslog.h numbers them.
    @Test(arguments: [
        (Logger.Level.trace, 7), (.debug, 7), (.info, 6), (.notice, 5), (.warning, 4), (.error, 3), (.critical, 2),
    ])
    func levels(level: Logger.Level, priority: Int) {
        let lines = Lines()
        Self.logger(lines).log(level: level, "hello")
        Self.logger(lines, hasPrefixes: false).log(level: level, "hello")
        #expect(lines.all == ["<\(priority)>hello\n", "\(level.rawValue): hello\n"])
    }

    @Test func lowerLevelsAreLeftOut() {
        let lines = Lines()
        let logger = Self.logger(lines, level: .warning)
        logger.info("no")
        logger.warning("yes")
        #expect(lines.all == ["<4>yes\n"])
    }

    @Test func aMessageIsOneLine() {
        let lines = Lines()
        Self.logger(lines).info("a\r\n<0>b\t\\\u{1B}[31m\u{2028}\u{0}é")
        #expect(lines.all == ["<6>a\\r\\n<0>b\\t\\\\\\u{1b}[31m\\u{2028}\\u{0}é\n"])
    }

    @Test func metadataFollowsInOrderAndQuoted() {
        let lines = Lines()
        var logger = Self.logger(lines)
        logger[metadataKey: "zeta"] = "1"
        logger[metadataKey: "peer"] = "old"
        logger.info("m", metadata: ["peer": "a b", "alpha": "x=\"y\"\n", "empty": ""])
        #expect(lines.all == ["<6>m alpha=\"x=\\\"y\\\"\\n\" empty=\"\" peer=\"a b\" zeta=1\n"])
    }

    @Test func metadataIsAValue() {
        let lines = Lines()
        let first = Self.logger(lines)
        var second = first
        second[metadataKey: "k"] = "v"
        second.logLevel = .error
        first.info("m")
        second.info("m")
        #expect(lines.all == ["<6>m\n"])
    }
}
