import Driver
import Merkle
import OpenSSL

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
    for key in [keyring.checkpointSeed, keyring.claimsKey, keyring.indexKey] { check(key.count == 32) }
    let again = keyring.encoded.withUnsafeBytes { Keyring($0) }
    check(
        again?.checkpointSeed == keyring.checkpointSeed && again?.claimsKey == keyring.claimsKey
            && again?.indexKey == keyring.indexKey,
        "a keyring is not read as it was written"
    )
}
