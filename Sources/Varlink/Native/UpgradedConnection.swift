import NIOCore

extension UpgradeBody {
    /// Leaves the connection of a call, which was replied to, to its body.
    ///
    /// - Parameters:
    ///   - context: of the handler that goes.
    ///   - peerIsDone: whether the client has said that it sends no more.
    func takeOver(
        _ context: ChannelHandlerContext,
        _ place: BodyPlace,
        _ host: ServerHost,
        _ terms: ConnectionTerms,
        _ mailbox: Mailbox,
        peerIsDone: Bool
    ) {
        let next: any ChannelHandler =
            switch self {
            case .sink(let sink, let bytes):
                SinkConnection(
                    sink,
                    bytes: bytes,
                    place,
                    host: host,
                    terms: terms,
                    mailbox: mailbox,
                    peerIsDone: peerIsDone
                )
            case .source(let source):
                SourceConnection(
                    BodyOutlet(source, place, workers: terms.bodyWorkers),
                    host: host,
                    mailbox: mailbox
                )
            }
        let pipeline = context.pipeline.syncOperations
        do { try pipeline.addHandler(next) } catch { context.close(promise: nil) }
        pipeline.removeHandler(context: context, promise: nil)
    }
}
