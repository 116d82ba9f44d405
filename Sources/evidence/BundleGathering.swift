import Bundle
import JSON
import Ledger
import LedgerFormat
import Merkle
import OpenSSL
import Paths
import Varlink
import Zip

/// Gathers through the daemon's socket what goes into a bundle, all of it under the checkpoint that was the newest when
/// it began.
struct BundleGathering {
    private let connection: Connection
    private let note: String
    let checkpoint: Checkpoint
    private var entries: [UInt64: RecordedEntry] = [:]
    private var paths: [UInt64: [Digest]] = [:]
    private var openings: [UInt64: [Opening]] = [:]
    private var consistency: [UInt64: ConsistencyText] = [:]
    private var originals: [(index: UInt64, path: FilePath, sha256: String)] = []
    private var selection: [Selection] = []
    private var streams: [StreamID] = []
    /// What was asked for, as against the entries that establish the key.
    private(set) var selected: Set<UInt64> = []
    /// What selected entries cite, directly or by others, where that was asked for.
    private(set) var brought: Set<UInt64> = []
    /// What the ledger recorded of itself, as far as the checkpoint reaches: by type, in order.
    private var own: [String: [RecordedEntry]] = [:]
    /// Entries whose claims should have been opened and were erased.
    private(set) var erased = 0

    init(connection: Connection) throws {
        self.connection = connection
        let reply = try connection.call("GetCheckpoint")
        note = try reply.text("checkpoint")
        let signed = try SignedNote(parsing: Array(note.utf8))
        try signed.verify([CheckpointVerifier(vkey: try reply.text("vkey"))])
        checkpoint = try Checkpoint(parsing: signed.text)
    }

    // MARK: Entries

    /// Entry 0 and every `system.recovered`.
    mutating func establishKeys() throws {
        let first = try connection.entry(0)
        add(first)
        guard let stream = first.entry.streams.first?.stream else { return }
        // All the ledger says of itself is in its own stream.
        own = Dictionary(grouping: try list(stream: stream.description)) { $0.entry.type }
        for entry in own["system.recovered"] ?? [] { add(entry) }
    }

    /// What the ledger said of its clock and its software when the entries were recorded that are here for what they say:
    /// for each the last of every kind before it, and the first of every kind after the newest.
    mutating func addCircumstances() {
        let told = selected.union(brought)
        guard let newest = told.max() else { return }
        for type in ["system.clock_status", "system.clock_jumped", "system.build", "system.started"] {
            let records = own[type] ?? []
            let indexes = records.map(\.entry.index)
            for index in told {
                let before = BundleGathering.count(of: indexes, below: index)
                if before > 0 { add(records[before - 1]) }
            }
            if let next = records.first(where: { $0.entry.index > newest }) { add(next) }
        }
    }

    /// How many of the ascending indexes are below this one.
    private static func count(of indexes: [UInt64], below index: UInt64) -> Int {
        var (low, high) = (0, indexes.count)
        while low < high {
            let middle = (low + high) / 2
            if indexes[middle] < index { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Brings the entries that selected ones cite, and those these cite.
    mutating func addCited() throws {
        var cited = absent
        while !cited.isEmpty {
            let parameters = cited.sorted().map { JSONValue.members(["index": .int(Int64($0))]) }
            var found: [RecordedEntry] = []
            try connection.callAll("GetEntry", parameters) { _, reply in
                found.append(try RecordedEntry(reply.get().member("entry")))
            }
            for entry in found {
                add(entry)
                brought.insert(entry.entry.index)
            }
            cited = absent
        }
    }

    /// Entries that are cited and not there.
    var absent: Set<UInt64> {
        var cited: Set<UInt64> = []
        for (index, entry) in entries {
            for citation in entry.entry.citations where citation.isOfEntry && citation.cited < index {
                if entries[citation.cited] == nil { cited.insert(citation.cited) }
            }
        }
        return cited
    }

    mutating func select(stream text: String) throws {
        guard let stream = StreamID(text), !streams.contains(stream) else { return }
        let found = try list(stream: text)
        guard !found.isEmpty else { throw Failure(.refused, "stream \(text) has no entries") }
        for entry in found { add(entry, isSelected: true) }
        streams.append(stream)
        selection.append(.stream(stream))
    }

    mutating func select(indexes: [Int64]) throws {
        let parameters = indexes.map { JSONValue.members(["index": .int($0)]) }
        var found: [RecordedEntry] = []
        try connection.callAll("GetEntry", parameters) { _, reply in
            found.append(try RecordedEntry(reply.get().member("entry")))
        }
        for entry in found where !selected.contains(entry.entry.index) {
            guard entry.entry.index < checkpoint.size else {
                throw Failure(.busy, "entry \(entry.entry.index) is newer than the checkpoint asked for: try again")
            }
            add(entry, isSelected: true)
            selection.append(.index(entry.entry.index))
        }
    }

    mutating func select(file path: FilePath) throws {
        let found = try recorded(sha256: digest(of: path).sha256.hex)
        guard !found.isEmpty else { throw Failure(.refused, "\(path) is not recorded") }
        for entry in found { add(entry, isSelected: true) }
        selection.append(.file)
    }

    mutating func select(since: Moment?, until: Moment?) throws {
        let found = try list(since: since, until: until)
        guard !found.isEmpty else { throw Failure(.refused, "no entries are of this time") }
        for entry in found { add(entry, isSelected: true) }
        if let time = since.flatMap({ LedgerTime($0.text) }) { selection.append(.since(time)) }
        if let time = until.flatMap({ LedgerTime($0.text) }) { selection.append(.until(time)) }
    }

    private mutating func add(_ entry: RecordedEntry, isSelected: Bool = false) {
        entries[entry.entry.index] = entry
        if isSelected { selected.insert(entry.entry.index) }
    }

    /// Entries that pass a filter, as far as the checkpoint reaches.
    private func list(
        type: String? = nil,
        stream: String? = nil,
        since: Moment? = nil,
        until: Moment? = nil
    ) throws -> [RecordedEntry] {
        var found: [RecordedEntry] = []
        try connection.stream(
            "ListEntries",
            [
                "type": type.map { .string($0) }, "stream": stream.map { .string($0) },
                "since": since.map { .string($0.text) }, "until": until.map { .string($0.text) },
                "limit": .int(1_000),
            ]
        ) { page in
            for value in try page.list("entries") {
                let entry = try RecordedEntry(value)
                if entry.entry.index < checkpoint.size { found.append(entry) }
            }
            return true
        }
        return found
    }

    private func recorded(sha256: String) throws -> [RecordedEntry] {
        try connection.entries(recording: sha256).filter { $0.entry.index < checkpoint.size }
    }

    private func digest(of path: FilePath) throws -> FileDigests {
        let total = try LocalFile.size(path)
        var bar = ProgressBar("hashing")
        defer { bar.clear() }
        return try FileDigests(path: path) { bar.update(done: UInt64(clamping: $0), total: total) }
    }

    // MARK: What goes with them

    /// Adds a file to the first of the selected entries that records it.
    mutating func add(original path: FilePath) throws {
        let sha256 = try digest(of: path).sha256.hex
        guard !originals.contains(where: { $0.sha256.utf8.elementsEqual(sha256.utf8) }) else { return }
        let recording = try recorded(sha256: sha256).map(\.entry).filter { entry in
            selected.contains(entry.index)
                && entry.claims.contains { $0.claims.contains { $0.name.utf8.elementsEqual("sha256".utf8) } }
        }
        guard let index = recording.map(\.index).min() else {
            throw Failure(.refused, "\(path) is not recorded by any selected entry")
        }
        originals.append((index, path, sha256))
    }

    /// Opens claims of the selected entries and of those brought for them: those named, or all for nil, and what the
    /// originals need.
    mutating func open(_ names: [String]?) throws {
        let recording = Set(originals.map(\.index))
        let asked = selected.union(brought).sorted().compactMap { index -> (index: UInt64, names: [String])? in
            let known = entries[index]?.entry.claims.flatMap { $0.claims.map(\.name) } ?? []
            let wanted = known.filter { name in
                names?.contains { $0.utf8.elementsEqual(name.utf8) } ?? true
                    || name.utf8.elementsEqual("sha256".utf8) && recording.contains(index)
            }
            return wanted.isEmpty ? nil : (index, wanted)
        }
        let parameters = asked.map { row in
            JSONValue.members([
                "index": .int(Int64(row.index)), "names": .array(row.names.map { .string($0) }),
            ])
        }
        var bar = ProgressBar("opening claims")
        defer { bar.clear() }
        try connection.callAll("Open", parameters) { position, reply in
            bar.update(done: UInt64(position), total: UInt64(asked.count))
            let index = asked[position].index
            guard case .success(let answer) = reply else {
                guard case .failure(let error) = reply, error.name.utf8.suffix(13).elementsEqual(".ErasedClaims".utf8)
                else {
                    _ = try reply.get()
                    return
                }
                guard !recording.contains(index) else { throw error }
                erased += 1
                return
            }
            openings[index] = try answer.list("openings").map { value in
                guard let opening = Verification.opening(value) else {
                    throw Failure(.refused, "the daemon's opening of entry \(index) is malformed")
                }
                return opening
            }
        }
    }

    /// Proves every entry in the tree of the checkpoint.
    mutating func prove() throws {
        let indexes = entries.keys.sorted()
        let size = JSONValue.int(Int64(checkpoint.size))
        let parameters = indexes.map { JSONValue.members(["index": .int(Int64($0)), "size": size]) }
        var bar = ProgressBar("proving")
        defer { bar.clear() }
        try connection.callAll("ProveInclusion", parameters) { position, reply in
            bar.update(done: UInt64(position), total: UInt64(indexes.count))
            paths[indexes[position]] = try reply.get().hashes("hashes")
        }
    }

    /// The oldest checkpoint that covers the newest of the selected entries: what was signed when it was recorded.
    mutating func addReceiptTimeCheckpoint() throws {
        guard let newest = selected.max() else { return }
        let reply = try connection.call("GetCheckpoint", ["size": .int(Int64(newest + 1))])
        try add(older: try reply.text("checkpoint"))
    }

    /// An older checkpoint somebody kept. A mark of UTF-8 before it and carriage returns, as some editors and mailers put
    /// in, are taken off: they are no part of any note, and its signature shows whether the rest is what was signed.
    mutating func add(checkpoint path: FilePath) throws {
        let bytes = try LocalFile.read(path)
        let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
        let plain = (bytes.starts(with: mark) ? bytes.dropFirst(mark.count) : bytes[...]).filter { $0 != 0x0D }
        try add(older: String(decoding: plain, as: UTF8.self))
    }

    private mutating func add(older note: String) throws {
        let older: Checkpoint
        do {
            older = try Checkpoint(parsing: SignedNote(parsing: Array(note.utf8)).text)
        } catch {
            throw Failure(.usage, "the older checkpoint is none: \(error)")
        }
        guard older.size != checkpoint.size else {
            guard older.root == checkpoint.root else {
                throw Failure(.refused, "the ledger of \(older.size) entries is another than the older checkpoint says")
            }
            return
        }
        guard older.size < checkpoint.size else {
            throw Failure(.refused, "the checkpoint of \(older.size) entries is newer than the ledger")
        }
        let reply = try connection.call(
            "ProveConsistency",
            ["first": .int(Int64(older.size)), "second": .int(Int64(checkpoint.size))]
        )
        consistency[older.size] = ConsistencyText(path: try reply.hashes("hashes"), note: note)
    }

    // MARK: What came of it

    var contents: BundleContents {
        BundleContents(
            checkpoint: note,
            items: entries.sorted { $0.key < $1.key }.map { index, entry in
                BundleContents.Item(
                    bytes: Array(entry.text.utf8),
                    path: paths[index] ?? [],
                    openings: openings[index] ?? []
                )
            },
            consistency: consistency.sorted { $0.key < $1.key }.map(\.value),
            originals: originals.map { original in
                BundleContents.Original(
                    index: original.index,
                    fileName: FilePath.describe(original.path.name),
                    content: .file(path: original.path)
                )
            },
            selection: selection,
            streams: streams,
            producer: Producer.name
        )
    }

    /// How many claims of each name are disclosed.
    var disclosed: [(name: String, count: Int)] {
        let names = openings.values.joined().map(\.name)
        return Dictionary(grouping: names) { $0 }.map { ($0.key, $0.value.count) }.sorted {
            $0.0.utf8.lexicographicallyPrecedes($1.0.utf8)
        }
    }

    /// How many claims of the entries stay sealed.
    var withheld: Int {
        let all = entries.values.reduce(0) { $0 + $1.entry.claims.reduce(0) { $0 + $1.claims.count } }
        return all - openings.values.reduce(0) { $0 + $1.count }
    }
}
