import LMDB

extension KeyTree {
    /// Bytes of file kept ready ahead of those in use.
    private static let aheadBytes = 1 << 20

    /// Makes sure the file has blocks for pages that a transaction is going to write, so that a full disk shows before it
    /// and not in its commit.
    ///
    /// - Parameter isUrgent: it may use the room kept ahead.
    /// - Throws: `KeyRefusal` `.noRoom`.
    func makeRoom(pages: Int, isUrgent: Bool = false) throws {
        // The free list, the heads, and what is copied of the pages above.
        let needed = environment.sizes.used + (pages + 64) * Environment.pageBytes
        if try environment.makeRoom(to: needed, ahead: KeyTree.aheadBytes) { return }
        if isUrgent, environment.reservedBytes >= environment.sizes.used + pages * Environment.pageBytes { return }
        throw KeyRefusal(.noRoom, "there is no room for keys", advice: "Make room on the disk of the key tree")
    }
}
