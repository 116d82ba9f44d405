import Glibc

extension Array<UInt8> {
    /// Where some bytes first stand, from a position on. A page has many megabytes, which the standard library's generic
    /// search takes seconds for.
    ///
    /// - Parameter needle: at least one byte.
    func firstRange(ofBytes needle: [UInt8], from start: Int = 0) -> Range<Int>? {
        withUnsafeBufferPointer { bytes in
            needle.withUnsafeBufferPointer { needle in
                guard let first = needle.first else { return nil }
                var position = start
                while position + needle.count <= bytes.count {
                    // The C library's search: the standard library's takes minutes where it is not optimised.
                    guard let base = bytes.baseAddress,
                        let match = memchr(base + position, CInt(first), bytes.count - position)
                    else { return nil }
                    let found = UnsafeRawPointer(match) - UnsafeRawPointer(base)
                    guard found + needle.count <= bytes.count else { return nil }
                    if bytes[found..<found + needle.count].elementsEqual(needle) { return found..<found + needle.count }
                    position = found + 1
                }
                return nil
            }
        }
    }
}
