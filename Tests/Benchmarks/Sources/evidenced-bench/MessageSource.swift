/// Makes the messages of one connection, end marks included.
///
/// The clients share the cores with the daemon they measure, so messages lie ready in a buffer and only what must
/// differ is patched.
protocol MessageSource: AnyObject {
    /// The next messages, one after another.
    ///
    /// - Parameter count: at most the depth the source was made for.
    /// - Returns: bytes that stay until the next call.
    func next(_ count: Int) -> UnsafeRawBufferPointer
}

/// The same message again and again.
final class RepeatedMessage: MessageSource {
    private let buffer: UnsafeMutableRawBufferPointer
    private let length: Int

    /// The call that asks nothing of the ledger: what is left is the socket and the server.
    static let echo = #"{"method":"org.varlink.service.GetInfo","parameters":{}}"#

    init(_ text: String, depth: Int) {
        let message = Array(text.utf8) + [0]
        length = message.count
        buffer = .allocate(byteCount: length * depth, alignment: 8)
        for position in 0..<depth {
            UnsafeMutableRawBufferPointer(rebasing: buffer[(position * length)...]).copyBytes(from: message)
        }
    }

    deinit { buffer.deallocate() }

    func next(_ count: Int) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: buffer[..<(count * length)]) }
}
