import JSON

/// An error reply.
public struct VarlinkError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Fully qualified, such as `org.varlink.service.MethodNotFound`.
    public let name: String
    /// A JSON object.
    public let parameters: [UInt8]

    public init(name: String, parameters: [UInt8] = Array("{}".utf8)) {
        self.name = name
        self.parameters = parameters
    }

    public static func interfaceNotFound(_ interface: String) -> VarlinkError {
        standard("InterfaceNotFound", "interface", interface)
    }

    public static func methodNotFound(_ method: String) -> VarlinkError {
        standard("MethodNotFound", "method", method)
    }

    public static func methodNotImplemented(_ method: String) -> VarlinkError {
        standard("MethodNotImplemented", "method", method)
    }

    public static func invalidParameter(_ parameter: String) -> VarlinkError {
        standard("InvalidParameter", "parameter", parameter)
    }

    /// A message beyond a limit, in bytes; not of the standard's own errors.
    static func tooLarge(limit: Int) -> VarlinkError {
        let parameters = JSONValue.members(["limit": .int(Int64(limit)), "what": .string("message")])
        return VarlinkError(name: "org.varlink.service.TooLarge", parameters: parameters.canonicalBytes)
    }

    /// There is no room for the message beside those of others; not of the standard's own errors.
    static let busy = VarlinkError(name: "org.varlink.service.Busy")

    /// A body moves on too slowly; not of the standard's own errors.
    static let tooSlow = VarlinkError(name: "org.varlink.service.TooSlow")

    /// A source gave other than as many bytes as it said; not of the standard's own errors.
    static let sourceLength = VarlinkError(name: "org.varlink.service.InternalError")

    static let permissionDenied = VarlinkError(name: "org.varlink.service.PermissionDenied")

    public static let expectedMore = VarlinkError(name: "org.varlink.service.ExpectedMore")

    /// The method is called with `upgrade`, or not at all: a body comes or goes on its connection.
    public static let expectedUpgrade = VarlinkError(name: "org.varlink.service.ExpectedUpgrade")

    public var description: String { "\(name) \(String(decoding: parameters, as: UTF8.self))" }

    private static func standard(_ error: String, _ key: String, _ value: String) -> VarlinkError {
        var writer = JSONWriter()
        writer.beginObject()
        writer.name(key)
        writer.string(value)
        writer.endObject()
        return VarlinkError(name: "org.varlink.service.\(error)", parameters: writer.bytes)
    }

    /// The status of the HTTP binding (UAPI.20), with the domain's own errors mapped by their last part.
    var httpStatus: Int {
        switch name.utf8.split(separator: UInt8(ascii: ".")).last.map({ Substring($0) }) {
        case "InvalidParameter", "ExpectedMore", "ExpectedUpgrade", "InvalidEvent", "InvalidArgument": 400
        case "PermissionDenied": 403
        case "MethodNotFound", "InterfaceNotFound", "NotFound": 404
        case "TooSlow": 408
        case "RequestConflict": 409
        case "ErasedClaims": 410
        case "TooLarge": 413
        case "MethodNotImplemented": 501
        case "Throttled": 429
        case "Busy", "Stopping", "ClockUnconfirmed": 503
        case "StoreFull": 507
        default: 500
        }
    }

    /// Seconds after which to try again (RFC 9110 section 10.2.3); nil where that would be of no use.
    var retryAfter: Int64? {
        switch httpStatus {
        case 503: 1
        case 429: (try? JSONReader.parse(parameters))?["seconds"]?.int ?? 1
        default: nil
        }
    }

    /// `"error":…,"parameters":…` as both skins write it.
    var encoded: [UInt8] {
        var writer = JSONWriter(capacity: 64 + parameters.count)
        writer.beginObject()
        writer.name("error")
        writer.string(name)
        writer.name("parameters")
        writer.raw(parameters)
        writer.endObject()
        return writer.bytes
    }
}
