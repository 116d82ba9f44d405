import JSON
public import LedgerFormat
import Merkle

/// What a bundle holds: `manifest.json` (`ledger-format.md` section 14), canonical JSON.
public struct Manifest: Equatable, Sendable {
    public static let format = "evidenced bundle 1"

    /// An entry and the names of its opened claims, in byte order.
    public struct EntryRow: Equatable, Sendable {
        public let index: UInt64
        public let openings: [String]

        public init(index: UInt64, openings: [String]) {
            self.index = index
            self.openings = openings
        }
    }

    /// An incarnation's verification key.
    public struct KeyRow: Equatable, Sendable {
        public let incarnation: Int64
        public let vkey: String

        public init(incarnation: Int64, vkey: String) {
            self.incarnation = incarnation
            self.vkey = vkey
        }
    }

    /// An original, and the entry that records it.
    public struct OriginalRow: Equatable, Sendable {
        public let index: UInt64
        /// `originals/N.EXT`
        public let name: String

        public init(index: UInt64, name: String) {
            self.index = index
            self.name = name
        }
    }

    /// A stream selected as a whole, and how many entries it had.
    public struct StreamRow: Equatable, Sendable {
        public let entries: Int64
        public let stream: StreamID

        public init(entries: Int64, stream: StreamID) {
            self.entries = entries
            self.stream = stream
        }
    }

    public let checkpoint: Checkpoint
    /// Sizes of the older checkpoints there are consistency proofs from, ascending.
    public let consistency: [UInt64]
    /// By ascending index.
    public let entries: [EntryRow]
    /// By ascending incarnation.
    public let keys: [KeyRow]
    /// By ascending index, then number.
    public let originals: [OriginalRow]
    /// Name and version of the program that made the bundle.
    public let producer: String
    public let selection: [Selection]
    /// In byte order of the streams.
    public let streams: [StreamRow]

    public init(
        checkpoint: Checkpoint,
        consistency: [UInt64],
        entries: [EntryRow],
        keys: [KeyRow],
        originals: [OriginalRow],
        producer: String,
        selection: [Selection],
        streams: [StreamRow]
    ) {
        self.checkpoint = checkpoint
        self.consistency = consistency
        self.entries = entries
        self.keys = keys
        self.originals = originals
        self.producer = producer
        self.selection = selection
        self.streams = streams
    }

    /// The canonical JSON.
    public var encoded: [UInt8] {
        JSONValue.members([
            "checkpoint": .members([
                "origin": .string(checkpoint.origin), "root": .string(checkpoint.root.base64),
                "size": .int(Int64(checkpoint.size)),
            ]),
            "consistency": .array(consistency.map { .int(Int64($0)) }),
            "entries": .array(
                entries.map { row in
                    .members([
                        "index": .int(Int64(row.index)), "openings": .array(row.openings.map { .string($0) }),
                    ])
                }
            ),
            "format": .string(Manifest.format),
            "keys": .array(
                keys.map { .members(["incarnation": .int($0.incarnation), "vkey": .string($0.vkey)]) }
            ),
            "originals": .array(
                originals.map { .members(["index": .int(Int64($0.index)), "name": .string($0.name)]) }
            ),
            "producer": .string(producer),
            "selection": .array(
                selection.map { .members(["kind": .string($0.kind.rawValue), "value": .string($0.value)]) }
            ),
            "streams": .array(
                streams.map { .members(["entries": .int($0.entries), "stream": .string($0.stream.description)]) }
            ),
        ]).canonicalBytes
    }

    /// The members a bundle with this manifest has, no more and no fewer.
    public var members: Set<BundleMember> {
        var members: Set<BundleMember> = [.manifest, .checkpoint, .instructions, .page, .digests]
        for row in entries {
            members.insert(.entry(row.index))
            members.insert(.proof(row.index))
            for claim in row.openings { members.insert(.opening(row.index, claim: claim)) }
        }
        for size in consistency { members.insert(.consistency(size)) }
        for key in keys {
            members.insert(.vkey(key.incarnation))
            members.insert(.pem(key.incarnation))
        }
        members.formUnion(originals.compactMap { BundleMember(name: $0.name) })
        return members
    }
}
