/// `VERIFY.txt`: how to check a bundle with common tools, in English and Chinese. The same in every bundle; its commands
/// are the lines that begin with four spaces.
public enum Instructions {
    public static let text: [UInt8] = PackageResources.VERIFY_txt
}
