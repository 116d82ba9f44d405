import LedgerFormat
import Merkle
import OpenSSL

/// The request keys and ids of one run of a command, all made of one key: running the command again with that key asks
/// for the same again, and what was recorded already is recorded once.
///
/// The ledger's first request of a series is its key itself. The others, and the ids, keep the key's leading 48 bits, its
/// time; the rest is of SHA-256 over the key, so that none tells another.
struct RequestSeries {
    let key: RequestKey

    /// - Parameter key: the key of an earlier run; nil for a fresh one.
    init(key: RequestKey? = nil) { self.key = key ?? UUIDv7.next() }

    /// The request key of the event at a position.
    func request(_ position: Int) -> RequestKey {
        position == 0 ? key : UUIDv7.make(milliseconds: milliseconds, random: derived("request", position))
    }

    /// The id of something at a position: 32 hex digits.
    func id(_ kind: String, _ position: Int = 0) -> String {
        let (high, low) = derived(kind, position)
        return ID128(milliseconds: milliseconds, random: (UInt16(truncatingIfNeeded: high), low)).description
    }

    private var milliseconds: UInt64 { key.value.high >> 16 }

    private func derived(_ kind: String, _ position: Int) -> (UInt64, UInt64) {
        let digest = SHA256Hasher().hash(Array("evidence series v1\n\(kind)\n\(position)\n\(key)\n".utf8))
        let words = digest.bytes
        func word(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
        return (word(words[..<8]), word(words[8..<16]))
    }
}
