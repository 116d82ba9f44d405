import LMDB
import Merkle
import OpenSSL

/// The look-up index is damaged: it is made anew from the log, and nothing it says is believed meanwhile.
struct LookupDamage: Error, Equatable, Sendable, CustomStringConvertible {
    let what: String

    init(_ what: String) { self.what = what }

    var description: String { "the look-up index is damaged: \(what)" }

    /// An error by what it means for the index: what LMDB cannot follow, or the system cannot read, is damage of it.
    static func named(_ error: any Error) -> any Error {
        switch error {
        case let damage as PageDamage: LookupDamage(damage.description)
        case let refusal as LMDBError where Shortage.isMeant(by: refusal): refusal
        case let refusal as LMDBError where refusal.isDamage || refusal.isFailedRead: LookupDamage(refusal.description)
        default: error
        }
    }
}

/// The 16 bytes that end every row of the look-up index: a digest of database, key and content, so that no bit of a row
/// can change unseen (`ledger-format.md` section 9). Not for use by two threads at once.
struct LookupSeal {
    static let bytes = 16
    private static let tag = Array("evidenced/index-row/v1\n".utf8)
    private let digest = RunningDigest.sha256()

    /// A row's value: its content and the seal.
    func sealed(_ name: String, _ key: [UInt8], _ content: [UInt8]) -> [UInt8] {
        let seal = key.withUnsafeBytes { key in content.withUnsafeBytes { self.seal(name, key, $0) } }
        return content + seal
    }

    /// The content of a row.
    ///
    /// - Throws: `LookupDamage` where the seal is not that of database, key and content.
    func open(
        _ name: String,
        _ key: UnsafeRawBufferPointer,
        _ value: UnsafeRawBufferPointer
    ) throws(LookupDamage) -> UnsafeRawBufferPointer {
        guard value.count >= LookupSeal.bytes else { throw LookupDamage("a row of '\(name)' is cut") }
        let content = UnsafeRawBufferPointer(rebasing: value.dropLast(LookupSeal.bytes))
        guard value.suffix(LookupSeal.bytes).elementsEqual(seal(name, key, content)) else {
            throw LookupDamage("a row of '\(name)' does not have the digest it was written with")
        }
        return content
    }

    /// The content of a row that was checked when the index was opened.
    static func content(_ value: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: value.dropLast(bytes))
    }

    private func seal(
        _ name: String,
        _ key: UnsafeRawBufferPointer,
        _ content: UnsafeRawBufferPointer
    ) -> ArraySlice<UInt8> {
        LookupSeal.tag.withUnsafeBytes { digest.update($0) }
        var name = name + "\n"
        name.withUTF8 { digest.update(UnsafeRawBufferPointer($0)) }
        withUnsafeBytes(of: UInt16(truncatingIfNeeded: key.count).bigEndian) { digest.update($0) }
        digest.update(key)
        digest.update(content)
        return digest.finish().bytes.prefix(LookupSeal.bytes)
    }
}
