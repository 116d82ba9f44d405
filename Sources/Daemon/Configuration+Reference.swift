extension Configuration {
    /// Every key with its meaning, unit, default and an example, itself a valid file that changes nothing. It is what
    /// `/etc/evidenced/evidenced.conf` is installed as.
    public static let reference: String = {
        var lines = [
            "# Configuration of evidenced: one `key = value` a line. Lines that begin with # are comments.",
            "# A key that is unknown or given twice, or a value outside its rule, keeps the daemon from starting.",
            "",
        ]
        for key in keys {
            lines += comment(key.explanation)
            lines += comment("Unit: \(key.unit). Default: \(key.defaultValue ?? "none"). Example: \(key.example)")
            lines += ["#\(key.name) = \(key.defaultValue ?? key.example)", ""]
        }
        lines += comment(
            "Principals: who may connect, and what they may do. NAME stands in the ledger as the submitter, so name "
                + "services, never persons: a lower-case letter, then lower-case letters, digits, '-', '_' or '.', at "
                + "most 64. The name `evidenced` is the daemon's own."
        )
        lines.append("")
        for (name, unit, example, explanation) in principalKeys {
            lines += comment(explanation)
            lines += comment("Unit: \(unit). Default: none. Example: \(example)")
            lines += ["#\(name)shop = \(example)", ""]
        }
        return lines.dropLast().joined(separator: "\n") + "\n"
    }()

    /// The keys that carry a principal's name behind their dot.
    static let principalKeys: [(prefix: String, unit: String, example: String, explanation: String)] = [
        (
            "principal.", "users and groups, separated by commas", "user:www-data, uid:1000",
            "principal.NAME: whose connections are this principal's: `user:NAME`, `uid:NUMBER`, `group:NAME`, "
                + "`gid:NUMBER`, the group being the connecting process's primary one. Users go before groups."
        ),
        (
            "role.", "roles, separated by commas", "submitter, auditor",
            "role.NAME: what it may do. submitter appends events; reader reads entries and looks documents up; auditor "
                + "reads entries, proofs and tiles; discloser opens claims, that is, reads personal data; operator "
                + "asks for metrics, makes backups and confirms the clock. Each may ask for the state and for checkpoints."
        ),
        (
            "types.", "event types, separated by commas", "evidence.*, contract.signed",
            "types.NAME: which events a submitter may append, as names or as all of a domain. Without it, every type "
                + "that is not the daemon's own."
        ),
    ]

    private static func comment(_ text: String) -> [String] {
        var lines: [String] = []
        var line = "#"
        for word in text.split(separator: " ") {
            if line.count + word.count > 98 {
                lines.append(line)
                line = "#"
            }
            line += " " + word
        }
        return lines + [line]
    }
}
