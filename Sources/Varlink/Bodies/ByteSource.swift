/// Gives the bytes of an answer piece by piece.
///
/// Its calls come one after another, never two at once, on worker threads, and may block. What is given is kept until the
/// client takes it, some pieces ahead at most.
public protocol ByteSource: AnyObject, Sendable {
    /// How many bytes there are in all. Asked once, before the first piece.
    var count: UInt64 { get }

    /// Appends the next piece, of 64 KiB or so; nothing where that was the end. It is asked for the end before the last
    /// bytes are sent, so that what turns out wrong by then leaves an answer that is visibly not whole.
    ///
    /// - Throws: what the client is told, where nothing was sent yet. Later the connection is cut. So it is where there are
    ///   more bytes, or fewer, than `count`.
    func next(_ piece: inout [UInt8]) throws(VarlinkError)

    /// No more is asked for, and the end was not reached: the client went away, was too slow or asked for the length
    /// only, `next` failed, or the server stops (then on the thread that stops it). The last call, and not made after
    /// the end.
    func abandon()
}
