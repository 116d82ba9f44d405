import Daemon
import Driver

/// A file is read alike each time, and comments and blank lines at its end are nothing to it.
@Sendable func fuzzConfiguration(_ bytes: [UInt8]) {
    guard let text = text(bytes) else { return }
    let first = refusal(of: text)
    check(refusal(of: text) == first)
    check(refusal(of: text + "\n\n# = #\n \t\r\n") == first)
}

private func refusal(of text: String) -> ConfigurationError? {
    do throws(ConfigurationError) {
        _ = try Configuration.parse(text, environment: [:])
        return nil
    } catch {
        return error
    }
}
