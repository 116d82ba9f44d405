import JSON
import NIOHTTP1

/// What a request asks for, as its head alone tells.
enum HTTPRoute {
    /// A method, and whether the client takes more than one reply.
    case call(String, more: Bool)
    /// A path to read, and the query behind it.
    case resource(String, query: String?)
    /// A body for a path.
    case upload(BodyRequest)
    /// What is at the path can't be asked for so, or nothing is there; the connection goes on.
    case refused(HTTPResource)
    /// Where this request ends and the next begins can't be told for sure, nor whom it is for; or it has a body that is
    /// not wanted.
    case malformed(HTTPResource)

    private static let calls = "/call/"
    /// What a client takes that takes more than one reply (RFC 7464).
    private static let sequence = "application/json-seq"

    /// - Parameter takesBody: whether something may be put to a path.
    init(_ head: HTTPRequestHead, takesBody: (String) -> Bool) {
        // RFC 9112 section 6.1: HTTP/1.0 knows no transfer codings, and who relays it may have passed one over.
        let codings = head.headers["transfer-encoding"]
        guard codings.isEmpty || !head.isHTTP10 else {
            self = .malformed(.text(400, "HTTP/1.0 has no Transfer-Encoding\n"))
            return
        }
        guard codings.isEmpty || codings.count == 1 && codings[0].utf8.asciiLowercased.elementsEqual("chunked".utf8)
        else {
            self = .malformed(.text(501, "no transfer coding but chunked\n"))
            return
        }
        // RFC 9112 section 6.3: two lengths are how requests are smuggled.
        if head.headers.contains(name: "content-length"), head.headers.contains(name: "transfer-encoding") {
            self = .malformed(.text(400, "one body length, not two\n"))
            return
        }
        // RFC 9112 section 3.2; HTTP/1.0 knows no Host.
        let hosts = head.headers["host"]
        guard hosts.count == 1 || hosts.isEmpty && head.isHTTP10 else {
            self = .malformed(.text(400, "one Host, not \(hosts.count)\n"))
            return
        }
        guard hosts.allSatisfy({ HTTPAuthority.isValid(Array($0.utf8)) }) else {
            self = .malformed(.text(400, "Host: must be a host's name or address, and perhaps a port\n"))
            return
        }
        guard let target = HTTPRoute.target(head.uri, isOptions: head.method == .OPTIONS) else {
            self = .malformed(.text(400, "no target in a form of RFC 9112 section 3.2\n"))
            return
        }
        let path = target.path
        let isCall = path.utf8.starts(with: HTTPRoute.calls.utf8)
        switch head.method {
        case .POST where isCall:
            let more = head.headers["accept"].contains { $0.utf8.firstRange(of: HTTPRoute.sequence.utf8) != nil }
            self = .call(String(Substring(path.utf8.dropFirst(HTTPRoute.calls.utf8.count))), more: more)
        case .POST: self = .refused(.text(404, "POST goes to /call/METHOD\n"))
        case .GET where !isCall, .HEAD where !isCall: self = .resource(path, query: target.query)
        case .PUT where !isCall && takesBody(path):
            do throws(HTTPRefusal) {
                self = .upload(try BodyRequest(head, path: path, query: target.query))
            } catch {
                self = .malformed(error.resource)
            }
        default:
            let allow = HTTPRoute.methods(at: path, isCall: isCall, takesBody: takesBody)
            self = .refused(.text(405, "\(allow)\n", allow: allow))
        }
    }

    /// What may be asked of a path (RFC 9110 section 10.2.1).
    private static func methods(at path: String, isCall: Bool, takesBody: (String) -> Bool) -> String {
        if isCall { return "POST" }
        if path.utf8.elementsEqual("*".utf8) { return "GET, HEAD, POST, PUT" }
        return takesBody(path) ? "GET, HEAD, PUT" : "GET, HEAD"
    }

    /// Path and query of a target in origin-form or absolute-form (RFC 9112 section 3.2); nil where it has neither form,
    /// nor that of OPTIONS.
    private static func target(_ target: String, isOptions: Bool) -> (path: String, query: String?)? {
        if target.utf8.contains(UInt8(ascii: "#")) { return nil }
        if target.utf8.elementsEqual("*".utf8) { return isOptions ? (target, nil) : nil }
        var rest = Substring(target).utf8
        for scheme in ["http://", "https://"] {
            guard rest.prefix(scheme.utf8.count).asciiLowercased.elementsEqual(scheme.utf8) else { continue }
            rest = rest.dropFirst(scheme.utf8.count)
            let authority = Array(rest.prefix { $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "?") })
            // RFC 9110 section 4.2: not without a host. Whatever it is called, nobody else is at this socket.
            guard let first = authority.first, first != UInt8(ascii: ":"), HTTPAuthority.isValid(authority) else {
                return nil
            }
            rest = rest.dropFirst(authority.count)
            break
        }
        let path = rest.prefix { $0 != UInt8(ascii: "?") }
        let query = rest.dropFirst(path.count).isEmpty ? nil : String(Substring(rest.dropFirst(path.count + 1)))
        // Only what follows an authority may have no path.
        return (path.isEmpty ? "/" : String(Substring(path)), query)
    }
}

extension HTTPRequestHead {
    /// Whether the client speaks HTTP/1.0 or less: it knows no chunks, no 100 (Continue), and no Host.
    var isHTTP10: Bool { version.major < 1 || version.major == 1 && version.minor == 0 }

    /// RFC 9110 section 10.1.1: whether the client waits before it sends the body, to be told to go on, or what is wrong.
    /// HTTP/1.0 knows nothing of it.
    var isAsking: Bool {
        !isHTTP10 && headers["expect"].contains { $0.utf8.asciiLowercased.elementsEqual("100-continue".utf8) }
    }
}
