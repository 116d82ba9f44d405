import Glibc
import Zip

extension ZipWriter {
    /// Writes an archive into a file.
    static func write(_ members: [String: ZipContent], to path: String) throws {
        let descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC, 0o600)
        guard descriptor >= 0 else { fatalError("\(path): \(String(cString: strerror(errno)))") }
        defer { close(descriptor) }
        try write(members, to: descriptor, name: path)
    }
}
