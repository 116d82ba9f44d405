import Glibc

/// What the fuzzer runs on one input. It traps where what was read breaks a promise of the format; the parsers trapping
/// by themselves is the other thing that is looked for.
public typealias FuzzTarget = @Sendable ([UInt8]) -> Void

/// The target named by `FUZZ_TARGET`.
public func chosen(of targets: [String: FuzzTarget]) -> FuzzTarget {
    guard let name = environment("FUZZ_TARGET"), let target = targets[name] else {
        fatalError("FUZZ_TARGET must be one of \(targets.keys.sorted().joined(separator: ", "))")
    }
    return target
}

/// A directory for files of the run, which whoever started it removes.
public let scratch: String = {
    guard let directory = environment("FUZZ_SCRATCH") else { fatalError("FUZZ_SCRATCH must name a directory") }
    return directory
}()

private func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

/// The input as text, where it is UTF-8: the only way bytes become text in the daemon.
public func text(_ bytes: [UInt8]) -> String? { String(validating: bytes, as: UTF8.self) }

/// Whether a text has exactly these bytes. `==` of `String` would also say so of texts normalised differently.
public func isSame(_ text: String, _ bytes: [UInt8]) -> Bool { text.utf8.elementsEqual(bytes) }

/// Ends the run where a promise is broken, and says which: in release builds `precondition` says nothing.
public func check(
    _ isKept: Bool,
    _ breach: @autoclosure () -> String = "a promise is broken",
    file: StaticString = #fileID,
    line: UInt = #line
) {
    if !isKept { fatalError(breach(), file: file, line: line) }
}

/// Puts bytes in a file, in place of what it held.
public func write(_ bytes: [UInt8], to path: String) {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    defer { close(descriptor) }
    var done = 0
    while done < bytes.count {
        let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress! + done, bytes.count - done) }
        check(count > 0, "no room for \(path)")
        done += count
    }
    check(descriptor >= 0, "no file can be made at \(path)")
}

/// Takes parts off the front of an input; what is beyond its end is zero or empty.
public struct Input {
    public private(set) var rest: ArraySlice<UInt8>

    public init(_ bytes: [UInt8]) { rest = bytes[...] }

    public var isEmpty: Bool { rest.isEmpty }

    public mutating func byte() -> UInt8 { rest.popFirst() ?? 0 }

    public mutating func half() -> Int { Int(byte()) << 8 | Int(byte()) }

    public mutating func bytes(_ count: Int) -> [UInt8] {
        defer { rest = rest.dropFirst(count) }
        return Array(rest.prefix(count))
    }
}
