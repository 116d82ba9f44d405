import LedgerFormat
import OpenSSL
import Synchronization

/// What is asked of the writer about the data key of a scope that an event will name once something is sealed under it,
/// such as a document: the writer alone gives slots to scopes, so nobody else can give the same scope another meanwhile.
final class KeyReservation: Sendable {
    enum Wish {
        /// A key for the scope, where it has none.
        case reserve
        /// What was reserved is not needed any more: an event named the scope, or none will.
        case release
    }

    let scope: StreamID
    let wish: Wish
    private let granted = Mutex<CipherKey?>(nil)

    init(_ wish: Wish, of scope: StreamID) {
        self.wish = wish
        self.scope = scope
    }

    /// The data key, once the call is answered.
    var key: CipherKey? { granted.withLock { $0 } }

    func grant(_ key: CipherKey) { granted.withLock { $0 = key } }
}
