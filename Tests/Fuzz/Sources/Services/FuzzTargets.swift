import Driver

private let target = chosen(of: [
    "configuration": fuzzConfiguration,
    "varlink": fuzzVarlink,
    "http": fuzzHTTP,
])

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    target(Array(UnsafeBufferPointer(start: start, count: count)))
    return 0
}
