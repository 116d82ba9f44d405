/// The name of an authenticated principal as it stands in entries: a lower-case letter, then lower-case letters,
/// digits, `-`, `_` or `.`, at most 64 bytes. Such a name is for a service, never for a person.
public enum SubmitterName {
    public static func isValid(_ name: String) -> Bool {
        let utf8 = name.utf8
        guard let first = utf8.first, utf8.count <= FormatLimits.submitterBytes, 0x61...0x7A ~= first else {
            return false
        }
        return utf8.allSatisfy { byte in
            0x61...0x7A ~= byte || 0x30...0x39 ~= byte || [0x2D, 0x5F, 0x2E].contains(byte)
        }
    }
}
