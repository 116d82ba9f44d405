import Driver
import JSON
import LedgerFormat
import OpenSSL
import Zip

@testable import Bundle

/// Bytes that begin as an archive does are one. Others change a sound bundle: a byte that says what is made anew after
/// the changes, so that the later checks get to see them, then the changes, as `change` reads them.
@Sendable func fuzzBundle(_ bytes: [UInt8]) {
    if bytes.starts(with: "PK".utf8) {
        write(bytes, to: path)
        checkReport(BundleVerifier.verify(path: path, key: sample.key))
        return
    }
    var input = Input(bytes)
    let anew = input.byte()
    var members = sample.members
    while !input.isEmpty { change(&members, &input) }
    if anew & 1 != 0 { renewPage(&members) }
    if anew & 2 != 0 { renewDigests(&members) }
    guard !members.isEmpty else { return }
    do {
        try ZipWriter.write(members.mapValues { .bytes($0) }, to: path)
    } catch {
        fatalError("the members can't be written: \(error)")
    }
    let report = BundleVerifier.verify(path: path, key: sample.key)
    checkReport(report)
    if members == sample.members { check(report.verdict == .verified, "a sound bundle is refused") }
    guard report.hasPassed else { return }
    for (name, content) in members where isSigned(name) {
        check(content == sample.members[name], "\(name) was changed, and nobody notices")
    }
}

private let path = scratch + "/bundle.zip"

/// What follows from the signed checkpoint, byte for byte. To an older checkpoint anybody can add a cosignature; manifest
/// and page say what else there is, and can say less.
private func isSigned(_ name: String) -> Bool {
    switch BundleMember(name: name) {
    case .entry, .proof, .checkpoint, .opening, .original, .vkey, .pem: true
    default: false
    }
}

private func checkReport(_ report: BundleReport) {
    let kinds = report.checks.map(\.kind.rawValue)
    check(zip(kinds, kinds.dropFirst()).allSatisfy { $0 <= $1 }, "the checks are out of order")
    // The key that signs now needs no word about its succession.
    let missing = Set(BundleCheckKind.allCases).subtracting(report.checks.map(\.kind)).subtracting([.succession])
    check(missing.isEmpty, "no word of \(missing)")
    for check in report.checks { _ = check.text() + check.text(chinese: true) }
    guard report.hasPassed else { return }
    check(report.manifest != nil, "nothing was shown, and it has passed")
    let open: Set<BundleCheckKind> = [
        .page, .instructions, .trust, .succession, .container, .citations, .cited, .clock,
    ]
    check(report.checks.allSatisfy { $0.outcome == .passed || open.contains($0.kind) }, "passed, but not all of it")
}

/// One change: the member, what is done to it, where, how many bytes, and the bytes.
private func change(_ members: inout [String: [UInt8]], _ input: inout Input) {
    let names = members.keys.sorted()
    guard !names.isEmpty else { return }
    let name = names[Int(input.byte()) % names.count]
    let (kind, place) = (input.byte() % 6, input.half())
    let bytes = input.bytes(Int(input.byte()))
    var content = members[name] ?? []
    let start = place % (content.count + 1)
    switch kind {
    case 0: content.replaceSubrange(start..<min(start + bytes.count, content.count), with: bytes)
    case 1: content.insert(contentsOf: bytes, at: start)
    case 2: content.removeSubrange(start..<min(start + bytes.count, content.count))
    case 3: content = members[names[place % names.count]] ?? []
    case 4:
        members[name] = nil
        return
    default:
        guard let other = text(bytes), ZipMember.isName(bytes) else { return }
        members[other] = content
        return
    }
    members[name] = content
}

private func renewPage(_ members: inout [String: [UInt8]]) {
    let hasher = SHA256Hasher()
    let files = members.filter { BundleMember(name: $0.key)?.isInPage ?? false }
    let originals = members.filter { if case .original = BundleMember(name: $0.key) { true } else { false } }
    let facts = originals.mapValues {
        BundlePage.OriginalFacts(sha256: hasher.hash($0), size: UInt64($0.count))
    }
    members[BundleMember.page.name] = BundlePage.html(data: BundlePage.data(files: files, originals: facts), story: [])
}

private func renewDigests(_ members: inout [String: [UInt8]]) {
    let hasher = SHA256Hasher()
    members[BundleMember.digests.name] = nil
    members[BundleMember.digests.name] = DigestList.text(members.mapValues { hasher.hash($0) })
}

/// A bundle with something of everything, and the key it is verified with.
private let sample: (members: [String: [UInt8]], key: GivenKey) = {
    do {
        var ledger = try SyntheticLedger()
        let object = SyntheticLedger.stream("object", 2)
        let document = Array("The text of a contract.\n".utf8)
        let deposit = try ledger.deposit(document, object: 2)
        let older = try ledger.note()
        try ledger.append(
            "evidence.verified",
            streams: [object],
            body: ["deposit": .int(Int64(deposit)), "result": .string("match")]
        )
        try ledger.recover(incarnation: 2, seed: String(repeating: "22", count: 32))
        try ledger.deposit([3], object: 3)
        let size = ledger.size
        let contents = BundleContents(
            checkpoint: try ledger.note(),
            items: try [
                ledger.item(0, size: size), ledger.item(2, size: size), ledger.item(3, size: size),
                ledger.item(deposit, size: size, open: ["sha256", "size", "file_name"]),
            ],
            consistency: [try ledger.consistency(older, size: size)],
            originals: [BundleContents.Original(index: deposit, fileName: "a.txt", content: .bytes(document))],
            selection: [.stream(object), .file],
            streams: [object],
            producer: Producer.name
        )
        let members = try BundleWriter.members(of: contents).mapValues { content -> [UInt8] in
            guard case .bytes(let bytes) = content else { fatalError("a member in a file") }
            return bytes
        }
        return (members, try GivenKey(Array(ledger.signer.vkey.utf8)))
    } catch {
        fatalError("no bundle can be made: \(error)")
    }
}()
