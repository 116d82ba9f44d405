/// Why a configuration is refused: where, which key, and the rule it breaks.
public struct ConfigurationError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The file, where there is one.
    public let file: String?
    /// Counted from 1; nil where the file as a whole is refused.
    public let line: Int?
    public let key: String?
    public let rule: String

    init(file: String? = nil, line: Int? = nil, key: String? = nil, rule: String) {
        self.file = file
        self.line = line
        self.key = key
        self.rule = rule
    }

    func inFile(_ path: String) -> ConfigurationError {
        ConfigurationError(file: path, line: line, key: key, rule: rule)
    }

    public var description: String {
        let place = [file, line.map { "line \($0)" }, key].compactMap { $0 }
        return (place + [rule]).joined(separator: ": ")
    }
}

/// The rule a value breaks, before it is known on which line it stands.
struct BrokenRule: Error, Equatable {
    let rule: String

    init(_ rule: String) { self.rule = rule }
}
