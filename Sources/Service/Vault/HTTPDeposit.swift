import JSON
import LedgerFormat
import Merkle
import Varlink
import Vault

/// A deposit in one request: `PUT /objects?…`, where the head says what is recorded beside the document.
enum HTTPDeposit {
    static let path = "/objects"
    private static let known = [
        "object", "actor", "streams", "channel", "product", "identity", "source", "retention_class", "sha256",
        "file_name", "description", "proofs",
    ]

    /// - Parameter fresh: an idempotency key for who gives none.
    /// - Throws: `VarlinkError` naming field and rule.
    static func wish(
        _ request: BodyRequest,
        _ principal: Principal,
        fresh: () throws -> RequestKey
    ) throws -> DepositWish {
        do {
            let query = try HTTPQuery(request.query, known: known)
            let key = try self.key(request) ?? fresh()
            let object = try query.parsed("object", "must be 32 lower-case hex digits") { ID128($0) }
            var order = DepositOrder(
                submitter: principal.name,
                request: key,
                actor: try query.parsed("actor", "must be system, subject/ID, staff/ID or vendor/ID") { Actor($0) }
                    ?? .system,
                object: object ?? DepositOrder.object(of: key, from: principal.name),
                body: try body(query, mediaType: mediaType(request))
            )
            order.streams = try streams(query)
            order.size = request.length
            order.sha256 = try query.parsed("sha256", "must be 64 lower-case hex digits") { Digest(hex: $0) }
            var claims: [JSONMember] = []
            for name in ["file_name", "description"] {
                guard let text = try query.text(name) else { continue }
                claims.append(JSONMember(name: name, value: .string(text)))
            }
            if !claims.isEmpty { order.claims = [(StreamID(kind: .object, id: order.object), claims)] }
            return DepositWish(order: order, proofs: try query.flag("proofs") ?? false)
        } catch let error as HTTPQueryError {
            throw LedgerErrors.invalidArgument(error.field, error.rule)
        }
    }

    /// Type and subtype of what Content-Type says; its parameters, such as a charset, are not recorded.
    private static func mediaType(_ request: BodyRequest) -> String {
        guard let type = request.contentType else { return "application/octet-stream" }
        let essence = type.utf8.prefix { $0 != UInt8(ascii: ";") }
        let end = essence.lastIndex { $0 != 0x20 && $0 != 0x09 }
        return end.map { String(Substring(essence[...$0])) } ?? ""
    }

    private static func key(_ request: BodyRequest) throws(VarlinkError) -> RequestKey? {
        guard let text = request.idempotencyKey else { return nil }
        guard let key = RequestKey(text) else {
            throw LedgerErrors.invalidArgument("Idempotency-Key", "must be a lower-case UUID")
        }
        return key
    }

    private static func body(_ query: HTTPQuery, mediaType: String) throws(HTTPQueryError) -> [JSONMember] {
        var body = [
            JSONMember(name: "channel", value: .string(try query.text("channel") ?? "api")),
            JSONMember(name: "media_type", value: .string(mediaType)),
            JSONMember(name: "product", value: .string(try query.text("product") ?? "deposit")),
        ]
        if let identity = try query.number("identity", in: 0...UInt64(JSONValue.maximumInteger)) {
            body.append(JSONMember(name: "identity", value: .int(Int64(identity))))
        }
        for name in ["source", "retention_class"] {
            if let text = try query.text(name) { body.append(JSONMember(name: name, value: .string(text))) }
        }
        return body
    }

    private static func streams(_ query: HTTPQuery) throws(HTTPQueryError) -> [StreamID] {
        guard let text = try query.text("streams") else { return [] }
        var streams: [StreamID] = []
        for name in text.utf8.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
            guard let stream = StreamID(Substring(name)) else {
                throw HTTPQueryError(
                    field: "streams",
                    rule: "must be kind/ID with 32 lower-case hex digits, with commas between"
                )
            }
            streams.append(stream)
        }
        return streams
    }
}

extension HTTPQuery {
    /// What a field states; nil where it is not there.
    func parsed<Value>(_ name: String, _ rule: String, _ parse: (String) -> Value?) throws(HTTPQueryError) -> Value? {
        guard let text = try text(name) else { return nil }
        guard let value = parse(text) else { throw HTTPQueryError(field: name, rule: rule) }
        return value
    }
}
