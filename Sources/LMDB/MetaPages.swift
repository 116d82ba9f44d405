import CLMDB
import Glibc

/// What LMDB takes for granted of a data file as it opens it, before anybody can walk over its pages: the two meta pages
/// at its beginning. It divides by the page size they state, looks for the second page where the first one says, and maps
/// as much as they say, where the system's refusal would read like a want of memory.
enum MetaPages {
    private static let isMeta: UInt16 = 0x08
    private static let magic: UInt32 = 0xBEEF_C0DE
    private static let version: UInt32 = 1
    /// Up to the number of the last page.
    private static let checkedBytes = 144

    /// Checks the data file of a directory, where there is one; an empty file is a new one.
    ///
    /// - Throws: `LMDBError`, in the words LMDB has for it.
    static func check(directory: String) throws(LMDBError) {
        let path = directory + "/data.mdb"
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            let code = errno
            // LMDB makes one where it may, and says where it may not.
            if code == ENOENT || code == EACCES { return }
            throw LMDBError(code: code, operation: "opening \(path)", isFailedRead: code == EIO)
        }
        defer { close(descriptor) }
        for number in 0..<2 {
            var page = [UInt8](repeating: 0, count: checkedBytes)
            let count = pread(descriptor, &page, page.count, off_t(number * Environment.pageBytes))
            guard count >= 0 else { throw LMDBError(code: errno, operation: "reading \(path)", isFailedRead: true) }
            if count == 0, number == 0 { return }
            guard count == page.count, page.half(at: 10) & isMeta != 0, page.word32(at: 16) == magic else {
                throw LMDBError(code: MDB_INVALID, operation: "opening \(path)")
            }
            guard page.word32(at: 20) == version else {
                throw LMDBError(code: MDB_VERSION_MISMATCH, operation: "opening \(path)")
            }
            // The last page is one of the two at least. LMDB maps as far as it reaches, whatever the size of the map.
            let greatestPage = UInt64(Environment.greatestMapBytes / Environment.pageBytes) - 1
            guard page.word32(at: 40) == UInt32(Environment.pageBytes), 1...greatestPage ~= page.word(at: 136) else {
                throw LMDBError(code: MDB_INVALID, operation: "opening \(path): page size or last page")
            }
            guard page.word(at: 32) <= UInt64(Environment.greatestMapBytes) else {
                throw LMDBError(code: MDB_INVALID, operation: "opening \(path): size of the map")
            }
        }
    }
}
