/// Why an event was refused: the field, and the rule it breaks. Neither ever repeats a value.
public struct EventError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Such as `type`, `streams`, `body.basis` or `claims.name`.
    public let field: String
    public let rule: String

    public init(field: String, rule: String) {
        self.field = field
        self.rule = rule
    }

    public var description: String { "\(field) \(rule)" }
}
