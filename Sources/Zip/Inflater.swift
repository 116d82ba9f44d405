import CZlib
import Glibc

/// Takes the content of a member out of its stored bytes: as they are, or by deflate (RFC 1951). It ends with the last
/// of the stored bytes, for what stands behind the end of deflated content some readers take for members.
struct Inflater {
    private static let input = 1 << 16
    private static let output = 1 << 20

    let member: ZipMember

    /// Hands over the content in blocks of at most 1 MiB.
    ///
    /// - Parameter read: fills a buffer from an offset in the archive on.
    /// - Throws: `ZipError`: `.size` where the content is not as long as stated, `.checksum` where its CRC-32 is another,
    ///   `.damaged` where it is not deflated or goes on behind its end.
    func content(
        read: (UInt64, UnsafeMutableRawBufferPointer) throws -> Void,
        _ block: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        var left = member.size
        var sum = crc32(0, nil, 0)
        func take(_ bytes: UnsafeRawBufferPointer) throws {
            guard UInt64(bytes.count) <= left else { throw ZipError(.size, member: member.name) }
            guard let base = bytes.bindMemory(to: UInt8.self).baseAddress, !bytes.isEmpty else { return }
            left -= UInt64(bytes.count)
            sum = crc32(sum, base, UInt32(bytes.count))
            try block(bytes)
        }
        if member.place.isDeflated { try inflated(read: read, take) } else { try stored(read: read, take) }
        guard left == 0 else { throw ZipError(.size, member: member.name) }
        guard UInt32(truncatingIfNeeded: sum) == member.place.crc else {
            throw ZipError(.checksum, member: member.name)
        }
    }

    private func stored(
        read: (UInt64, UnsafeMutableRawBufferPointer) throws -> Void,
        _ take: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        var stored = member.place.stored
        let room = min(stored.count, Inflater.output)
        try withUnsafeTemporaryAllocation(byteCount: max(room, 1), alignment: 16) { buffer in
            while !stored.isEmpty {
                let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(stored.count, room)])
                try read(stored.lowerBound, part)
                stored = stored.lowerBound + UInt64(part.count)..<stored.upperBound
                try take(UnsafeRawBufferPointer(part))
            }
        }
    }

    private func inflated(
        read: (UInt64, UnsafeMutableRawBufferPointer) throws -> Void,
        _ take: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        var stream = z_stream()
        // Negative: neither header nor checksum around the deflated bytes.
        let status = inflateInit2_(&stream, -MAX_WBITS, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        guard status == Z_OK else { throw ZipError(.system, member: member.name, detail: "zlib: \(status)") }
        defer { inflateEnd(&stream) }
        var stored = member.place.stored
        let room = Int(min(member.size, UInt64(Inflater.output - 1))) + 1
        try withUnsafeTemporaryAllocation(byteCount: Inflater.input + room, alignment: 16) { buffer in
            let input = UnsafeMutableRawBufferPointer(rebasing: buffer[..<Inflater.input])
            let output = UnsafeMutableRawBufferPointer(rebasing: buffer[Inflater.input...])
            while true {
                if stream.avail_in == 0, !stored.isEmpty {
                    let part = UnsafeMutableRawBufferPointer(rebasing: input[..<min(stored.count, input.count)])
                    try read(stored.lowerBound, part)
                    stored = stored.lowerBound + UInt64(part.count)..<stored.upperBound
                    stream.next_in = part.bindMemory(to: UInt8.self).baseAddress
                    stream.avail_in = UInt32(part.count)
                }
                stream.next_out = output.bindMemory(to: UInt8.self).baseAddress
                stream.avail_out = UInt32(output.count)
                let status = inflate(&stream, Z_NO_FLUSH)
                try take(UnsafeRawBufferPointer(rebasing: output[..<(output.count - Int(stream.avail_out))]))
                if status == Z_STREAM_END { break }
                if status == Z_MEM_ERROR { throw ZipError(.system, member: member.name, detail: "zlib: \(status)") }
                // Z_BUF_ERROR: there is nothing left to go on with.
                guard status == Z_OK else { throw ZipError(.damaged, member: member.name) }
            }
        }
        guard stored.isEmpty, stream.avail_in == 0 else { throw ZipError(.damaged, member: member.name) }
    }
}
