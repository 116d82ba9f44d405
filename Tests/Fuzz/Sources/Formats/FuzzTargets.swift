import Driver

private let target = chosen(of: [
    "json": fuzzJSON,
    "encodings": fuzzEncodings,
    "names": fuzzNames,
    "tile": fuzzTile,
    "proofs": fuzzProofs,
    "entry": fuzzEntry,
    "submission": fuzzSubmission,
    "note": fuzzNote,
    "checkpoint": fuzzCheckpoint,
    "tlog-proof": fuzzTlogProof,
    "vkey": fuzzVerificationKey,
    "zip": fuzzZip,
    "manifest": fuzzManifest,
    "consistency": fuzzConsistencyText,
    "opening": fuzzOpeningText,
    "bundle": fuzzBundle,
    "lock": fuzzLock,
    "keyring": fuzzKeyring,
    "root-key": fuzzRootKey,
    "key-node": fuzzKeyNode,
    "pages": fuzzPages,
    "guard": fuzzGuard,
    "age": fuzzAge,
])

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    target(Array(UnsafeBufferPointer(start: start, count: count)))
    return 0
}
