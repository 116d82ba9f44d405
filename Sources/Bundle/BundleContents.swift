import JSON
public import LedgerFormat
public import Merkle
public import Zip

/// What goes into a bundle. The writer derives from it what else a bundle holds: manifest, keys, page and digests.
public struct BundleContents: Sendable {
    /// An entry with its proof and its disclosed claims.
    public struct Item: Sendable {
        /// The entry's exact bytes.
        public let bytes: [UInt8]
        /// Its inclusion path in the tree of the bundle's checkpoint.
        public let path: [Digest]
        public let openings: [Opening]

        public init(bytes: [UInt8], path: [Digest], openings: [Opening] = []) {
            self.bytes = bytes
            self.path = path
            self.openings = openings
        }
    }

    /// A recorded document itself.
    public struct Original: Sendable {
        /// The entry that records it.
        public let index: UInt64
        public let ending: String
        public let content: ZipContent

        /// - Parameter fileName: what the document is called; only the ending of it gets into the bundle, and only where
        ///   it is 1 to 8 letters and digits.
        public init(index: UInt64, fileName: String, content: ZipContent) {
            self.index = index
            let last = fileName.utf8.split(separator: UInt8(ascii: ".")).dropFirst().last
            let ending = String(decoding: last?.asciiLowercased ?? [], as: UTF8.self)
            self.ending = BundleMember.isEnding(ending) ? ending : "bin"
            self.content = content
        }
    }

    /// The signed note all proofs lead to.
    public var checkpoint: String
    /// In any order; entry 0 and every `system.recovered` among them.
    public var items: [Item]
    public var consistency: [ConsistencyText]
    public var originals: [Original]
    public var selection: [Selection]
    /// Streams of which every entry is there.
    public var streams: [StreamID]
    /// Name and version of the program.
    public var producer: String

    public init(
        checkpoint: String,
        items: [Item],
        consistency: [ConsistencyText] = [],
        originals: [Original] = [],
        selection: [Selection],
        streams: [StreamID] = [],
        producer: String
    ) {
        self.checkpoint = checkpoint
        self.items = items
        self.consistency = consistency
        self.originals = originals
        self.selection = selection
        self.streams = streams
        self.producer = producer
    }
}
