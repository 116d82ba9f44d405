import JSON
import LedgerFormat
import Varlink

/// The parameters of a call, read strictly: each one known, of its type, and null as good as absent.
struct CallParameters {
    private let members: [JSONMember]

    /// - Throws: `VarlinkError` InvalidArgument for malformed JSON or an unknown parameter.
    init(_ bytes: [UInt8], known: [String]) throws(VarlinkError) {
        let parsed: JSONValue
        do throws(JSONError) {
            parsed = try JSONReader.parse(bytes)
        } catch {
            throw LedgerErrors.invalidArgument("parameters", "must be a JSON object: \(error)")
        }
        guard let members = parsed.object else {
            throw LedgerErrors.invalidArgument("parameters", "must be a JSON object")
        }
        for member in members where !known.contains(member.name) {
            let rule = known.isEmpty ? "must be empty" : "must hold only \(known.joined(separator: ", "))"
            throw LedgerErrors.invalidArgument("parameters", rule)
        }
        self.members = members.filter { $0.value != .null }
    }

    private func value(_ name: String) -> JSONValue? { members.first { $0.name == name }?.value }

    func has(_ name: String) -> Bool { value(name) != nil }

    /// An integer from 0, nil where absent.
    func number(_ name: String) throws(VarlinkError) -> UInt64? {
        guard let value = value(name) else { return nil }
        guard let number = value.int, number >= 0 else {
            throw LedgerErrors.invalidArgument(name, "must be an integer from 0")
        }
        return UInt64(number)
    }

    func number(_ name: String, in range: ClosedRange<Int>, default fallback: Int) throws(VarlinkError) -> Int {
        guard let value = value(name) else { return fallback }
        guard let number = value.int, range.contains(Int(number)) else {
            throw LedgerErrors.invalidArgument(
                name,
                "must be an integer from \(range.lowerBound) to \(range.upperBound)"
            )
        }
        return Int(number)
    }

    func requiredNumber(_ name: String) throws(VarlinkError) -> UInt64 {
        guard let number = try number(name) else { throw LedgerErrors.invalidArgument(name, "must be given") }
        return number
    }

    func flag(_ name: String) throws(VarlinkError) -> Bool {
        guard let value = value(name) else { return false }
        guard let flag = value.bool else { throw LedgerErrors.invalidArgument(name, "must be true or false") }
        return flag
    }

    func string(_ name: String) throws(VarlinkError) -> String? {
        guard let value = value(name) else { return nil }
        guard let string = value.string else { throw LedgerErrors.invalidArgument(name, "must be a string") }
        return string
    }

    /// The members of an object that must be given.
    func object(_ name: String) throws(VarlinkError) -> [JSONMember] {
        guard let members = value(name)?.object else {
            throw LedgerErrors.invalidArgument(name, "must be given, a JSON object")
        }
        return members
    }

    func strings(_ name: String) throws(VarlinkError) -> [String]? {
        guard let value = value(name) else { return nil }
        guard let elements = value.array else {
            throw LedgerErrors.invalidArgument(name, "must be a list of strings")
        }
        var strings: [String] = []
        for element in elements {
            guard let string = element.string else {
                throw LedgerErrors.invalidArgument(name, "must be a list of strings")
            }
            strings.append(string)
        }
        return strings
    }

    func required<Value>(
        _ name: String,
        _ rule: String,
        _ parse: (String) -> Value?
    ) throws(VarlinkError) -> Value {
        guard let value = try optional(name, rule, parse) else {
            throw LedgerErrors.invalidArgument(name, "must be given")
        }
        return value
    }

    /// A string that must parse as something.
    func optional<Value>(
        _ name: String,
        _ rule: String,
        _ parse: (String) -> Value?
    ) throws(VarlinkError) -> Value? {
        guard let text = try string(name) else { return nil }
        guard let value = parse(text) else { throw LedgerErrors.invalidArgument(name, rule) }
        return value
    }
}
