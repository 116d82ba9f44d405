import CLinux

/// Descriptors 0, 1 and 2 as the process found them.
///
/// Those that were closed stand on /dev/null before anything else runs, so that no file of the ledger gets the number
/// of one and with it what is printed or logged. Reading and writing there fail with `EBADF`.
public enum StandardDescriptors {
    /// Whether a descriptor was closed at start; false for any but 0, 1 and 2.
    public static func wasClosed(_ descriptor: Int32) -> Bool { evidenced_descriptor_was_closed(descriptor) != 0 }
}
