/// Takes the bytes of a body as they come.
///
/// Its calls come one after another, never two at once, on worker threads, and may block: the client waits meanwhile.
/// Exactly one of `finish` and `abandon` is the last of them, whatever happens.
public protocol ByteSink: AnyObject, Sendable {
    /// The next bytes: at least one, at most 256 KiB. They are gone after the call.
    ///
    /// - Throws: what the client is told. No more bytes come, and `abandon` follows.
    func take(_ bytes: UnsafeRawBufferPointer) throws(VarlinkError)

    /// All bytes are there.
    ///
    /// - Parameter complete: has the client answered: with parameters, a JSON object, or an error. To be called once,
    ///   now or later, on any thread; the place of the body is taken until then.
    func finish(_ complete: @escaping @Sendable (Result<[UInt8], VarlinkError>) -> Void)

    /// Not all bytes will come: the client went away, or was too slow, `take` refused, or the server stops (then on the
    /// thread that stops it).
    func abandon()
}
