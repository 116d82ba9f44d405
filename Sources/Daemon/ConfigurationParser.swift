import Ledger
import Varlink

/// Reads a configuration file line by line, then checks what no line alone can tell.
struct ConfigurationParser {
    private var configuration: Configuration
    private var principals = PrincipalReader()
    /// Where each key was given.
    private var lines: [String: Int] = [:]

    private static let keys = Dictionary(uniqueKeysWithValues: Configuration.keys.map { ($0.name, $0) })

    init(environment: [String: String]) {
        configuration = Configuration(environment: environment)
    }

    mutating func parse(_ text: String) throws(ConfigurationError) -> Configuration {
        // By bytes: to Swift "\r\n" is one character, and combining marks would hide a separator.
        let lines = text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        for (offset, bytes) in lines.enumerated() {
            try read(ConfigurationParser.trimmed(bytes), line: offset + 1)
        }
        try checkTogether()
        configuration.access = try principals.policy()
        return configuration
    }

    private mutating func read(_ bytes: Substring.UTF8View, line: Int) throws(ConfigurationError) {
        if bytes.isEmpty || bytes.first == UInt8(ascii: "#") { return }
        guard let equals = bytes.firstIndex(of: UInt8(ascii: "=")) else {
            throw ConfigurationError(line: line, rule: "must be `key = value`, or begin with #")
        }
        let key = String(Substring(ConfigurationParser.trimmed(bytes[..<equals])))
        let value = String(Substring(ConfigurationParser.trimmed(bytes[bytes.index(after: equals)...])))
        guard value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
            throw ConfigurationError(line: line, key: key, rule: "the value holds a control character")
        }
        if let first = lines.updateValue(line, forKey: key) {
            throw ConfigurationError(line: line, key: key, rule: "already given on line \(first)")
        }
        do throws(BrokenRule) {
            if let known = ConfigurationParser.keys[key] {
                guard !value.isEmpty else { throw BrokenRule("has no value") }
                try known.apply(value, &configuration)
            } else if try !principals.read(key: key, value: value, line: line) {
                throw BrokenRule("unknown key")
            }
        } catch {
            throw ConfigurationError(line: line, key: key, rule: error.rule)
        }
    }

    private func checkTogether() throws(ConfigurationError) {
        let settings = configuration.ledgerSettings
        if settings.maximumMapBytes < settings.mapBytes {
            throw refusal(["map-limit", "map-size"], rule: "map-limit must not be below map-size")
        }
        let limits = configuration.varlinkLimits
        if limits.inputBytes < limits.messageBytes {
            throw refusal(["input-bytes", "message-bytes"], rule: "input-bytes must not be below message-bytes")
        }
        let conflict = configuration.locations.conflict(
            keyring: configuration.keyring,
            backupRoot: configuration.backupRoot
        )
        if let conflict { throw refusal(conflict.keys, rule: conflict.rule) }
        if configuration.varlinkLimits.connectionsPerUser > configuration.varlinkLimits.connections {
            throw refusal(
                ["maximum-connections-per-user", "maximum-connections"],
                rule: "maximum-connections-per-user must not be above maximum-connections"
            )
        }
    }

    /// Names the later of the lines that together break the rule.
    private func refusal(_ keys: [String], rule: String) -> ConfigurationError {
        let given = keys.compactMap { key in lines[key].map { (key: key, line: $0) } }
        let last = given.max { $0.line < $1.line }
        return ConfigurationError(line: last?.line, key: last?.key, rule: rule)
    }

    private static func trimmed(_ bytes: Substring.UTF8View) -> Substring.UTF8View {
        let blanks: Set<UInt8> = [0x20, 0x09, 0x0D]
        guard let first = bytes.firstIndex(where: { !blanks.contains($0) }),
            let last = bytes.lastIndex(where: { !blanks.contains($0) })
        else { return bytes[bytes.endIndex...] }
        return bytes[first...last]
    }
}
