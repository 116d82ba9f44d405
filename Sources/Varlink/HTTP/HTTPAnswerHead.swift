import NIOHTTP1

/// What the head of an answer says, whoever it goes to.
struct HTTPAnswerHead {
    let status: Int
    let contentType: String
    /// Of the body, in bytes.
    let length: UInt64
    /// Where the status is 405: which methods there are.
    var allow: String?
    /// Seconds after which to ask again.
    var retryAfter: Int64?

    init(parameters: [UInt8]) {
        self.init(status: 200, contentType: "application/json", length: UInt64(parameters.count))
    }

    init(_ error: VarlinkError, length: Int) {
        self.init(status: error.httpStatus, contentType: "application/json", length: UInt64(length))
        retryAfter = error.retryAfter
    }

    init(_ resource: HTTPResource, length: UInt64) {
        self.init(status: resource.status, contentType: resource.contentType, length: length)
        allow = resource.allow
    }

    init(status: Int, contentType: String, length: UInt64) {
        self.status = status
        self.contentType = contentType
        self.length = length
    }

    /// The head as it is sent.
    ///
    /// - Parameter keepsAlive: whether the connection goes on; HTTP/1.0 takes its end for granted unless it is told
    ///   otherwise.
    func head(keepsAlive: Bool, isHTTP10: Bool) -> HTTPResponseHead {
        var headers = HTTPHeaders([
            ("date", HTTPDate.now), ("content-type", contentType), ("content-length", String(length)),
        ])
        if let allow { headers.add(name: "allow", value: allow) }
        if let retryAfter { headers.add(name: "retry-after", value: String(retryAfter)) }
        if !keepsAlive { headers.add(name: "connection", value: "close") }
        if keepsAlive, isHTTP10 { headers.add(name: "connection", value: "keep-alive") }
        return HTTPResponseHead(version: .http1_1, status: .init(statusCode: status), headers: headers)
    }

    /// The head of a JSON text sequence, whose length nobody knows (RFC 7464). To HTTP/1.0 the end of the connection is
    /// that of the body (RFC 9112 section 6.1: no chunks).
    static func sequence(keepsAlive: Bool, isHTTP10: Bool) -> HTTPResponseHead {
        var headers = HTTPHeaders([("date", HTTPDate.now), ("content-type", "application/json-seq")])
        if !isHTTP10 { headers.add(name: "transfer-encoding", value: "chunked") }
        if isHTTP10 || !keepsAlive { headers.add(name: "connection", value: "close") }
        return HTTPResponseHead(version: .http1_1, status: .ok, headers: headers)
    }
}
