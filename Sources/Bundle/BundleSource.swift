import Glibc
import Zip

/// What a bundle's members lie in. Nothing of the verdict rests on it: what is verified is the members.
public enum BundleContainer: String, Sendable {
    /// The one archive that the members of a bundle make (`ledger-format.md` section 14, "Archive").
    case issued = "as-issued"
    /// Another ZIP archive with them.
    case repacked
    /// A folder.
    case folder
}

/// Where the members of a bundle are read from: an archive of either form, or a folder. Input may be hostile.
struct BundleSource {
    struct Member {
        let name: String
        /// As the container states it; no more is read.
        let size: UInt64
        fileprivate let place: Place
    }

    fileprivate enum Place {
        case archive(ZipReader, ZipMember)
        case file(FolderReader, [UInt8])
    }

    /// The most bytes of all members together.
    private static let maximumBytes: UInt64 = 0xFFFF_FFFF

    let container: BundleContainer
    /// In byte order of the names, each name once.
    let members: [Member]
    /// What file managers left: names, which are passed over. May be hostile.
    let leavings: [String]
    /// Why it is not the archive that was issued; nil where it is, and for a folder.
    let deviation: ZipError?

    /// - Throws: `ZipError`.
    init(path: String) throws {
        if let folder = try FolderReader(path: path) {
            (members, leavings) = try BundleSource.sorted(
                folder.files.map { ($0.name, $0.size, .file(folder, $0.name)) }
            )
            (container, deviation) = (.folder, nil)
            var bytes: UInt64 = 0
            for member in members {
                let (sum, isTooMuch) = bytes.addingReportingOverflow(member.size)
                guard !isTooMuch, sum <= BundleSource.maximumBytes else { throw ZipError(.tooLarge) }
                bytes = sum
            }
            return
        }
        do {
            let plain = try ZipReader(path: path)
            members = plain.members.map { Member(name: $0.name, size: $0.size, place: .archive(plain, $0)) }
            (container, leavings, deviation) = (.issued, [], nil)
        } catch let error as ZipError where error.rule != .system {
            let archive: ZipReader
            do { archive = try ZipReader(path: path, form: .ordinary) } catch let other as ZipError {
                // What is no archive at all has one thing wrong with it; else what no archive may have tells more.
                throw other.rule == .notAnArchive ? error : other
            }
            // Of what is passed over, too: behind the end of a deflated content may stand what some readers take for a member.
            for member in archive.members where BundleSource.isLeaving(member.bytes) {
                try archive.read(member) { _ in }
            }
            (members, leavings) = try BundleSource.sorted(
                archive.members.map { ($0.bytes, $0.size, .archive(archive, $0)) }
            )
            (container, deviation) = (.repacked, error)
        }
    }

    /// Sets leavings apart, and takes off the folder all the rest lies in, if there is one.
    private static func sorted(
        _ files: [(name: [UInt8], size: UInt64, place: Place)]
    ) throws -> ([Member], [String]) {
        let leavings = files.filter { isLeaving($0.name) }.map { String(decoding: $0.name, as: UTF8.self) }
        let rest = files.filter { !isLeaving($0.name) }
        let folder = commonFolder(rest.map(\.name))
        var names: Set<[UInt8]> = []
        let members = try rest.map { file in
            let name = String(decoding: file.name.dropFirst(folder), as: UTF8.self)
            // What is not UTF-8 is U+FFFD by now: two names may have become one.
            guard names.insert(Array(name.utf8)).inserted else { throw ZipError(.duplicate, member: name) }
            return Member(name: name, size: file.size, place: file.place)
        }
        return (members.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }, leavings.sorted())
    }

    /// How many bytes the name of the folder has that holds `manifest.json` and everything else; 0 where none does.
    private static func commonFolder(_ names: [[UInt8]]) -> Int {
        let manifest = Array("/\(BundleMember.manifest.name)".utf8)
        let holders = names.filter { $0.suffix(manifest.count) == manifest[...] }.map {
            $0.dropLast(manifest.count - 1)
        }
        guard let folder = holders.min(by: { $0.count < $1.count }), names.allSatisfy({ $0.starts(with: folder) })
        else {
            return 0
        }
        return folder.count
    }

    /// Whether a file is one that file managers leave behind.
    static func isLeaving(_ name: [UInt8]) -> Bool {
        let parts = name.split(separator: UInt8(ascii: "/"))
        guard let last = parts.last else { return false }
        let lowered = String(decoding: last.map { 0x41...0x5A ~= $0 ? $0 | 0x20 : $0 }, as: UTF8.self)
        return ["thumbs.db", "desktop.ini", ".ds_store"].contains { $0.utf8.elementsEqual(lowered.utf8) }
            || last.starts(with: "._".utf8) || parts.count > 1 && parts[0].elementsEqual("__MACOSX".utf8)
    }

    /// Hands over the content of a member in blocks of at most 1 MiB.
    func read(_ member: Member, _ block: (UnsafeRawBufferPointer) throws -> Void) throws {
        switch member.place {
        case .archive(let archive, let entry): try archive.read(entry, block)
        case .file(let folder, let name): try folder.read(name, size: member.size, block)
        }
    }
}
