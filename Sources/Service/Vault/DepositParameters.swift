import JSON
import LedgerFormat
import Merkle
import Varlink
import Vault

/// The parameters of Deposit and BeginUpload.
struct DepositParameters {
    let wish: DepositWish
    let size: UInt64

    init(_ bytes: [UInt8], _ principal: Principal) throws(VarlinkError) {
        let parameters = try CallParameters(bytes, known: ["event", "size", "sha256", "proofs"])
        let event = try EventParameters(parameters.object("event"))
        var order = DepositOrder(
            submitter: principal.name,
            request: event.request,
            actor: event.actor,
            object: event.object,
            body: event.body
        )
        order.streams = event.streams
        order.claims = event.claims
        size = try parameters.requiredNumber("size")
        order.size = size
        order.sha256 = try parameters.optional("sha256", "must be 64 lower-case hex digits") { Digest(hex: $0) }
        wish = DepositWish(order: order, proofs: try parameters.flag("proofs"))
    }
}

/// The event of a deposit, whose digests are still missing.
private struct EventParameters {
    let request: RequestKey
    let actor: Actor
    let object: ID128
    /// But for the object's own.
    let streams: [StreamID]
    let body: [JSONMember]
    let claims: [(scope: StreamID, members: [JSONMember])]

    init(_ members: [JSONMember]) throws(VarlinkError) {
        func value(_ name: String) -> JSONValue? {
            members.first { $0.name.utf8.elementsEqual(name.utf8) && $0.value != .null }?.value
        }
        let known = ["type", "request", "actor", "streams", "body", "claims"]
        guard members.allSatisfy({ member in known.contains { $0.utf8.elementsEqual(member.name.utf8) } }) else {
            throw LedgerErrors.invalidEvent(0, "event", "has a member other than \(known.joined(separator: ", "))")
        }
        guard value("type")?.string?.utf8.elementsEqual("evidence.deposited".utf8) == true else {
            throw LedgerErrors.invalidEvent(0, "type", "must be evidence.deposited")
        }
        guard let request = value("request")?.string.flatMap({ RequestKey($0) }) else {
            throw LedgerErrors.invalidEvent(0, "request", "must be a lower-case UUID")
        }
        guard let actor = value("actor")?.string.flatMap({ Actor($0) }) else {
            throw LedgerErrors.invalidEvent(0, "actor", "must be system, subject/ID, staff/ID or vendor/ID")
        }
        guard let names = value("streams")?.array else {
            throw LedgerErrors.invalidEvent(0, "streams", "must be given")
        }
        var streams: [StreamID] = []
        for name in names {
            guard let stream = name.string.flatMap({ StreamID($0) }) else {
                throw LedgerErrors.invalidEvent(0, "streams", "must hold kind/ID with 32 lower-case hex digits")
            }
            streams.append(stream)
        }
        let objects = streams.filter { $0.kind == .object }
        guard objects.count == 1 else {
            throw LedgerErrors.invalidEvent(0, "streams", "must name one object stream, the document's")
        }
        self.request = request
        self.actor = actor
        object = objects[0].id
        self.streams = streams.filter { $0.kind != .object }
        guard let body = (value("body") ?? .object([])).object else {
            throw LedgerErrors.invalidEvent(0, "body", "must be a JSON object")
        }
        self.body = body
        var claims: [(scope: StreamID, members: [JSONMember])] = []
        for scope in (value("claims") ?? .object([])).object ?? [JSONMember(name: "", value: .null)] {
            guard let stream = StreamID(scope.name), let members = scope.value.object else {
                throw LedgerErrors.invalidEvent(
                    0,
                    "claims",
                    "must map scopes, each a stream, to objects of claims"
                )
            }
            claims.append((stream, members))
        }
        self.claims = claims
    }
}
