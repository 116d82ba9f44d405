import NIOCore

/// What the workers tell the connection of a body.
enum BodyEvent: Sendable {
    /// The sink has taken so much that there is room for more.
    case room
    /// The sink has the whole body, and this is its answer.
    case answered(Result<[UInt8], VarlinkError>)
    /// The next bytes of a source.
    case piece(ByteBuffer, isLast: Bool)
    /// Sink or source failed before the end, and was abandoned.
    case failed(VarlinkError)
}
