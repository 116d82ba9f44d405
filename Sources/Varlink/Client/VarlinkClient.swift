import Glibc
public import JSON

/// Why a call did not get as far as an answer.
public enum VarlinkClientError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Nobody could be reached at the path.
    case unreachable(path: String, errno: Int32)
    /// The server closed the connection before it answered.
    case closed
    /// No answer came in time.
    case timeout
    /// The answer was not what Varlink allows.
    case malformedReply(String)

    public var description: String {
        switch self {
        case .unreachable(let path, let code): "no daemon answers at \(path): \(String(cString: strerror(code)))"
        case .closed: "the daemon closed the connection before it answered"
        case .timeout: "the daemon did not answer in time"
        case .malformedReply(let what): "the daemon's answer is malformed: \(what)"
        }
    }
}

/// A blocking Varlink client on a Unix socket, for command lines, tests and benchmarks. Not for more than one thread.
public final class VarlinkClient {
    /// Longest reply taken, in bytes.
    public static let maximumReplyBytes = 256 << 20
    private let socket: UnixSocket
    private var received: [UInt8] = []
    /// Where in `received` the search for the next end of message goes on.
    private var searched = 0
    private var consumed = 0

    /// Connects.
    ///
    /// - Parameter timeoutSeconds: how long a single wait for bytes may take; 0 for ever.
    public init(path: String, timeoutSeconds: Int = 60) throws(VarlinkClientError) {
        socket = try UnixSocket(path: path, timeoutSeconds: timeoutSeconds)
    }

    /// Calls a method and waits for its one answer.
    ///
    /// - Throws: `VarlinkError` where the service refused, else `VarlinkClientError`.
    public func call(_ method: String, _ parameters: JSONValue = .object([])) throws -> JSONValue {
        try send(method, parameters.canonicalBytes)
        return try receive().parameters
    }

    /// Calls a method with `more` and hands over each answer until the last, or until `each` gives false; the
    /// connection is of no further use then.
    public func stream(_ method: String, _ parameters: JSONValue, each: (JSONValue) throws -> Bool) throws {
        try send(method, parameters.canonicalBytes, more: true)
        while true {
            let reply = try receive()
            guard try each(reply.parameters), reply.continues else { return }
        }
    }

    /// Sends a call without waiting; any number may be under way and are answered in order.
    ///
    /// - Parameter parameters: a JSON object.
    public func send(_ method: String, _ parameters: [UInt8], more: Bool = false) throws(VarlinkClientError) {
        var writer = JSONWriter(capacity: parameters.count + 96)
        writer.beginObject()
        writer.name("method")
        writer.string(method)
        if more {
            writer.name("more")
            writer.bool(true)
        }
        writer.name("parameters")
        writer.raw(parameters)
        writer.endObject()
        try socket.send(writer.bytes + [0])
    }

    /// Waits for the next answer.
    ///
    /// - Throws: `VarlinkError` where it is one, else `VarlinkClientError`.
    public func receive() throws -> (parameters: JSONValue, continues: Bool) {
        let message: JSONValue
        do {
            message = try JSONReader.parse(receiveMessage())
        } catch let error as JSONError {
            throw VarlinkClientError.malformedReply("\(error)")
        }
        let parameters = message["parameters"] ?? .object([])
        guard message.object != nil, parameters.object != nil else {
            throw VarlinkClientError.malformedReply("not an object, or its parameters are none")
        }
        if let error = message["error"] {
            guard let name = error.string else { throw VarlinkClientError.malformedReply("the error has no name") }
            throw VarlinkError(name: name, parameters: parameters.canonicalBytes)
        }
        return (parameters, message["continues"]?.bool ?? false)
    }

    /// Waits for the next message and gives its bytes, unread.
    public func receiveMessage() throws(VarlinkClientError) -> [UInt8] {
        while true {
            if let end = received[searched...].firstIndex(of: 0) {
                let message = Array(received[consumed..<end])
                consumed = end + 1
                searched = consumed
                if consumed == received.count {
                    received.removeAll(keepingCapacity: true)
                    consumed = 0
                    searched = 0
                }
                return message
            }
            searched = received.count
            guard received.count - consumed <= VarlinkClient.maximumReplyBytes else {
                throw .malformedReply("longer than \(VarlinkClient.maximumReplyBytes) bytes")
            }
            try fill()
        }
    }

    private func fill() throws(VarlinkClientError) {
        if consumed > 0 {
            received.removeFirst(consumed)
            searched -= consumed
            consumed = 0
        }
        try socket.receive(into: &received)
    }
}
