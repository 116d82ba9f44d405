import Glibc

/// What came on a socket and nobody has read.
enum UnreadBytes {
    /// Whether there is any.
    ///
    /// - Parameter descriptor: an open socket; -1 for none, of which nothing came.
    static func areThere(_ descriptor: Int32) -> Bool { peek(descriptor) > 0 }

    /// Whether the other end has gone, or will send nothing, and there is nothing.
    static func areOver(_ descriptor: Int32) -> Bool { peek(descriptor) == 0 }

    private static func peek(_ descriptor: Int32) -> Int {
        var byte: UInt8 = 0
        return recv(descriptor, &byte, 1, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT))
    }
}
