import Foundation
import OpenSSL
import SeededRandom
import Testing

@testable import Age

@Suite("The payload of an age file")
struct PayloadTests {
    private static let chunk = AgePayload.chunkBytes
    private static let isLong = ProcessInfo.processInfo.environment["EVIDENCED_LONG"] == "1"
    private let fileKey: AgeFileKey
    private var random = SeededGenerator(seed: 0x0A6E)

    init() throws { fileKey = try .random() }

    private func content(_ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 8 ^ $0 >> 16) }
    }

    private func write(_ content: [UInt8], pieces: [Int]? = nil) throws -> [UInt8] {
        var payload: [UInt8] = []
        let writer = try AgePayloadWriter(fileKey: fileKey, nonce: [UInt8](repeating: 5, count: 16), to: &payload)
        for piece in PayloadTests.cut(content, pieces) {
            try piece.withUnsafeBytes { try writer.write($0, to: &payload) }
        }
        try writer.finish(to: &payload)
        return payload
    }

    /// What was given out, and the error it ended with.
    private func read(_ payload: [UInt8], pieces: [Int]? = nil) -> (plaintext: [UInt8], error: AgePayloadError?) {
        var plaintext: [UInt8] = []
        let reader = AgePayloadReader(fileKey: fileKey)
        do {
            for piece in PayloadTests.cut(payload, pieces) {
                try piece.withUnsafeBytes { try reader.read($0, to: &plaintext) }
            }
            try reader.finish(to: &plaintext)
        } catch let error as AgePayloadError {
            // It stays refused.
            let count = plaintext.count
            #expect(throws: error) { try content(1).withUnsafeBytes { try reader.read($0, to: &plaintext) } }
            #expect(throws: error) { try reader.finish(to: &plaintext) }
            #expect(plaintext.count == count)
            return (plaintext, error)
        } catch {
            Issue.record("\(error)")
        }
        return (plaintext, nil)
    }

    /// In pieces of these sizes, over and over; in one where there are none.
    private static func cut(_ bytes: [UInt8], _ sizes: [Int]?) -> [ArraySlice<UInt8>] {
        guard let sizes else { return [bytes[...]] }
        var (pieces, rest): ([ArraySlice<UInt8>], ArraySlice<UInt8>) = ([], bytes[...])
        while !rest.isEmpty {
            let size = sizes[pieces.count % sizes.count]
            pieces.append(rest.prefix(size))
            rest = rest.dropFirst(size)
        }
        return pieces
    }

    /// Whether these are so many bytes, and the first. With memcmp: in tests, which aren't optimised, comparing them one by
    /// one took most of the time.
    private static func isBeginning(_ plaintext: [UInt8], of content: [UInt8], _ count: Int) -> Bool {
        plaintext.count == count && count <= content.count && memcmp(plaintext, content, count) == 0
    }

    static let sizes = [0, 1, 15, 16, 17, 65_519, 65_520, 65_535, 65_536, 65_537, 131_071, 131_072, 131_073, 200_000]

    @Test("comes back, and is as long as stated beforehand", arguments: sizes)
    func roundTrip(count: Int) throws {
        let content = content(count)
        let payload = try write(content)
        #expect(AgePayload.payloadBytes(ofPlaintext: UInt64(count)) == UInt64(payload.count))
        #expect(AgePayload.plaintextBytes(ofPayload: UInt64(payload.count)) == UInt64(count))
        let (plaintext, error) = read(payload)
        #expect(plaintext == content && error == nil)
    }

    @Test("is the same in pieces of any size, written and read", arguments: [0, 1, 65_536, 65_537, 200_000])
    func pieces(count: Int) throws {
        let content = content(count)
        let whole = try write(content)
        let sizes: [[Int]] = [
            [1], [7], [0, 1_000], [65_535], [65_536], [65_537], [65_551], [65_552], [65_553], [131_104], [1, 65_536],
            [65_552, 1], [16, 65_552], [15, 1, 65_551, 1], [100_000],
        ]
        for sizes in sizes {
            #expect(try write(content, pieces: sizes) == whole, "\(sizes)")
            let (plaintext, error) = read(whole, pieces: sizes)
            #expect(plaintext == content && error == nil, "\(sizes)")
        }
    }

    @Test("has a new nonce each time, and is under another key each time")
    func nonces() throws {
        var payloads: [[UInt8]] = [[], []]
        for number in 0..<2 {
            let writer = try AgePayloadWriter(fileKey: fileKey, to: &payloads[number])
            try content(3).withUnsafeBytes { try writer.write($0, to: &payloads[number]) }
            try writer.finish(to: &payloads[number])
            #expect(read(payloads[number]).plaintext == content(3))
        }
        #expect(payloads[0].prefix(16) != payloads[1].prefix(16) && payloads[0].suffix(19) != payloads[1].suffix(19))
    }

    @Test("is finished once")
    func finished() throws {
        var payload: [UInt8] = []
        let writer = try AgePayloadWriter(fileKey: fileKey, to: &payload)
        try writer.finish(to: &payload)
        let written = payload
        #expect(throws: AgePayloadError.finished) { try writer.finish(to: &payload) }
        #expect(throws: AgePayloadError.finished) {
            try content(1).withUnsafeBytes { try writer.write($0, to: &payload) }
        }
        #expect(payload == written)
        var plaintext: [UInt8] = []
        let reader = AgePayloadReader(fileKey: fileKey)
        try payload.withUnsafeBytes { try reader.read($0, to: &plaintext) }
        try reader.finish(to: &plaintext)
        #expect(throws: AgePayloadError.finished) { try reader.finish(to: &plaintext) }
        #expect(throws: AgePayloadError.finished) {
            try content(1).withUnsafeBytes { try reader.read($0, to: &plaintext) }
        }
    }

    @Test("of a small file shows every change of a bit")
    func bits() throws {
        let payload = try write(content(40))
        for bit in 0..<(payload.count * 8) {
            var changed = payload
            changed[bit / 8] ^= 1 << UInt8(bit % 8)
            let (plaintext, error) = read(changed)
            #expect(plaintext.isEmpty && error == .chunk(0), "bit \(bit)")
        }
    }

    @Test("of several chunks shows a change in any of them, and gives out those before")
    mutating func changes() throws {
        let content = content(150_000)
        let payload = try write(content)
        for _ in 0..<(Self.isLong ? 1_000 : 60) {
            let place = Int.random(in: 16..<payload.count, using: &random)
            var changed = payload
            changed[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            let chunk = (place - 16) / AgePayload.sealedChunkBytes
            for pieces in [nil, [10_000], [AgePayload.sealedChunkBytes]] {
                let (plaintext, error) = read(changed, pieces: pieces)
                #expect(error == .chunk(UInt64(chunk)), "byte \(place)")
                #expect(Self.isBeginning(plaintext, of: content, chunk * Self.chunk), "byte \(place)")
            }
        }
    }

    @Test("cut off anywhere is refused, and nothing but whole chunks was given out", arguments: [150_000, 196_608])
    func truncation(count: Int) throws {
        let content = content(count)
        let payload = try write(content)
        let sealed = AgePayload.sealedChunkBytes
        var lengths = Set(stride(from: 0, to: payload.count, by: Self.isLong ? 61 : 2_003))
        // Around every border.
        for border in [0, 16, 16 + sealed, 16 + 2 * sealed, payload.count] {
            lengths.formUnion((border - 20...border + 20).filter { 0..<payload.count ~= $0 })
        }
        for length in lengths {
            let (plaintext, error) = read(Array(payload.prefix(length)))
            let whole = max(0, length - 16) / sealed
            let rest = max(0, length - 16) % sealed
            let expected: AgePayloadError =
                if length < 16 { .nonce } else if rest == 0 { .cutOff } else if rest == 16, whole > 0 {
                    .emptyLastChunk
                } else { .chunk(UInt64(whole)) }
            #expect(error == expected, "\(length) bytes")
            #expect(Self.isBeginning(plaintext, of: content, whole * Self.chunk), "\(length) bytes")
        }
    }

    @Test("with anything behind its end is refused", arguments: [0, 10, 65_536, 131_072])
    func trailing(count: Int) throws {
        let content = content(count)
        let payload = try write(content)
        for rest in [1, 15, 16, 17, AgePayload.sealedChunkBytes] {
            let (_, error) = read(payload + [UInt8](repeating: 0, count: rest))
            // Behind a full chunk it is seen to be too much; otherwise it makes another chunk of the last.
            let isFull = count > 0 && count % Self.chunk == 0
            #expect(isFull ? error == .dataAfterEnd : error != nil, "\(rest) bytes")
        }
        #expect(read(payload + payload.dropFirst(16)).error != nil)
    }

    @Test("with chunks in another order, twice, left out, or of another payload is refused")
    func order() throws {
        let content = content(4 * Self.chunk + 5)
        let payload = try write(content)
        let chunks = stride(from: 16, to: payload.count, by: AgePayload.sealedChunkBytes).map {
            payload[$0..<min($0 + AgePayload.sealedChunkBytes, payload.count)]
        }
        func joined(_ numbers: [Int]) -> [UInt8] { payload.prefix(16) + numbers.flatMap { chunks[$0] } }
        #expect(read(joined([0, 1, 2, 3, 4])).error == nil)
        for (numbers, first) in [
            ([1, 0, 2, 3, 4], 0), ([0, 2, 1, 3, 4], 1), ([0, 0, 1, 2, 3, 4], 1), ([0, 1, 3, 4], 2), ([0, 1, 2, 4], 3),
            ([1, 2, 3, 4], 0), ([4], 0), ([0, 1, 2, 3, 4, 4], 4),
        ] {
            let (plaintext, error) = read(joined(numbers))
            #expect(error == .chunk(UInt64(first)), "\(numbers)")
            #expect(Self.isBeginning(plaintext, of: content, first * Self.chunk), "\(numbers)")
        }
        #expect(read(joined([0, 1, 2, 3])).error == .cutOff)
        var other = payload
        other[0] ^= 1
        #expect(read(other).error == .chunk(0))
    }

    /// Made as no writer makes one: an empty last chunk behind a full one.
    @Test("with an empty last chunk is refused but where it is the only one")
    func emptyLastChunk() throws {
        let nonce = [UInt8](repeating: 5, count: 16)
        let cipher = try AgeChunkCipher(fileKey, nonce: nonce)
        var payload = nonce
        let content = content(Self.chunk)
        try content.withUnsafeBytes { try cipher.seal($0, 0, isLast: false, to: &payload) }
        try cipher.seal(UnsafeRawBufferPointer(start: nil, count: 0), 1, isLast: true, to: &payload)
        let (plaintext, error) = read(payload)
        #expect(plaintext == content && error == .emptyLastChunk)
        #expect(read(try write([])).error == nil)
    }

    @Test("has a length that tells that of the content, or none")
    func lengths() {
        // The smallest ones one by one.
        var next: UInt64 = 0
        for count in 0..<UInt64(3 * Self.chunk) {
            let payload = AgePayload.payloadBytes(ofPlaintext: count)
            while next < payload ?? 0 {
                #expect(AgePayload.plaintextBytes(ofPayload: next) == nil, "\(next)")
                next += 1
            }
            if AgePayload.plaintextBytes(ofPayload: next) != count { Issue.record("\(next)") }
            next += 1
        }
        // The largest makes 2^64 - 1 bytes.
        let largest: UInt64 = 18_442_241_573_325_438_943
        #expect(AgePayload.payloadBytes(ofPlaintext: largest) == .max)
        #expect(AgePayload.payloadBytes(ofPlaintext: largest + 1) == nil)
        #expect(AgePayload.payloadBytes(ofPlaintext: .max) == nil)
        for count in [1 << 40, 1 << 63, largest] {
            let payload = AgePayload.payloadBytes(ofPlaintext: count)
            #expect(payload.flatMap { AgePayload.plaintextBytes(ofPayload: $0) } == count)
        }
    }

    @Test("is opened chunk by chunk", arguments: [0, 1, 65_536, 65_537, 200_000])
    func chunks(count: Int) throws {
        let content = content(count)
        let payload = try write(content)
        let chunks = try AgePayloadChunks(
            fileKey: fileKey,
            nonce: Array(payload.prefix(16)),
            payloadBytes: UInt64(payload.count)
        )
        #expect(chunks.plaintextBytes == UInt64(count))
        #expect(chunks.count == UInt64(max(1, (count + 65_535) / 65_536)))
        for number in 0..<chunks.count {
            let (place, range) = (chunks.payloadRange(of: number), chunks.plaintextRange(of: number))
            #expect(range.isEmpty || chunks.chunk(holding: range.lowerBound) == number)
            #expect(range.isEmpty || chunks.chunk(holding: range.upperBound - 1) == number)
            let sealed = Array(payload[Int(place.lowerBound)..<Int(place.upperBound)])
            var opened: [UInt8] = []
            try sealed.withUnsafeBytes { try chunks.open(number, $0, to: &opened) }
            #expect(opened.elementsEqual(content[Int(range.lowerBound)..<Int(range.upperBound)]))
            opened = []
            var changed = sealed
            changed[changed.count / 2] ^= 1
            #expect(throws: AgePayloadError.chunk(number)) {
                try changed.withUnsafeBytes { try chunks.open(number, $0, to: &opened) }
            }
            #expect(throws: AgePayloadError.length) {
                try sealed.dropLast().withUnsafeBytes { try chunks.open(number, $0, to: &opened) }
            }
            #expect(opened.isEmpty)
        }
    }

    @Test("of another length than stated shows it at its last chunk")
    func wrongLength() throws {
        let payload = try write(content(3 * Self.chunk))
        let sealed = AgePayload.sealedChunkBytes
        let nonce = Array(payload.prefix(16))
        var opened: [UInt8] = []
        let shorter = try AgePayloadChunks(fileKey: fileKey, nonce: nonce, payloadBytes: UInt64(16 + 2 * sealed))
        #expect(throws: AgePayloadError.chunk(1)) {
            try payload[(16 + sealed)..<(16 + 2 * sealed)].withUnsafeBytes { try shorter.open(1, $0, to: &opened) }
        }
        #expect(throws: AgePayloadError.length) {
            try AgePayloadChunks(fileKey: fileKey, nonce: nonce, payloadBytes: UInt64(16 + sealed + 16))
        }
        #expect(throws: AgePayloadError.nonce) {
            try AgePayloadChunks(fileKey: fileKey, nonce: [1], payloadBytes: UInt64(payload.count))
        }
    }
}
