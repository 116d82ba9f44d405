import CBundleTexts
import JSON
import Merkle

/// `index.html`: a page that shows a bundle's story and checks it in a browser, with the bundle's texts in it.
///
/// The data is the text of one `script` element: a JSON object of `files`, name → text of every text member but
/// `index.html`, `VERIFY.txt` and `SHA256SUMS`, and `originals`, name → digest and size. It is canonical but for `<`,
/// which is written `\u003c` so that no text can end the element (`ledger-format.md` section 14).
public enum BundlePage {
    static let opening = Array(#"<script type="application/json" id="bundle-data">"#.utf8)
    static let closing = Array("</script>".utf8)
    private static let placeholder = Array("BUNDLE_DATA".utf8)

    /// Digest and size of an original.
    struct OriginalFacts: Equatable {
        let sha256: Digest
        let size: UInt64
    }

    private static let storyPlaceholder = Array("<noscript>BUNDLE_STORY</noscript>".utf8)

    /// The page around what is a bundle's own: the plain story, and then the data.
    static let template: (before: [UInt8], between: [UInt8], after: [UInt8]) = {
        let page = [UInt8](evidenced_bundle_page())
        guard let story = page.firstRange(ofBytes: storyPlaceholder),
            let start = page.firstRange(ofBytes: opening + placeholder + closing, from: story.upperBound)
        else { fatalError("the embedded page has no place for a bundle's story or data") }
        let tag = "<noscript>".utf8.count
        return (
            Array(page[..<(story.lowerBound + tag)]),
            Array(page[(story.upperBound - tag - 1)..<(start.lowerBound + opening.count)]),
            Array(page[(start.upperBound - closing.count)...])
        )
    }()

    /// The page with its data, and with its plain story, or without one.
    static func html(data: [UInt8], story: [UInt8]) -> [UInt8] {
        template.before + story + template.between + data + template.after
    }

    /// The data of a bundle.
    ///
    /// - Parameter files: the members with `isInPage`.
    static func data(files: [String: [UInt8]], originals: [String: OriginalFacts]) -> [UInt8] {
        var writer = JSONWriter(capacity: files.values.reduce(1_024) { $0 + $1.count * 5 / 4 + 128 })
        writer.beginObject()
        writer.name("files")
        writer.beginObject()
        for (name, content) in files.sorted(by: { JSONWriter.precedes($0.key, $1.key) }) {
            writer.name(name)
            writer.string(String(decoding: content, as: UTF8.self))
        }
        writer.endObject()
        writer.name("originals")
        writer.beginObject()
        for (name, facts) in originals.sorted(by: { JSONWriter.precedes($0.key, $1.key) }) {
            writer.name(name)
            writer.value(
                .members(["sha256": .string(facts.sha256.hex), "size": .int(Int64(clamping: facts.size))])
            )
        }
        writer.endObject()
        writer.endObject()
        return escaped(writer.bytes)
    }

    /// The data a page holds; nil where its beginning does not stand there exactly once, or the element is not a line of
    /// its own.
    static func data(in page: [UInt8]) -> ArraySlice<UInt8>? {
        guard let start = page.firstRange(ofBytes: opening),
            let end = page.firstRange(ofBytes: closing, from: start.upperBound),
            page.firstRange(ofBytes: opening, from: start.upperBound) == nil,
            start.lowerBound > 0, page[start.lowerBound - 1] == 0x0A,
            end.upperBound < page.count, page[end.upperBound] == 0x0A
        else { return nil }
        return page[start.upperBound..<end.lowerBound]
    }

    /// `<` stands in strings only, so it may be escaped wherever it stands.
    private static func escaped(_ json: [UInt8]) -> [UInt8] {
        var escaped: [UInt8] = []
        escaped.reserveCapacity(json.count + 64)
        for byte in json {
            if byte == UInt8(ascii: "<") { escaped.append(contentsOf: #"\u003c"#.utf8) } else { escaped.append(byte) }
        }
        return escaped
    }
}
