/// What a GET is answered with.
public struct HTTPResource: Sendable {
    /// What the client is sent.
    enum Body: Sendable {
        case bytes([UInt8])
        /// As the service gives it.
        case source(any ByteSource)
        /// The same with a place of its own.
        case outlet(BodyOutlet)
        /// Nothing but how long it is.
        case length(UInt64)
    }

    public let status: Int
    public let contentType: String
    /// Where the status is 405: which methods there are (RFC 9110 section 10.2.1), such as `PUT`.
    let allow: String?
    private(set) var body: Body

    /// A body that is all there.
    ///
    /// - Parameter allow: with the status 405, the methods there are (RFC 9110 section 10.2.1).
    public init(status: Int, contentType: String, body: [UInt8], allow: String? = nil) {
        self.status = status
        self.contentType = contentType
        self.allow = allow
        self.body = .bytes(body)
    }

    /// A body that is given piece by piece. HEAD is told its length and abandons the source.
    public init(status: Int, contentType: String, source: any ByteSource) {
        self.status = status
        self.contentType = contentType
        allow = nil
        body = .source(source)
    }

    /// An error, as a call is answered with it.
    public static func failure(_ error: VarlinkError) -> HTTPResource {
        HTTPResource(status: error.httpStatus, contentType: "application/json", body: error.encoded)
    }

    /// A text with a Content-Type that says so.
    static func text(_ status: Int, _ text: String, allow: String? = nil) -> HTTPResource {
        HTTPResource(
            status: status,
            contentType: "text/plain; charset=utf-8",
            body: Array(text.utf8),
            allow: allow
        )
    }

    /// The resource as it can be sent: a source has a place among the bodies. Runs on a worker.
    ///
    /// - Throws: `VarlinkError` where it gets none; it is abandoned then.
    func admitted(isHead: Bool, _ places: BodyPlaces, _ terms: ConnectionTerms) throws(VarlinkError) -> HTTPResource {
        guard case .source(let source) = body else { return self }
        var admitted = self
        if isHead, !terms.share.isStrangers {
            admitted.body = .length(source.count)
            source.abandon()
        } else if let place = places.admit(terms.share) {
            admitted.body = .outlet(BodyOutlet(source, place, workers: terms.bodyWorkers))
        } else {
            source.abandon()
            throw terms.share.isStrangers ? .permissionDenied : .busy
        }
        return admitted
    }

    /// Lets go of the source.
    func discard() {
        switch body {
        case .outlet(let outlet): outlet.cut()
        case .source(let source): source.abandon()
        case .bytes, .length: break
        }
    }
}
