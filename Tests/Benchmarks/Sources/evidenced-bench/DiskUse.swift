import Glibc
import LMDB

/// What a ledger takes on disk once its daemon has stopped, in bytes of allocated blocks.
struct DiskUse {
    private(set) var store = 0
    private(set) var index = 0
    /// Checkpoint lock and keyring.
    private(set) var rest = 0
    /// Of the store: what the daemon wrote ahead of the pages in use, so that commits find their blocks allocated.
    private(set) var ahead = 0

    var total: Int { store + index + rest }

    init(of ledger: String) throws {
        for name in Workspace.names(in: ledger) {
            let bytes = DiskUse.allocated("\(ledger)/\(name)")
            switch name {
            case "store": store += bytes
            case "index": index += bytes
            default: rest += bytes
            }
        }
        let environment = try Environment(directory: ledger + "/store", mapBytes: 0, databases: 1, access: .reading)
        ahead = max(0, environment.fileBytes - environment.sizes.used)
    }

    private static func allocated(_ path: String) -> Int {
        var status = stat()
        guard lstat(path, &status) == 0 else { return 0 }
        let below = Workspace.names(in: path).reduce(0) { $0 + allocated("\(path)/\($1)") }
        return Int(status.st_blocks) * 512 + below
    }

    /// Reads every file once, so that the page cache holds as much of them as it can.
    static func warm(_ path: String) {
        for name in Workspace.names(in: path) { warm("\(path)/\(name)") }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        withUnsafeTemporaryAllocation(byteCount: 1 << 20, alignment: 64) { buffer in
            while read(descriptor, buffer.baseAddress, buffer.count) > 0 {}
        }
    }
}
