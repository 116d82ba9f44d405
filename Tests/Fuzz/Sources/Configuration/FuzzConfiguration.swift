import Daemon

/// A file is read alike each time, and comments and blank lines at its end are nothing to it.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = UnsafeBufferPointer(start: start, count: count)
    guard let text = String(validating: bytes, as: UTF8.self) else { return 0 }
    let first = refusal(of: text)
    precondition(refusal(of: text) == first)
    precondition(refusal(of: text + "\n\n# = #\n \t\r\n") == first)
    return 0
}

private func refusal(of text: String) -> ConfigurationError? {
    do throws(ConfigurationError) {
        _ = try Configuration.parse(text, environment: [:])
        return nil
    } catch {
        return error
    }
}
