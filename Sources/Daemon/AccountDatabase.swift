import Glibc

/// The system's users and groups.
enum AccountDatabase {
    static func user(named name: String) throws(BrokenRule) -> UInt32? {
        var record = passwd()
        return try find("user \(name)") { buffer, length, isFound in
            var result: UnsafeMutablePointer<passwd>?
            let code = getpwnam_r(name, &record, buffer, length, &result)
            isFound = result != nil
            return code
        } ? record.pw_uid : nil
    }

    static func group(named name: String) throws(BrokenRule) -> UInt32? {
        var record = Glibc.group()
        return try find("group \(name)") { buffer, length, isFound in
            var result: UnsafeMutablePointer<Glibc.group>?
            let code = getgrnam_r(name, &record, buffer, length, &result)
            isFound = result != nil
            return code
        } ? record.gr_gid : nil
    }

    /// Asks with a buffer that grows until the answer fits.
    private static func find(
        _ what: String,
        ask: (UnsafeMutablePointer<CChar>, Int, inout Bool) -> Int32
    ) throws(BrokenRule) -> Bool {
        for shift in 12...24 {
            let length = 1 << shift
            let buffer = UnsafeMutablePointer<CChar>.allocate(capacity: length)
            defer { buffer.deallocate() }
            var isFound = false
            let code = ask(buffer, length, &isFound)
            switch code {
            case 0, ENOENT, ESRCH, EBADF, EPERM: return isFound
            case ERANGE, EINTR: continue
            default: throw BrokenRule("looking up the \(what): \(String(cString: strerror(code)))")
            }
        }
        throw BrokenRule("looking up the \(what): the answer is too long")
    }
}
