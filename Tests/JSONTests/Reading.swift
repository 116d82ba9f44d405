import JSON

/// Why a document is refused, or nil where it is read.
func refusal(of document: some Sequence<UInt8>) -> JSONError? {
    do throws(JSONError) {
        _ = try JSONReader.parse(Array(document))
        return nil
    } catch {
        return error
    }
}

/// Why a document is refused by a reader that passes over it, or nil where it isn't.
func refusalPassingOver(_ document: some Sequence<UInt8>) -> JSONError? {
    var reader = JSONReader(Array(document))
    do throws(JSONError) {
        _ = try reader.skip()
        try reader.finish()
        return nil
    } catch {
        return error
    }
}

/// Why a document is refused as an object of canonical text, or nil where it is read.
func refusalAsText(_ document: [UInt8]) -> JSONError? {
    do throws(JSONError) {
        _ = try JSONObjectText(parsing: document)
        return nil
    } catch {
        return error
    }
}

/// The canonical form of a document. Compared as bytes: to `String`, texts that differ in normalisation are equal.
func canonical(_ document: some Sequence<UInt8>) throws -> [UInt8] {
    try JSONReader.parse(Array(document)).canonicalBytes
}

/// `[[[…]]]` or `{"":{"":{…}}}`, so many deep.
func nested(_ depth: Int, in brackets: (open: String, close: String)) -> String {
    String(repeating: brackets.open, count: depth) + String(repeating: brackets.close, count: depth)
}
