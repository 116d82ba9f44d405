import CLinux
import Files
import Glibc
import Testing

@testable import Ledger

/// What `ledger-format.md` section 8 says of places, and of the names of volumes.
@Suite struct FilePlaceTests {
    private static let birth = FilePlace.Birth(seconds: 1_767_225_600, nanoseconds: 7)

    private func place(_ inode: UInt64 = 5, birth: FilePlace.Birth? = birth, volume: String? = "dm:A") -> FilePlace {
        FilePlace(inode: inode, birth: birth, volume: volume)
    }

    @Test func whatIsKnownOfBothMustBeTheSame() {
        #expect(place().mayBe(place()))
        #expect(!place().mayBe(place(6)))
        #expect(!place().mayBe(place(birth: FilePlace.Birth(seconds: 1_767_225_600, nanoseconds: 8))))
        #expect(!place().mayBe(place(birth: FilePlace.Birth(seconds: 1_767_225_601, nanoseconds: 7))))
        #expect(!place().mayBe(place(volume: "dm:B")))
        #expect(!place(volume: "dm:A/1").mayBe(place(volume: "dm:A/2")))
        for other in [place(birth: nil), place(volume: nil), place(volume: "wwid:A"), place(birth: nil, volume: nil)] {
            #expect(place().mayBe(other) && other.mayBe(place()))
        }
    }

    /// A tree as sysfs has it, and the name each device in it has.
    @Test func volumesAreNamedByWhatSysfsSays() throws {
        let fixture = try LedgerFixture()
        let root = fixture.directory + "/sys"
        func file(_ path: String, _ text: String) throws {
            try FileSystem.makeDirectory(FileSystem.parent(of: "\(root)/\(path)"))
            try FileSystem.create("\(root)/\(path)", Array(text.utf8), mode: 0o600)
        }
        func name(_ major: UInt32, _ minor: UInt32, type: UInt32 = 0xEF53, id: UInt64 = 0) -> String? {
            var place = evidenced_place()
            place.device_major = major
            place.device_minor = minor
            place.file_system = type
            place.file_system_id = id
            return VolumeName.find(place, systemFiles: root)
        }
        try file("dev/block/253:0/dm/uuid", "LVM-abcDEF\n")
        try file("dev/block/253:0/serial", "not asked\n")
        #expect(name(253, 0) == "dm:LVM-abcDEF")
        // A partition is a directory in that of its disk, and the device's number a link to it.
        try file("devices/sda/device/wwid", "t10.ATA  DISK 1\n")
        try file("devices/sda/sda2/partition", "2\n")
        try file("devices/vda/serial", "vol-0123\0\n")
        try file("devices/vdb/serial", "\n")
        try FileSystem.makeDirectory(root + "/dev/block")
        for (number, target) in [("8:2", "sda/sda2"), ("8:0", "sda"), ("254:0", "vda"), ("254:16", "vdb")] {
            symlink("../../devices/\(target)", "\(root)/dev/block/\(number)")
        }
        #expect(name(8, 2) == "wwid:t10.ATA__DISK_1/2")
        #expect(name(8, 0) == "wwid:t10.ATA__DISK_1")
        #expect(name(254, 0) == "serial:vol-0123")
        #expect(name(254, 16) == nil)
        #expect(name(7, 0) == nil)
        try file("dev/block/7:1/loop/backing_file", "/" + String(repeating: "d", count: 300) + "/image\n")
        #expect(name(7, 1) == "loop:" + String(repeating: "d", count: 194) + "/image")
        // Without a device of their own: btrfs names its subvolumes, ZFS its datasets, others nothing that lasts.
        #expect(name(0, 40, type: 0x9123_683E, id: 0x1F) == "fs:000000000000001f")
        #expect(name(0, 41, type: 0x2FC1_2FC1, id: .max) == "fs:ffffffffffffffff")
        #expect(name(0, 42, type: 0x0102_1994, id: 7) == nil)
    }
}
