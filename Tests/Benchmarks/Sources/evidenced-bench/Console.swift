import Glibc

/// Standard output and error, unbuffered: figures that go through a pipe arrive as they come.
enum Console {
    /// Ends the run where nobody takes what it prints.
    static func print(_ line: String) {
        if !write(line, to: STDOUT_FILENO) { kill(getpid(), SIGTERM) }
    }

    static func remark(_ line: String) { _ = write(line, to: STDERR_FILENO) }

    private static func write(_ line: String, to descriptor: Int32) -> Bool {
        let bytes = Array((line + "\n").utf8)
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { bytes in
                Glibc.write(descriptor, bytes.baseAddress.map { $0 + done }, bytes.count - done)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            done += count
        }
        return true
    }
}
