import Glibc

/// What the fuzzer runs, by the name in `FUZZ_TARGET`. Each traps where what it read breaks a promise of the format;
/// the parsers trapping by themselves is the other thing that is looked for.
private let targets: [String: @Sendable ([UInt8]) -> Void] = [
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
]

private let target: @Sendable ([UInt8]) -> Void = {
    guard let name = getenv("FUZZ_TARGET").map({ String(cString: $0) }), let target = targets[name] else {
        fatalError("FUZZ_TARGET must be one of \(targets.keys.sorted().joined(separator: ", "))")
    }
    return target
}()

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    target(Array(UnsafeBufferPointer(start: start, count: count)))
    return 0
}

/// The input as text, where it is UTF-8: the only way bytes become text in the daemon.
func text(_ bytes: [UInt8]) -> String? { String(validating: bytes, as: UTF8.self) }

/// Whether a text has exactly these bytes. `==` of `String` would also say so of texts normalised differently.
func isSame(_ text: String, _ bytes: [UInt8]) -> Bool { text.utf8.elementsEqual(bytes) }

/// Ends the run where a promise is broken, and says which: in release builds `precondition` says nothing.
func check(
    _ isKept: Bool,
    _ breach: String = "a promise is broken",
    file: StaticString = #fileID,
    line: UInt = #line
) {
    if !isKept { fatalError(breach, file: file, line: line) }
}
