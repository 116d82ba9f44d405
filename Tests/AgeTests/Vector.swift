import Age
import CZlib
import Foundation
import Merkle
import OpenSSL
import Testing

/// A file of `Vectors`, which are those of C2SP/CCTV `age/testdata` at commit 1e3d2860d46e (Zero-Clause BSD, CC0 1.0 or
/// Unlicense), unchanged: what is expected of whoever reads it, an empty line, and the age file.
struct Vector: CustomTestStringConvertible, Sendable {
    let name: String
    let expect: String
    /// SHA-256 of all plaintext that may be given out, in hexadecimal.
    let payload: String?
    let fileKey: AgeFileKey?
    let identities: [String]
    let isArmored: Bool
    let file: [UInt8]

    var testDescription: String { name }

    /// All of them.
    static let all: [Vector] = {
        let directory = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
            .appendingPathComponent("Vectors")
        do {
            return try FileManager.default.contentsOfDirectory(atPath: directory.path).sorted().map {
                try Vector($0, Array(Data(contentsOf: directory.appendingPathComponent($0))))
            }
        } catch {
            fatalError("the vectors can't be read: \(error)")
        }
    }()

    private init(_ name: String, _ bytes: [UInt8]) throws {
        self.name = name
        let end = try #require(zip(bytes, bytes.dropFirst()).enumerated().first { $1 == (0x0A, 0x0A) }).offset
        var fields: [(name: String, value: String)] = []
        for line in bytes[..<end].split(separator: 0x0A) {
            let text = String(decoding: line, as: UTF8.self)
            let colon = try #require(text.range(of: ": "))
            fields.append((String(text[..<colon.lowerBound]), String(text[colon.upperBound...])))
        }
        let known: Set = [
            "expect", "payload", "file key", "identity", "passphrase", "armored", "compressed", "comment",
        ]
        try #require(known.isSuperset(of: fields.map(\.name)), "\(name): a field is unknown")
        func field(_ name: String) -> String? { fields.first { $0.name == name }?.value }
        expect = try #require(field("expect"))
        payload = field("payload")
        // A few have keys of other lengths, which is what they are about.
        fileKey = try field("file key").flatMap { Hex.decode($0) }.flatMap { bytes in
            bytes.count == AgeFileKey.count ? try AgeFileKey(SecretBytes(copying: bytes)) : nil
        }
        identities = fields.filter { $0.name == "identity" }.map(\.value)
        isArmored = field("armored") == "yes"
        let file = Array(bytes[(end + 2)...])
        switch field("compressed") {
        case nil: self.file = file
        case "zlib": self.file = try Vector.inflated(file)
        case let other?: throw Unknown(compression: other)
        }
    }

    private struct Unknown: Error { let compression: String }

    private static func inflated(_ bytes: [UInt8]) throws -> [UInt8] {
        // The largest has 258 chunks.
        var count = uLong(300 * AgePayload.sealedChunkBytes)
        var inflated = [UInt8](repeating: 0, count: Int(count))
        try #require(uncompress(&inflated, &count, bytes, uLong(bytes.count)) == Z_OK)
        return Array(inflated.prefix(Int(count)))
    }
}

extension Vector {
    /// What came of reading a file.
    struct Outcome {
        /// As `expect` says it.
        var result: String
        var plaintext: [UInt8] = []
    }

    /// Reads the file as whoever has these identities does.
    func outcome() throws -> Outcome {
        let (header, fileKey): (AgeHeader, AgeFileKey)
        do {
            header = try #require(try file.withUnsafeBytes { try AgeHeader.read($0, isEnd: true) })
            guard let found = try nativeFileKey(header) else { return Outcome(result: "no match") }
            fileKey = found
        } catch let error as AgeHeaderError {
            return Outcome(result: error.rule == .unauthentic ? "HMAC failure" : "header failure")
        }
        var outcome = Outcome(result: "success")
        do {
            let reader = AgePayloadReader(fileKey: fileKey)
            try file[header.encoded.count...].withUnsafeBytes { try reader.read($0, to: &outcome.plaintext) }
            try reader.finish(to: &outcome.plaintext)
        } catch let error as AgePayloadError {
            // The vectors count the nonce to the header.
            outcome.result = error == .nonce ? "header failure" : "payload failure"
        }
        return outcome
    }

    /// Hybrid identities are not ours.
    private func nativeFileKey(_ header: AgeHeader) throws -> AgeFileKey? {
        for text in identities where !text.hasPrefix("AGE-SECRET-KEY-PQ-1") {
            let identity = try Array(text.utf8).withUnsafeBytes { try AgeIdentity($0) }
            if let fileKey = try identity.fileKey(of: header) { return fileKey }
        }
        return nil
    }
}
