import Bundle
import Foundation
import JSON
import LedgerFormat
import Paths
import Zip

/// A bundle with something of everything: a complete stream, disclosed claims, an original, older checkpoints, and two
/// incarnations.
struct Sample {
    static let document = Array("The text of a contract.\n".utf8)

    let ledger: SyntheticLedger
    let contents: BundleContents
    let members: [String: [UInt8]]
    let firstKey: String

    init() throws {
        var ledger = try SyntheticLedger()
        firstKey = ledger.signer.vkey
        let object = SyntheticLedger.stream("object", 2)
        let deposit = try ledger.deposit(Sample.document, object: 2)
        let atDeposit = try ledger.note()
        for number in 3..<7 { try ledger.deposit([UInt8(number)], object: number) }
        let check = try ledger.append(
            "evidence.verified",
            streams: [object],
            body: ["deposit": .int(Int64(deposit)), "result": .string("match")]
        )
        let next = try ledger.append(
            "evidence.verified",
            streams: [object],
            body: ["deposit": .int(Int64(deposit)), "result": .string("match")]
        )
        let later = try ledger.note()
        try ledger.recover(incarnation: 2, seed: String(repeating: "22", count: 32))
        for number in 7..<10 { try ledger.deposit([UInt8(number)], object: number) }
        let size = ledger.size
        contents = BundleContents(
            checkpoint: try ledger.note(),
            items: try [
                ledger.item(0, size: size), ledger.item(next + 1, size: size), ledger.item(check, size: size),
                ledger.item(next, size: size),
                ledger.item(deposit, size: size, open: ["sha256", "size", "file_name"]),
            ],
            consistency: try [ledger.consistency(atDeposit, size: size), ledger.consistency(later, size: size)],
            originals: [
                BundleContents.Original(index: deposit, fileName: "Contract.TXT", content: .bytes(Sample.document))
            ],
            selection: [.stream(object), .file],
            streams: [object],
            producer: Producer.name
        )
        self.ledger = ledger
        members = try Sample.bytes(of: BundleWriter.members(of: contents))
    }

    static func bytes(of members: [String: ZipContent]) throws -> [String: [UInt8]] {
        try members.mapValues { content in
            switch content {
            case .bytes(let bytes): bytes
            case .file(let path): try [UInt8](Data(contentsOf: URL(fileURLWithPath: path.description)))
            }
        }
    }

    /// Verifies these members, packed as they are.
    static func verify(_ members: [String: [UInt8]], key: String? = nil) throws -> BundleReport {
        let directory = try TemporaryDirectory()
        let path = directory.path("case.zip")
        try ZipWriter.write(members.mapValues { ZipContent.bytes($0) }, to: path)
        return BundleVerifier.verify(path: path, key: try key.map { try GivenKey(Array($0.utf8)) })
    }
}

/// A directory that goes away with its last reference.
final class TemporaryDirectory {
    let url: URL

    init() throws {
        url = FileManager.default.temporaryDirectory.appendingPathComponent("evidenced-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: false)
    }

    deinit { try? FileManager.default.removeItem(at: url) }

    func path(_ name: String) -> String { url.appendingPathComponent(name).path }

    /// Writes members as a program that unpacks does.
    func unpack(_ members: [String: [UInt8]]) throws {
        for (name, bytes) in members {
            let file = url.appendingPathComponent(name)
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(),
                withIntermediateDirectories: true
            )
            try Data(bytes).write(to: file)
        }
    }
}
