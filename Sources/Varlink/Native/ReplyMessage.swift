/// A reply as the native skin sends it (UAPI.20 Varlink).
enum ReplyMessage {
    /// - Parameters:
    ///   - parameters: a JSON object.
    ///   - continues: whether more replies follow.
    static func encode(_ parameters: [UInt8], continues: Bool = false) -> [UInt8] {
        Array((continues ? "{\"continues\":true,\"parameters\":" : "{\"parameters\":").utf8) + parameters
            + [UInt8(ascii: "}"), 0]
    }

    static func encode(_ error: VarlinkError) -> [UInt8] { error.encoded + [0] }
}
