import JSON

/// A call as a client of the native skin sends it (UAPI.20 Varlink).
struct CallMessage: Sendable {
    let method: String
    /// A JSON object.
    var parameters: [UInt8] = Array("{}".utf8)
    /// Whether the client takes more than one reply.
    var more = false
    /// Whether it takes none.
    var oneway = false
    var upgrade = false

    /// Reads one message; nil where it is no call. Members that are null are as good as absent.
    init?(_ bytes: [UInt8]) {
        var method: String?
        var parameters = Array("{}".utf8)
        var flags = (more: false, oneway: false, upgrade: false)
        var reader = JSONReader(bytes)
        do throws(JSONError) {
            try reader.object { (name, reader) throws(JSONError) in
                switch name {
                case "method": method = try reader.string()
                case "parameters":
                    let range = try reader.skip()
                    if bytes[range].first == UInt8(ascii: "{") {
                        parameters = Array(bytes[range])
                    } else if !bytes[range].elementsEqual("null".utf8) {
                        throw JSONError(.wrongType, at: range.lowerBound)
                    }
                case "more": flags.more = try CallMessage.flag(&reader)
                case "oneway": flags.oneway = try CallMessage.flag(&reader)
                case "upgrade": flags.upgrade = try CallMessage.flag(&reader)
                default: throw JSONError(.unexpectedByte, at: reader.position)
                }
            }
            try reader.finish()
        } catch {
            return nil
        }
        guard let method, [flags.more, flags.oneway, flags.upgrade].count(where: { $0 }) <= 1 else { return nil }
        self.method = method
        self.parameters = parameters
        (more, oneway, upgrade) = (flags.more, flags.oneway, flags.upgrade)
    }

    /// The method of the call that begins with these bytes, where they tell; without a look at any byte after them.
    static func method(beginning bytes: [UInt8]) -> String? {
        var reader = JSONReader(bytes)
        do throws(JSONError) {
            try reader.beginObject()
            while let name = try reader.nextName() {
                if reader.isName(name, "method") { return try reader.string() }
                _ = try reader.skip()
            }
        } catch {
            // The bytes end before the method, or are no JSON: whoever reads the whole message says so.
        }
        return nil
    }

    private static func flag(_ reader: inout JSONReader) throws(JSONError) -> Bool {
        try reader.null() ? false : reader.bool()
    }
}
