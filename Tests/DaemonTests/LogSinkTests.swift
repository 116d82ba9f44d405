import Glibc
import Testing

@testable import Daemon

/// Log lines go out behind whoever logs.
@Suite struct LogSinkTests {
    private func pipe() throws -> (reading: Int32, writing: Int32) {
        var ends: [Int32] = [0, 0]
        try #require(Glibc.pipe(&ends) == 0)
        return (ends[0], ends[1])
    }

    private func read(_ descriptor: Int32, until end: String) -> String {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while !String(decoding: bytes, as: UTF8.self).hasSuffix(end) {
            var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&waiting, 1, 5_000) == 1 else { break }
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            guard count > 0 else { break }
            bytes += buffer[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test func linesComeOutInTheirOrder() throws {
        let (reading, writing) = try pipe()
        let sink = LogSink(descriptor: writing)
        for number in 0..<1_000 { sink.write(Array("line \(number)\n".utf8)) }
        #expect(read(reading, until: "line 999\n") == (0..<1_000).map { "line \($0)\n" }.joined())
        #expect(sink.flush(milliseconds: 5_000))
    }

    /// Far more than a pipe and the buffer hold, while nobody reads: nobody waits, and what was lost is told.
    @Test func whoeverLogsNeverWaitsAndWhatIsLostIsCounted() throws {
        let (reading, writing) = try pipe()
        let sink = LogSink(descriptor: writing, capacity: 100_000)
        let line = Array((String(repeating: "x", count: 999) + "\n").utf8)
        let begin = ContinuousClock.now
        for _ in 0..<1_000 { sink.write(line) }
        #expect(ContinuousClock.now - begin < .seconds(2))
        #expect(!sink.flush(milliseconds: 50))
        // What is lost is told as soon as there is room, so perhaps more than once.
        var lines: [Substring] = []
        var told = 0
        while lines.count(where: { $0.hasPrefix("xxx") }) + told < 1_000 {
            let text = read(reading, until: "\n")
            guard !text.isEmpty else { break }
            lines += text.split(separator: "\n")
            told = lines.reduce(0) { sum, line in
                guard line.hasPrefix("<4>"), line.hasSuffix(" log messages were dropped here, for nobody read them")
                else { return sum }
                return sum + (Int(line.dropFirst(3).prefix { $0.isNumber }) ?? 0)
            }
        }
        #expect(told > 0)
        #expect(lines.count { $0.hasPrefix("xxx") } + told == 1_000)
        sink.write(Array("after\n".utf8))
        #expect(read(reading, until: "after\n").hasSuffix("after\n"))
    }
}
