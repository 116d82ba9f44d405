import COpenSSL

/// A failed call into libcrypto.
public struct OpenSSLError: Error, Sendable, CustomStringConvertible {
    /// What was being done.
    public let operation: String
    /// The newest entry of libcrypto's error queue, which this takes empty.
    public let reason: String

    init(_ operation: String) {
        self.operation = operation
        var newest: UInt = 0
        while case let code = ERR_get_error(), code != 0 { newest = code }
        if newest == 0 {
            reason = "no reason given"
        } else {
            var buffer = [CChar](repeating: 0, count: 256)
            ERR_error_string_n(newest, &buffer, buffer.count)
            reason = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
    }

    public var description: String { "\(operation): \(reason)" }
}

/// What `MissingAlgorithm.check` found to be there, or memory; there is nothing to recover to.
func required<T>(_ value: T?, _ operation: String) -> T {
    guard let value else { fatalError(OpenSSLError(operation).description) }
    return value
}
