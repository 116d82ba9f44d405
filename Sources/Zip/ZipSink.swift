import CZip
import Glibc

/// A descriptor as libzip writes into it. Left to itself libzip writes under a name of its own beside the archive, which
/// nobody removes when the process ends in between.
///
/// libzip holds a reference until it frees its source.
final class ZipSink {
    private let descriptor: Int32
    private var error = zip_error_t()

    /// The source libzip writes to; freed by whoever takes it, as libzip says.
    ///
    /// - Parameter descriptor: open for writing, of a file that can seek. It stays the caller's.
    static func source(descriptor: Int32) throws -> OpaquePointer {
        let sink = Unmanaged.passRetained(ZipSink(descriptor))
        let source = zip_source_function_create(
            { state, data, length, command in
                guard let state else { return -1 }
                let sink = Unmanaged<ZipSink>.fromOpaque(state)
                guard command != ZIP_SOURCE_FREE else {
                    sink.release()
                    return 0
                }
                return sink.takeUnretainedValue().perform(command, data, length)
            },
            sink.toOpaque(),
            nil
        )
        guard let source else {
            sink.release()
            throw ZipError(.system)
        }
        return source
    }

    private init(_ descriptor: Int32) {
        self.descriptor = descriptor
        zip_error_init(&error)
    }

    deinit { zip_error_fini(&error) }

    /// What libzip may ask: all that a writable source must answer (zip_source_function(3)). Nothing is read back.
    private static let supported: Int64 = [
        ZIP_SOURCE_OPEN, ZIP_SOURCE_READ, ZIP_SOURCE_CLOSE, ZIP_SOURCE_STAT, ZIP_SOURCE_ERROR, ZIP_SOURCE_FREE,
        ZIP_SOURCE_SEEK, ZIP_SOURCE_TELL, ZIP_SOURCE_SUPPORTS, ZIP_SOURCE_BEGIN_WRITE, ZIP_SOURCE_COMMIT_WRITE,
        ZIP_SOURCE_ROLLBACK_WRITE, ZIP_SOURCE_WRITE, ZIP_SOURCE_SEEK_WRITE, ZIP_SOURCE_TELL_WRITE, ZIP_SOURCE_REMOVE,
    ].reduce(0) { $0 | Int64(1) << Int64($1.rawValue) }

    private func perform(_ command: zip_source_cmd_t, _ data: UnsafeMutableRawPointer?, _ length: UInt64) -> Int64 {
        switch command {
        case ZIP_SOURCE_SUPPORTS: return ZipSink.supported
        case ZIP_SOURCE_ERROR: return zip_error_to_data(&error, data, length)
        case ZIP_SOURCE_STAT:
            guard let status = data?.assumingMemoryBound(to: zip_stat_t.self) else { return -1 }
            zip_stat_init(status)
            return Int64(MemoryLayout<zip_stat_t>.size)
        case ZIP_SOURCE_BEGIN_WRITE, ZIP_SOURCE_ROLLBACK_WRITE, ZIP_SOURCE_REMOVE:
            return ftruncate(descriptor, 0) == 0 && lseek(descriptor, 0, SEEK_SET) == 0 ? 0 : fail(ZIP_ER_WRITE)
        case ZIP_SOURCE_WRITE: return write(data, Int(length))
        case ZIP_SOURCE_SEEK_WRITE:
            guard let wanted = data?.assumingMemoryBound(to: zip_source_args_seek_t.self).pointee else { return -1 }
            return lseek(descriptor, off_t(wanted.offset), wanted.whence) >= 0 ? 0 : fail(ZIP_ER_SEEK)
        case ZIP_SOURCE_TELL_WRITE:
            let position = lseek(descriptor, 0, SEEK_CUR)
            return position >= 0 ? Int64(position) : fail(ZIP_ER_TELL)
        case ZIP_SOURCE_OPEN, ZIP_SOURCE_CLOSE, ZIP_SOURCE_COMMIT_WRITE: return 0
        default:
            zip_error_set(&error, ZIP_ER_OPNOTSUPP, 0)
            return -1
        }
    }

    private func write(_ data: UnsafeMutableRawPointer?, _ length: Int) -> Int64 {
        var done = 0
        while done < length {
            let count = Glibc.write(descriptor, data.map { $0 + done }, length - done)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return fail(ZIP_ER_WRITE) }
            done += count
        }
        return Int64(length)
    }

    private func fail(_ code: Int32) -> Int64 {
        zip_error_set(&error, code, errno)
        return -1
    }
}
