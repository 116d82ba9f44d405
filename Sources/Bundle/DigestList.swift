import Merkle

/// `SHA256SUMS`: for each member in byte order of the names its digest in hex, two spaces, the name and a line feed, as
/// `sha256sum` writes it (`ledger-format.md` section 14).
enum DigestList {
    static func text(_ digests: [String: Digest]) -> [UInt8] {
        let names = digests.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
        return names.flatMap { Array("\($0.value.hex)  \($0.key)\n".utf8) }
    }

    /// What a list says otherwise than another: names of members, and lines that are none.
    static func differences(_ list: [UInt8], from right: [String: Digest]) -> [(name: String, isLine: Bool)] {
        var stated: [String: String] = [:]
        var differences: [(String, Bool)] = []
        for line in list.split(separator: 0x0A) {
            let text = String(decoding: line, as: UTF8.self)
            let parts = text.split(separator: "  ", maxSplits: 1)
            guard parts.count == 2, stated.updateValue(String(parts[0]), forKey: String(parts[1])) == nil else {
                differences.append((String(text.prefix(80)), true))
                continue
            }
        }
        for name in Set(stated.keys).union(right.keys).sorted() where stated[name] != right[name]?.hex {
            differences.append((name, false))
        }
        return differences
    }
}
