import Logging

/// One key of the configuration file: what the reference says of it, and how its value is read.
public struct ConfigurationKey: Sendable {
    public let name: String
    public let unit: String
    /// As it would stand in the file; nil where leaving the key out is the only way to say it.
    public let defaultValue: String?
    public let example: String
    public let explanation: String
    let apply: @Sendable (String, inout Configuration) throws(BrokenRule) -> Void
}

/// The kinds of value there are.
extension ConfigurationKey {
    static func path(
        _ name: String,
        _ field: any WritableKeyPath<Configuration, String> & Sendable,
        unit: String,
        maximumBytes: Int = 4_095,
        example: String,
        _ explanation: String
    ) -> ConfigurationKey {
        ConfigurationKey(
            name: name,
            unit: unit,
            defaultValue: Configuration(environment: [:])[keyPath: field],
            example: example,
            explanation: explanation
        ) { text, configuration throws(BrokenRule) in
            configuration[keyPath: field] = try absolutePath(text, maximumBytes: maximumBytes)
        }
    }

    static func optionalPath(
        _ name: String,
        _ field: any WritableKeyPath<Configuration, String?> & Sendable,
        unit: String,
        example: String,
        _ explanation: String
    ) -> ConfigurationKey {
        ConfigurationKey(name: name, unit: unit, defaultValue: nil, example: example, explanation: explanation) {
            text,
            configuration throws(BrokenRule) in
            configuration[keyPath: field] = try absolutePath(text, maximumBytes: 4_095)
        }
    }

    static func number<Value: FixedWidthInteger & Sendable>(
        _ name: String,
        _ field: any WritableKeyPath<Configuration, Value> & Sendable,
        unit: String,
        _ range: ClosedRange<Value>,
        example: String,
        _ explanation: String
    ) -> ConfigurationKey {
        ConfigurationKey(
            name: name,
            unit: unit,
            defaultValue: String(Configuration(environment: [:])[keyPath: field]),
            example: example,
            explanation: explanation
        ) { text, configuration throws(BrokenRule) in
            guard isDigits(text), let value = Value(text), range.contains(value) else {
                throw BrokenRule("must be a whole number from \(range.lowerBound) to \(range.upperBound)")
            }
            configuration[keyPath: field] = value
        }
    }

    static func size(
        _ name: String,
        _ field: any WritableKeyPath<Configuration, Int> & Sendable,
        _ range: ClosedRange<Int>,
        example: String,
        _ explanation: String
    ) -> ConfigurationKey {
        ConfigurationKey(
            name: name,
            unit: "bytes; K, M, G and T stand for powers of 1,024",
            defaultValue: ByteSize.text(Configuration(environment: [:])[keyPath: field]),
            example: example,
            explanation: explanation
        ) { text, configuration throws(BrokenRule) in
            guard let value = ByteSize.parse(text), range.contains(value) else {
                throw BrokenRule(
                    "must be a size from \(ByteSize.text(range.lowerBound)) to \(ByteSize.text(range.upperBound))"
                )
            }
            configuration[keyPath: field] = value
        }
    }

    static func permissions(
        _ name: String,
        _ field: any WritableKeyPath<Configuration, UInt32> & Sendable,
        example: String,
        _ explanation: String
    ) -> ConfigurationKey {
        ConfigurationKey(
            name: name,
            unit: "octal permissions",
            defaultValue: "0" + String(Configuration(environment: [:])[keyPath: field], radix: 8),
            example: example,
            explanation: explanation
        ) { text, configuration throws(BrokenRule) in
            guard isDigits(text), 3...4 ~= text.utf8.count, let value = UInt32(text, radix: 8), value <= 0o777 else {
                throw BrokenRule("must be octal permissions from 0000 to 0777")
            }
            configuration[keyPath: field] = value
        }
    }

    static func flag(
        _ name: String,
        _ field: any WritableKeyPath<Configuration, Bool> & Sendable,
        example: String,
        _ explanation: String
    ) -> ConfigurationKey {
        ConfigurationKey(
            name: name,
            unit: "yes or no",
            defaultValue: Configuration(environment: [:])[keyPath: field] ? "yes" : "no",
            example: example,
            explanation: explanation
        ) { text, configuration throws(BrokenRule) in
            let isYes = text.utf8.elementsEqual("yes".utf8)
            guard isYes || text.utf8.elementsEqual("no".utf8) else { throw BrokenRule("must be yes or no") }
            configuration[keyPath: field] = isYes
        }
    }

    static func level(
        _ name: String,
        _ field: any WritableKeyPath<Configuration, Logger.Level> & Sendable,
        example: String,
        _ explanation: String
    ) -> ConfigurationKey {
        let levels = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
        return ConfigurationKey(
            name: name,
            unit: "one of \(levels)",
            defaultValue: Configuration(environment: [:])[keyPath: field].rawValue,
            example: example,
            explanation: explanation
        ) { text, configuration throws(BrokenRule) in
            guard let level = Logger.Level(rawValue: text) else { throw BrokenRule("must be one of \(levels)") }
            configuration[keyPath: field] = level
        }
    }

    private static func isDigits(_ text: String) -> Bool {
        text.utf8.allSatisfy { 0x30...0x39 ~= $0 }
    }

    private static func absolutePath(_ text: String, maximumBytes: Int) throws(BrokenRule) -> String {
        guard text.utf8.count <= maximumBytes else { throw BrokenRule("must be at most \(maximumBytes) bytes long") }
        let parts = text.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        // Plain paths only, so that comparing two of them as text says whether one lies below the other.
        guard parts.count > 1, parts[0].isEmpty,
            parts.dropFirst().allSatisfy({ !$0.isEmpty && !$0.elementsEqual(".".utf8) && !$0.elementsEqual("..".utf8) })
        else { throw BrokenRule("must be an absolute path without empty, '.' or '..' parts or a '/' at its end") }
        return text
    }
}
