import Driver
import Merkle
import OpenSSL

@testable import Keys
@testable import Ledger

private let slotBytes = 4_096

/// The input is the texts of the two slots, split at the first 0xFF, which no text has; zero bytes and hash are added.
@Sendable func fuzzLock(_ bytes: [UInt8]) {
    _ = CheckpointLock.newest(bytes)
    let texts = bytes.split(separator: 0xFF, maxSplits: 1, omittingEmptySubsequences: false)
    let slots = texts.map { slot($0) } + [[UInt8](repeating: 0, count: slotBytes)]
    let records = slots.prefix(2).map { slot -> LockRecord? in
        guard let record = LockRecord(slot: slot) else { return nil }
        check(record.slot == slot, "a record has two encodings")
        check(record.sequence < .max, "a record that none can follow")
        _ = try? record.checkpoint()
        return record
    }
    let newest = CheckpointLock.newest(Array(slots[0] + slots[1]))
    check(newest?.sequence == records.compactMap { $0?.sequence }.max(), "not the newest record")
    check(newest == nil || records.contains(newest))
}

private func slot(_ text: ArraySlice<UInt8>) -> [UInt8] {
    let text = text.prefix(slotBytes - 32)
    let content = Array(text) + [UInt8](repeating: 0, count: slotBytes - 32 - text.count)
    return content + SHA256Hasher().hash(content).bytes
}

@Sendable func fuzzKeyring(_ bytes: [UInt8]) {
    guard let keyring = bytes.withUnsafeBytes({ Keyring($0) }) else { return }
    for key in [keyring.checkpointSeed, keyring.masterSecret, keyring.indexKey] { check(key.count == 32) }
    let again = keyring.encoded.withUnsafeBytes { Keyring($0) }
    check(
        again?.checkpointSeed == keyring.checkpointSeed && again?.masterSecret == keyring.masterSecret
            && again?.indexKey == keyring.indexKey,
        "a keyring is not read as it was written"
    )
}

/// The input is the text of a slot of `root.key`; zero bytes and hash are added.
@Sendable func fuzzRootKey(_ bytes: [UInt8]) {
    let slot = slot(bytes[...])
    guard let record = RootRecord(slot: slot) else { return }
    check(record.slot == slot, "a root key's record has two encodings")
    check(RootRecord(slot: record.slot) == record, "a root key's record is not read as it was written")
}

/// The input is a byte for the suite and one for the node's depth, its index in eight, and its row without the seal, which
/// is added. What is read is then changed as erasing and making keys change it.
@Sendable func fuzzKeyNode(_ bytes: [UInt8]) {
    guard bytes.count >= 10 else { return }
    let suite = CipherSuite.allCases[Int(bytes[0]) % CipherSuite.allCases.count]
    let index = bytes[2..<10].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    let place = NodePlace(depth: bytes[1] % NodePlace.depths, index: index)
    let content = bytes[10...]
    let label = Array("evidenced/key-node/v1\n".utf8)
    let row = Array(content) + SHA256Hasher().hash(label + place.key + content).bytes.prefix(16)
    guard var node = row.withUnsafeBytes({ KeyNode($0, at: place, suite) }) else { return }
    check(node.row(at: place) == row, "a node has two encodings")
    let living = node.livingPositions
    let keys = living.map { node.withWrapped($0) { Array($0) } }
    check(keys.allSatisfy { $0.count == suite.sealedKeyBytes }, "a wrapped key of another length")
    if let first = living.first {
        node.erase(first)
        check(node.wasMade(first) && !node.lives(first), "an erased key lives, or was never made")
        check(
            zip(living, keys).dropFirst().allSatisfy { at, key in node.withWrapped(at) { $0.elementsEqual(key) } },
            "erased another"
        )
        node.set(first, keys[0])
        check(node.row(at: place) == row, "a key put back in its place makes another node")
    }
}
