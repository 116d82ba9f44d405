import Foundation
import Testing

@Suite("The event catalogue in ledger-format.md")
struct CatalogueDocumentTests {
    @Test("says what the code says")
    func documentIsInStep() throws {
        let document = try FormatDocument()
        let range = try document.catalogueRange()
        if ProcessInfo.processInfo.environment["UPDATE_CATALOGUE"] == "1" {
            let updated = document.text.replacingCharacters(in: range, with: CatalogueRendering.markdown)
            try updated.write(to: document.url, atomically: true, encoding: .utf8)
            return
        }
        // The texts are too long to print when they differ, so the first lines that do are shown.
        let written = document.text[range].components(separatedBy: "\n")
        let rendered = CatalogueRendering.markdown.components(separatedBy: "\n")
        let difference = zip(written, rendered).first { $0 != $1 }
        #expect(
            written == rendered,
            """
            ledger-format.md says \(difference?.0 ?? "\(written.count) lines"), \
            the code \(difference?.1 ?? "\(rendered.count) lines"). \
            To write the block anew: UPDATE_CATALOGUE=1 swift test --filter CatalogueDocumentTests
            """
        )
    }
}
