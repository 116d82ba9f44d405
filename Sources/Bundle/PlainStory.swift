import CBundleTexts
import JSON
import LedgerFormat
import Merkle

/// The story and the digests as plain HTML, for who opens the page without its script: it stands in an element that
/// browsers show only then. Nothing in it is checked there, and it says so.
enum PlainStory {
    /// Of a bundle's texts. What can't be read in them is left out: the checks tell it.
    ///
    /// - Parameters:
    ///   - files: the members with `isInPage`.
    ///   - digests: SHA-256 of those and of the originals.
    static func html(files: [String: [UInt8]], digests: [String: Digest]) -> [UInt8] {
        var entries: [Entry] = []
        var opened: [UInt64: [String: OpeningText]] = [:]
        for (name, bytes) in files {
            switch BundleMember(name: name) {
            case .entry: if let entry = try? Entry(bytes) { entries.append(entry) }
            case .opening(let index, let claim): opened[index, default: [:]][claim] = try? OpeningText(bytes)
            default: continue
            }
        }
        entries.sort { $0.index < $1.index }
        let people = BundlePeople(entries, opened: opened)
        var html = "\n"
        if people.numbersParties {
            html += "<p>\(text(BundlePeople.aboutNumbers.english)) \(BundlePeople.aboutNumbers.chinese)</p>\n"
        }
        html += "<ul>\n"
        for person in people.people {
            let roles = person.roles.map { "\($0.english) \($0.chinese)" }.joined(separator: "; ")
            let known = person.names.map(text).joined(separator: " / ")
            let names = known.isEmpty ? "name not disclosed 姓名或名称未披露" : known
            html += "<li><b>\(person.label.english) \(person.label.chinese)</b> <bdi>\(names)</bdi>"
            let reported = roles.isEmpty ? "" : "as systems report 系统报告: \(roles)"
            html += " …\(people.tail(person.stream)) <small>\(reported)</small></li>\n"
        }
        html += "</ul>\n<ol class=\"plain-story\">\n"
        for entry in entries { html += item(entry, opened[entry.index] ?? [:], people, digests) }
        html += "</ol>\n<p>SHA-256</p>\n<pre>\n"
        for (name, digest) in digests.sorted(by: { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }) {
            guard case .original = BundleMember(name: name) else {
                html += "\(digest.hex)  \(text(name))\n"
                continue
            }
            html += "\(digest.hex)  <a href=\"\(text(name))\">\(text(name))</a> (file not checked 文件尚未核对)\n"
        }
        return Array((html + "</pre>\n").utf8)
    }

    private static func item(
        _ entry: Entry,
        _ opened: [String: OpeningText],
        _ people: BundlePeople,
        _ digests: [String: Digest]
    ) -> String {
        let type = EventCatalogue.type(named: entry.type)
        let (summary, summaryZH) = (type?.summary ?? entry.type, type?.summaryZH ?? entry.type)
        let utc = String(Substring(entry.time.description.utf8.prefix(19))).replacingT
        let china = LedgerTime(microseconds: entry.time.microseconds + 8 * 3_600_000_000)
        let beijing = String(Substring(china.description.utf8.prefix(19))).replacingT
        var html = "<li><b>Record \(entry.index) 第 \(entry.index) 项记录</b>: \(utc) UTC, \(beijing) 北京时间<br>\n"
        html += "\(text(summary)). \(text(summaryZH))。<br>\n"
        let actor: Words =
            switch entry.actor {
            case .system: Words("the system, not a person", "系统（非个人）")
            case .party(let stream): people.words(stream)
            }
        if doneTo.contains(entry.type) {
            html += "Reported by the system 报告的系统: \(text(entry.submitter))<br>\n"
        } else {
            html += "By 所报行为人: <bdi>\(text(both(actor)))</bdi>; "
            html += "as the system reports 报告的系统: \(text(entry.submitter))<br>\n"
        }
        let about = entry.streams.map(\.stream).filter { $0.kind != .ledger }.map { both(people.words($0)) }
        if !about.isEmpty { html += "About 涉及对象: <bdi>\(about.map(text).joined(separator: "; "))</bdi><br>\n" }
        let values =
            entry.body.values.map { ($0.name, $0.value) }
            + opened.sorted {
                $0.key.utf8.lexicographicallyPrecedes($1.key.utf8)
            }.map { ($0.key, $0.value.value) }
        for (name, value) in values {
            let shown = value.string ?? String(decoding: value.canonicalBytes, as: UTF8.self)
            html += "\(text(label(name))): <bdi>\(text(shown))</bdi><br>\n"
        }
        return html + "</li>\n"
    }

    /// What is done to somebody, by somebody outside: not told as his doing, nor as the system's. The page has the same
    /// list.
    private static let doneTo: Set<String> = [
        "identity.verified", "identity.failed", "identity.org_verified", "cert.issued", "cert.revoked",
        "cert.suspended", "cert.expired",
    ]

    private static func both(_ words: Words) -> String {
        words.english.utf8.elementsEqual(words.chinese.utf8) ? words.english : "\(words.english) / \(words.chinese)"
    }

    private static func label(_ name: String) -> String {
        let english = String(decoding: name.utf8.map { $0 == 0x5F ? 0x20 : $0 }, as: UTF8.self)
        return "\(english) \(fields[Array(name.utf8)] ?? "")"
    }

    /// Names of fields in Chinese: the page's own table of them.
    private static let fields: [[UInt8]: String] = table("FIELDS_ZH").mapValues { String(decoding: $0, as: UTF8.self) }

    /// What records are cited as, by the field that cites, or by type and field.
    static let purposes: [[UInt8]: Words] = table("CITED_AS").mapValues { text in
        let both = text.split(separator: UInt8(ascii: "/"), maxSplits: 1).map { String(decoding: $0, as: UTF8.self) }
        return Words(both.first ?? "", both.last ?? "")
    }

    /// One of the page's own tables: a name and what it means.
    private static func table(_ name: String) -> [[UInt8]: [UInt8]] {
        let page = [UInt8](evidenced_bundle_page())
        guard let start = page.firstRange(ofBytes: Array("const \(name) = words(`".utf8)),
            let end = page.firstRange(ofBytes: Array("`)".utf8), from: start.upperBound)
        else { fatalError("the embedded page has no table \(name)") }
        var meanings: [[UInt8]: [UInt8]] = [:]
        for item in page[start.upperBound..<end.lowerBound].split(separator: UInt8(ascii: "|")) {
            let words = item.filter { $0 != 0x0A }.split(separator: 0x20, maxSplits: 1)
            if words.count == 2 { meanings[Array(words[0])] = Array(words[1]) }
        }
        return meanings
    }

    /// The text as HTML, with control and formatting characters written out so that they can't move or hide anything.
    private static func text(_ text: String) -> String {
        var html = ""
        for scalar in text.unicodeScalars {
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator:
                html += "\\u{\(String(scalar.value, radix: 16))}"
                continue
            default: break
            }
            switch scalar {
            case "&": html += "&amp;"
            case "<": html += "&lt;"
            case ">": html += "&gt;"
            case "\"": html += "&quot;"
            default: html.unicodeScalars.append(scalar)
            }
        }
        return html
    }
}

extension String {
    /// A time as people write it.
    fileprivate var replacingT: String {
        String(decoding: utf8.map { $0 == UInt8(ascii: "T") ? 0x20 : $0 }, as: UTF8.self)
    }
}
