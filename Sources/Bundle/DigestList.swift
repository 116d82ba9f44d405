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
        var stated: [[UInt8]: ArraySlice<UInt8>] = [:]
        var differences: [(String, Bool)] = []
        for line in list.split(separator: 0x0A) {
            guard let gap = line.firstRange(of: "  ".utf8),
                stated.updateValue(line[..<gap.lowerBound], forKey: Array(line[gap.upperBound...])) == nil
            else {
                differences.append((String(String(decoding: line, as: UTF8.self).prefix(80)), true))
                continue
            }
        }
        let digests = Dictionary(uniqueKeysWithValues: right.map { (Array($0.key.utf8), $0.value.hex.utf8) })
        let names = Set(stated.keys).union(digests.keys).sorted { $0.lexicographicallyPrecedes($1) }
        for name in names {
            if let one = stated[name], let other = digests[name], one.elementsEqual(other) { continue }
            differences.append((String(decoding: name, as: UTF8.self), false))
        }
        return differences
    }
}
