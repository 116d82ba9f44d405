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
                    guard let found = bytes[position...].firstIndex(of: first), found + needle.count <= bytes.count
                    else { return nil }
                    if bytes[found..<found + needle.count].elementsEqual(needle) { return found..<found + needle.count }
                    position = found + 1
                }
                return nil
            }
        }
    }
}
