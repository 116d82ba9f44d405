/// The program that makes bundles, as manifests name it.
public enum Producer {
    /// Name and version. A version makes one page and one `VERIFY.txt`, and its verifier refuses others under its name:
    /// a released one of them never changes without the version.
    public static let name = "evidenced/0.1.0"
}
