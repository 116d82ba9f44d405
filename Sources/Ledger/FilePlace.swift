import CLinux
import Files
import Glibc

/// Where a file lies, told by what no copy of it has in common with it (`ledger-format.md` section 8): the inode's
/// number, when the file was created, and the volume it lies on.
///
/// Device numbers are no part of it: the kernel hands them out in the order in which it finds devices, another one after
/// the next boot perhaps.
struct FilePlace: Equatable, Sendable {
    /// The time of a file's creation.
    struct Birth: Equatable, Sendable {
        let seconds: Int64
        let nanoseconds: UInt32
    }

    let inode: UInt64
    /// nil where the file system keeps no such time.
    let birth: Birth?
    /// A name of the volume that outlives a boot: what it is taken from, a colon, and what that says, in visible ASCII.
    /// nil where there is none.
    let volume: String?

    init(inode: UInt64, birth: Birth?, volume: String?) {
        self.inode = inode
        self.birth = birth
        self.volume = volume
    }

    /// - Parameter systemFiles: where sysfs is mounted.
    init(_ place: evidenced_place, systemFiles: String = "/sys") {
        inode = place.inode
        // A file system of FUSE may say anything.
        let isKept =
            (place.birth_seconds != 0 || place.birth_nanoseconds != 0) && place.birth_nanoseconds < 1_000_000_000
        birth = isKept ? Birth(seconds: place.birth_seconds, nanoseconds: place.birth_nanoseconds) : nil
        volume = VolumeName.find(place, systemFiles: systemFiles)
    }

    /// Whether a file found at another time may be this one: what is known of both is the same. Names of volumes that
    /// were taken from different sources say nothing of one another.
    func mayBe(_ other: FilePlace) -> Bool {
        if inode != other.inode { return false }
        if let birth, let known = other.birth, birth != known { return false }
        guard let volume, let known = other.volume, VolumeName.areComparable(volume, known) else { return true }
        return volume.utf8.elementsEqual(known.utf8)
    }

    /// As a line of the checkpoint lock has it: inode, birth, volume, and `-` for what is not known.
    var text: String {
        let born = birth.map { birth in
            let nanoseconds = String(birth.nanoseconds)
            return "\(birth.seconds).\(String(repeating: "0", count: 9 - nanoseconds.utf8.count))\(nanoseconds)"
        }
        return "\(inode) \(born ?? "-") \(volume ?? "-")"
    }

    /// Reads what `text` writes, and perhaps other spellings of it.
    init?(parsing text: Substring) {
        let parts = text.utf8.split(separator: 0x20, omittingEmptySubsequences: false).map(Substring.init)
        guard parts.count == 3, let inode = UInt64(parts[0]), VolumeName.isName(parts[2].utf8) else { return nil }
        self.inode = inode
        volume = parts[2].utf8.elementsEqual("-".utf8) ? nil : String(parts[2])
        if parts[1].utf8.elementsEqual("-".utf8) {
            birth = nil
        } else {
            let born = parts[1].utf8.split(separator: 0x2E, omittingEmptySubsequences: false).map(Substring.init)
            guard born.count == 2, let seconds = Int64(born[0]), let nanoseconds = UInt32(born[1]),
                nanoseconds < 1_000_000_000
            else { return nil }
            birth = Birth(seconds: seconds, nanoseconds: nanoseconds)
        }
    }
}

/// A file that is open, and where it was when it was opened.
struct OpenFile {
    let descriptor: Int32
    let path: String
    /// Where it lies, for whoever finds it another time.
    let place: FilePlace
    private let raw: evidenced_place

    /// Takes note of where the file of a descriptor lies.
    init(_ descriptor: Int32, path: String) throws {
        var raw = evidenced_place()
        let code = evidenced_place_of(descriptor, &raw)
        guard code == 0 else { throw SystemError("asking where \(path) lies", errno: code) }
        self.init(descriptor, path: path, place: FilePlace(raw), raw: raw)
    }

    private init(_ descriptor: Int32, path: String, place: FilePlace, raw: evidenced_place) {
        self.descriptor = descriptor
        self.path = path
        self.place = place
        self.raw = raw
    }

    /// The same file after it was given another name.
    func renamed(_ path: String) -> OpenFile { OpenFile(descriptor, path: path, place: place, raw: raw) }

    /// Whether both are open on one file.
    func isSame(as other: OpenFile) -> Bool {
        raw.inode == other.raw.inode && raw.device_major == other.raw.device_major
            && raw.device_minor == other.raw.device_minor
    }

    /// One order of files for all processes, as long as the machine runs.
    func precedes(_ other: OpenFile) -> Bool {
        (raw.device_major, raw.device_minor, raw.inode)
            < (other.raw.device_major, other.raw.device_minor, other.raw.inode)
    }

    /// Whether the path still names this file: it was neither removed, nor is another one in its place.
    ///
    /// - Throws: `SystemError` where that can't be told.
    func isInPlace() throws -> Bool {
        var raw = raw
        let code = evidenced_is_at(path, &raw)
        guard code == 0 || code == ESTALE || code == ENOENT || code == ENOTDIR else {
            throw SystemError("asking what is at \(path)", errno: code)
        }
        return code == 0
    }
}
