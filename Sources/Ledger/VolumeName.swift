import CLinux
import Files
import Glibc

/// What names the volume a file lies on across boots, and tells it from its snapshots and clones (`ledger-format.md`
/// section 8). Everybody may read what it is taken from.
enum VolumeName {
    /// File systems that are not on one block device, and whose f_fsid is kept with them and differs from that of a
    /// snapshot or clone: btrfs (one for each subvolume) and ZFS (one for each dataset).
    private static let selfNamed: Set<UInt32> = [0x9123_683E, 0x2FC1_2FC1]
    /// What of a block device in sysfs names it, in order of preference, and the source it is noted under.
    private static let attributes = [
        ("dm/uuid", "dm"), ("device/wwid", "wwid"), ("serial", "serial"), ("device/serial", "serial"),
        ("device/cid", "cid"), ("loop/backing_file", "loop"),
    ]
    private static let limit = 200

    /// The name; nil where the volume has none.
    static func find(_ place: evidenced_place, systemFiles: String) -> String? {
        guard place.device_major != 0 else {
            guard selfNamed.contains(place.file_system) else { return nil }
            let digits = String(place.file_system_id, radix: 16)
            return "fs:" + String(repeating: "0", count: 16 - digits.utf8.count) + digits
        }
        let device = "\(systemFiles)/dev/block/\(place.device_major):\(place.device_minor)"
        let partition = read(device + "/partition")
        let disk = partition == nil ? device : device + "/.."
        for (attribute, source) in attributes {
            guard let value = read("\(disk)/\(attribute)") else { continue }
            return "\(source):\(value)" + (partition.map { "/\($0)" } ?? "")
        }
        return nil
    }

    /// Whether two names were taken from the same source; else they say nothing of one another.
    static func areComparable(_ one: String, _ other: String) -> Bool {
        let colon = UInt8(ascii: ":")
        return one.utf8.prefix { $0 != colon }.elementsEqual(other.utf8.prefix { $0 != colon })
    }

    /// Whether the lock may hold this for a name, or for the lack of one.
    static func isName(_ text: Substring.UTF8View) -> Bool { !text.isEmpty && text.allSatisfy(isVisible) }

    private static func isVisible(_ byte: UInt8) -> Bool { 0x21...0x7E ~= byte }

    /// The value of an attribute without white space at its ends, with `_` for each other byte that isn't visible ASCII;
    /// nil where there is none.
    private static func read(_ path: String) -> String? {
        guard let bytes = try? FileSystem.read(path, limit: 4_096) else { return nil }
        let isSpace: (UInt8) -> Bool = { $0 == 0x20 || $0 == 0x0A || $0 == 0 }
        let value = bytes.drop(while: isSpace).reversed().drop(while: isSpace).reversed()
        guard !value.isEmpty else { return nil }
        return String(decoding: value.suffix(limit).map { isVisible($0) ? $0 : UInt8(ascii: "_") }, as: UTF8.self)
    }
}
