import NIOCore

/// Cuts what a client of the native skin sends into messages, each ended by a NUL.
struct MessageFramer {
    /// What stands at the front.
    enum Front {
        /// A whole message, without its NUL.
        case message(ByteBuffer)
        /// A message that has not ended yet, or nothing.
        case incomplete
        /// A message longer than the limit, ended or not.
        case tooLong
    }

    /// Longest message in bytes.
    let limit: Int
    private var pending = ByteBuffer()
    /// How much of `pending` was searched for a NUL before.
    private var searched = 0

    init(limit: Int) { self.limit = limit }

    /// Bytes waiting.
    var count: Int { pending.readableBytes }

    mutating func append(_ bytes: inout ByteBuffer) {
        if pending.readableBytes == 0 {
            pending = bytes
            bytes.moveReaderIndex(to: bytes.writerIndex)
        } else {
            pending.writeBuffer(&bytes)
        }
    }

    /// Takes the message at the front, if it is all there.
    mutating func next() -> Front {
        let view = pending.viewBytes(at: pending.readerIndex + searched, length: pending.readableBytes - searched)
        guard let end = view?.firstIndex(of: 0).map({ $0 - pending.readerIndex }) else {
            searched = pending.readableBytes
            return searched > limit ? .tooLong : .incomplete
        }
        searched = 0
        guard end <= limit, let message = pending.readSlice(length: end) else { return .tooLong }
        pending.moveReaderIndex(forwardBy: 1)
        return .message(message)
    }

    /// The message at the front as far as it is there, and perhaps what follows it.
    var front: ByteBuffer { pending }

    /// Drops everything.
    mutating func clear() {
        pending = ByteBuffer()
        searched = 0
    }

    /// Gives back the room of what was taken.
    mutating func compact() {
        if pending.readableBytes == 0 { pending = ByteBuffer() } else { pending.discardReadBytes() }
    }
}
