import Driver
import JSON
import LedgerFormat

@testable import Bundle

@Sendable func fuzzManifest(_ bytes: [UInt8]) {
    guard let manifest = try? Manifest(bytes) else { return }
    check(manifest.encoded == bytes, "a manifest has two encodings")
    for member in manifest.members {
        check(BundleMember(name: member.name) == member, "a member has a name that is another's")
    }
}

@Sendable func fuzzConsistencyText(_ bytes: [UInt8]) {
    guard let text = try? ConsistencyText(bytes) else { return }
    check(isSame(text.encoded, bytes), "a consistency proof has two encodings")
}

@Sendable func fuzzOpeningText(_ bytes: [UInt8]) {
    guard let opening = try? OpeningText(bytes) else { return }
    var preimage: [UInt8] = []
    let (name, value) = (opening.name, opening.value.canonicalBytes)
    ClaimCommitment.append(salt: opening.salt.span, name: name.utf8.span, value: value.span, to: &preimage)
    check(preimage == bytes, "an opening has two encodings")
}
