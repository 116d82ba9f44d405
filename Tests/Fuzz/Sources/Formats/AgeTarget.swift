import Driver
import Merkle
import OpenSSL

@testable import Age

/// Bytes that begin as an age file are one, a text that begins as a key is one. Others change the chunks of a sound
/// payload, as `change` reads them.
@Sendable func fuzzAge(_ bytes: [UInt8]) {
    switch bytes.first {
    case UInt8(ascii: "a"), UInt8(ascii: "A"):
        checkKey(bytes)
        checkFile(bytes)
    default:
        checkChanges(bytes)
    }
}

private func checkFile(_ bytes: [UInt8]) {
    let read: AgeHeader?
    do {
        read = try bytes.withUnsafeBytes { try AgeHeader.read($0) }
    } catch {
        check(error is AgeHeaderError, "\(error)")
        return
    }
    let whole = Result { try bytes.withUnsafeBytes { try AgeHeader.read($0, isEnd: true) } }
    guard let header = read else {
        if case .failure(let error as AgeHeaderError) = whole, error.rule == .cutOff { return }
        fatalError("more is needed, and it is not cut off")
    }
    check((try? whole.get()) == header, "a header depends on what follows")
    var encoded = AgeHeader.unsealed(header.stanzas)
    AgeHeader.append(header.mac, to: &encoded)
    check(encoded == header.encoded && bytes.starts(with: encoded), "a header has two encodings")
    let cut = bytes.prefix(encoded.count - 1)
    check((try? cut.withUnsafeBytes { try AgeHeader.read($0) }) == .some(nil), "a header is whole before its end")
    for stanza in header.stanzas {
        check((try? AgeStanza(arguments: stanza.arguments, body: stanza.body)) == stanza, "a stanza can't be written")
    }
    do {
        if let fileKey = try sample.identity.fileKey(of: header) { try header.check(fileKey) }
    } catch {
        check(error is AgeHeaderError, "\(error)")
    }
    let payload = Array(bytes[encoded.count...])
    let outcome = content(of: payload, in: payload.count)
    check(content(of: payload, in: 7) == outcome, "a payload in pieces is another")
    guard outcome.isWhole else { return }
    check(write(outcome.plaintext, nonce: Array(payload.prefix(16))) == payload, "a payload has two encodings")
}

private func checkKey(_ bytes: [UInt8]) {
    if let text = text(bytes), let recipient = try? AgeRecipient(text) {
        check(isSame(recipient.description, bytes), "a recipient has two spellings")
    }
    guard let identity = try? bytes.withUnsafeBytes({ try AgeIdentity($0) }) else { return }
    check(identity.text.withUnsafeBytes { $0.elementsEqual(bytes) }, "an identity has two spellings")
    check((try? AgeRecipient(identity.recipient.description)) == identity.recipient, "an identity has no recipient")
}

/// Whatever is done to a payload: what is given out is the beginning of the content, and all of it only where nothing was
/// done.
private func checkChanges(_ bytes: [UInt8]) {
    var input = Input(bytes)
    let size = 500 + input.half()
    var chunks = sample.chunks
    while !input.isEmpty { change(&chunks, &input) }
    let payload = sample.nonce + chunks.flatMap { $0 }
    let outcome = content(of: payload, in: size)
    check(content(of: payload, in: payload.count) == outcome, "a payload in pieces is another")
    check(sample.content.starts(with: outcome.plaintext), "bytes were given out that nobody wrote")
    let isSound = payload == sample.nonce + sample.chunks.flatMap { $0 }
    check(outcome.isWhole == isSound, isSound ? "a sound payload is refused" : "a changed payload is read to its end")
}

private func change(_ chunks: inout [[UInt8]], _ input: inout Input) {
    let (kind, number, other, place) = (input.byte() % 6, Int(input.byte()), Int(input.byte()), input.half())
    guard !chunks.isEmpty else { return }
    let first = number % chunks.count
    let count = chunks[first].count
    switch kind {
    case 0: chunks.swapAt(first, other % chunks.count)
    case 1: chunks.remove(at: first)
    case 2: if chunks.count < 8 { chunks.insert(sample.chunks[other % sample.chunks.count], at: first) }
    case 3: if count > 0 { chunks[first][place % count] ^= input.byte() }
    case 4: chunks[first].removeLast(min(count, place))
    default: chunks[first] += input.bytes(other)
    }
}

private struct Outcome: Equatable {
    var plaintext: [UInt8] = []
    var isWhole = false
}

private func content(of payload: [UInt8], in size: Int) -> Outcome {
    var outcome = Outcome()
    let reader = AgePayloadReader(fileKey: sample.fileKey)
    do {
        var rest = payload[...]
        while !rest.isEmpty {
            try rest.prefix(size).withUnsafeBytes { try reader.read($0, to: &outcome.plaintext) }
            rest = rest.dropFirst(size)
        }
        try reader.finish(to: &outcome.plaintext)
        outcome.isWhole = true
    } catch {
        check(error is AgePayloadError, "\(error)")
    }
    return outcome
}

private func write(_ content: [UInt8], nonce: [UInt8]) -> [UInt8] {
    var payload: [UInt8] = []
    do {
        let writer = try AgePayloadWriter(fileKey: sample.fileKey, nonce: nonce, to: &payload)
        try content.withUnsafeBytes { try writer.write($0, to: &payload) }
        try writer.finish(to: &payload)
    } catch {
        fatalError("\(error)")
    }
    return payload
}

/// The file key and the identity are those of the seeds; the payload has two full chunks and a short one.
private let sample: (fileKey: AgeFileKey, identity: AgeIdentity, nonce: [UInt8], chunks: [[UInt8]], content: [UInt8]) =
    {
        do {
            let fileKey = try AgeFileKey(SecretBytes(copying: Array("YELLOW SUBMARINE".utf8)))
            let text = Array("AGE-SECRET-KEY-1EGTZVFFV20835NWYV6270LXYVK2VKNX2MMDKWYKLMGR48UAWX40Q2P2LM0".utf8)
            let identity = try text.withUnsafeBytes { try AgeIdentity($0) }
            let nonce = [UInt8](repeating: 7, count: AgePayload.nonceBytes)
            let content = (0..<2 * AgePayload.chunkBytes + 100).map { UInt8(truncatingIfNeeded: $0 ^ $0 >> 8) }
            var payload: [UInt8] = []
            let writer = try AgePayloadWriter(fileKey: fileKey, nonce: nonce, to: &payload)
            try content.withUnsafeBytes { try writer.write($0, to: &payload) }
            try writer.finish(to: &payload)
            let chunks = stride(from: nonce.count, to: payload.count, by: AgePayload.sealedChunkBytes).map {
                Array(payload[$0..<min($0 + AgePayload.sealedChunkBytes, payload.count)])
            }
            return (fileKey, identity, nonce, chunks, content)
        } catch {
            fatalError("no payload can be made: \(error)")
        }
    }()
