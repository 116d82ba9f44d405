import Glibc
public import Logging

/// Logs to standard error, one line a message, and never waits for whoever reads it.
///
/// Where the journal or another program reads it, each line begins with the level as the journal takes it (`<6>`,
/// sd-daemon(3)); on a terminal with the level's name. Metadata follows as `key=value`, in the order of keys.
public struct JournalLogHandler: LogHandler {
    public var metadata: Logger.Metadata = [:]
    public var metadataProvider: Logger.MetadataProvider?
    public var logLevel: Logger.Level
    private let hasPrefixes: Bool
    private let write: @Sendable ([UInt8]) -> Void

    /// - Parameter environment: The process's environment; the service manager sets `JOURNAL_STREAM`.
    public init(level: Logger.Level, environment: [String: String]) {
        let isJournal = environment["JOURNAL_STREAM"] != nil || isatty(STDERR_FILENO) == 0
        self.init(level: level, hasPrefixes: isJournal) { LogSink.standardError.write($0) }
    }

    init(level: Logger.Level, hasPrefixes: Bool, write: @escaping @Sendable ([UInt8]) -> Void) {
        logLevel = level
        self.hasPrefixes = hasPrefixes
        self.write = write
    }

    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        var line = hasPrefixes ? JournalLogHandler.priority(event.level) : event.level.rawValue + ": "
        JournalLogHandler.append(event.message.description, to: &line)
        if let error = event.error { JournalLogHandler.append(": \(error)", to: &line) }
        var fields = metadata
        if let provided = metadataProvider?.get() { fields.merge(provided) { $1 } }
        if let given = event.metadata { fields.merge(given) { $1 } }
        for (key, value) in fields.sorted(by: { $0.key < $1.key }) {
            line += " "
            JournalLogHandler.append(key, to: &line)
            line += "="
            JournalLogHandler.appendValue(value.description, to: &line)
        }
        line += "\n"
        write(Array(line.utf8))
    }

    /// The syslog priority of a level.
    private static func priority(_ level: Logger.Level) -> String {
        switch level {
        case .trace, .debug: "<7>"
        case .info: "<6>"
        case .notice: "<5>"
        case .warning: "<4>"
        case .error: "<3>"
        case .critical: "<2>"
        }
    }

    /// Quotes a value where a reader could not tell its end.
    private static func appendValue(_ text: String, to line: inout String) {
        guard text.isEmpty || text.unicodeScalars.contains(where: { $0 == " " || $0 == "\"" || $0 == "=" }) else {
            return append(text, to: &line)
        }
        line += "\""
        append(text, to: &line, escapingQuotes: true)
        line += "\""
    }

    /// Appends text on one line: a client's newline must not begin a message of its own.
    private static func append(_ text: String, to line: inout String, escapingQuotes: Bool = false) {
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n": line += "\\n"
            case "\r": line += "\\r"
            case "\t": line += "\\t"
            case "\\": line += "\\\\"
            case "\"" where escapingQuotes: line += "\\\""
            default:
                if [.control, .lineSeparator, .paragraphSeparator].contains(scalar.properties.generalCategory) {
                    line += "\\u{" + String(scalar.value, radix: 16) + "}"
                } else {
                    line.unicodeScalars.append(scalar)
                }
            }
        }
    }
}
