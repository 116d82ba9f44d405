import JSON
import NIOHTTP1

/// The head of a PUT, as far as who takes its body needs it.
public struct BodyRequest: Sendable {
    /// As it stands in the request, from its first slash on; nothing is decoded.
    public let path: String
    /// What stands behind the question mark, undecoded, for `HTTPQuery` to read; nil where there is none.
    public let query: String?
    /// The value of Content-Type, in ASCII.
    public let contentType: String?
    /// The value of Idempotency-Key as it stands there, in ASCII.
    public let idempotencyKey: String?
    /// How many bytes the body has; nil where the client does not say, as it sends chunks.
    public let length: UInt64?

    /// Reads a head.
    ///
    /// - Throws: what the client is answered, where not the whole of a body, as it is meant, would be taken.
    init(_ head: HTTPRequestHead, path: String, query: String?) throws(HTTPRefusal) {
        let headers = head.headers
        // RFC 9110 section 14.5: who would take a part for the whole must refuse it.
        if headers.contains(name: "content-range") {
            throw HTTPRefusal(.text(400, "Content-Range: only whole bodies are taken\n"))
        }
        // RFC 9110 section 8.4: what is put is the bytes that come.
        guard headers["content-encoding"].allSatisfy({ $0.utf8.asciiLowercased.elementsEqual("identity".utf8) }) else {
            throw HTTPRefusal(.text(415, "Content-Encoding: none but identity\n"))
        }
        self.path = path
        self.query = query
        contentType = try BodyRequest.one("Content-Type", headers)
        idempotencyKey = try BodyRequest.one("Idempotency-Key", headers)
        let lengths = headers["content-length"]
        if headers.contains(name: "transfer-encoding") {
            length = nil
        } else if let text = lengths.first, lengths.count == 1, let number = UInt64(text) {
            length = number
        } else {
            // RFC 9110 section 15.5.12. Without either there is no body, which nobody means who puts one.
            throw HTTPRefusal(.text(411, "Content-Length or chunks\n"))
        }
    }

    private static func one(_ name: String, _ headers: HTTPHeaders) throws(HTTPRefusal) -> String? {
        let values = headers[name]
        guard values.count <= 1 else { throw HTTPRefusal(.text(400, "\(name): only one\n")) }
        // Of other bytes not all are still told from one another here.
        guard values.allSatisfy({ $0.utf8.allSatisfy { 0x20...0x7E ~= $0 || $0 == 0x09 } }) else {
            throw HTTPRefusal(.text(400, "\(name): only ASCII\n"))
        }
        return values.first
    }
}

/// What a request is refused with.
struct HTTPRefusal: Error {
    let resource: HTTPResource

    init(_ resource: HTTPResource) { self.resource = resource }
}
