/// Why bytes are no payload of an age file under its file key.
public enum AgePayloadError: Error, Sendable, Equatable, CustomStringConvertible {
    /// It ends before its nonce does.
    case nonce
    /// The chunk with this number, counted from 0, is changed, cut off, in another's place, or under another key.
    case chunk(UInt64)
    /// It ends without a last chunk.
    case cutOff
    /// The last of several chunks is empty.
    case emptyLastChunk
    /// Something follows the last chunk.
    case dataAfterEnd
    /// No payload has so many bytes, or a chunk not so many as it has there.
    case length
    /// It was finished before.
    case finished

    /// One line.
    public var description: String {
        switch self {
        case .nonce: "age payload: it ends within its nonce"
        case .chunk(let number):
            "age payload, chunk \(number): it is changed, cut off, out of place or under another key"
        case .cutOff: "age payload: it ends without a last chunk"
        case .emptyLastChunk: "age payload: the last of several chunks is empty"
        case .dataAfterEnd: "age payload: something follows the last chunk"
        case .length: "age payload: it is of a length that none has"
        case .finished: "age payload: it was finished before"
        }
    }
}
