import CBundleTexts

/// `VERIFY.txt`: how to check a bundle with common tools, in English and Chinese. The same in every bundle; its commands
/// are the lines that begin with four spaces.
public enum Instructions {
    public static let text = [UInt8](evidenced_bundle_instructions())
}

extension [UInt8] {
    /// A text embedded in the program.
    init(_ text: evidenced_text) { self.init(UnsafeBufferPointer(start: text.bytes, count: text.count)) }
}
