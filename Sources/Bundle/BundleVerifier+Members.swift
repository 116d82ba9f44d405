import JSON
import LedgerFormat
import Merkle

/// Step 2: the manifest, the members it implies, and the two members made for people.
extension BundleVerifier {
    mutating func checkManifest() {
        check(.manifest, BundleMember.manifest.name) { verifier in
            guard let bytes = verifier.texts[BundleMember.manifest.name] else {
                verifier.fail(.manifest, BundleMember.manifest.name, Words("it is missing", "缺失"))
                return nil
            }
            do {
                verifier.report.manifest = try Manifest(bytes)
            } catch {
                verifier.fail(.manifest, BundleMember.manifest.name, Words(error: error))
            }
            return nil
        }
        check(.members, nil) { verifier in
            guard let manifest = verifier.report.manifest else {
                verifier.note(.members, .unchecked, nil, Words("there is no manifest to go by", "没有可依据的清单"))
                return nil
            }
            let expected = Set(manifest.members.map(\.name))
            let present = Set(verifier.texts.keys).union(verifier.originals.keys)
            for name in expected.subtracting(present).sorted() {
                verifier.fail(.members, name, Words("the manifest states it, and it is missing", "清单列出但文件缺失"))
            }
            for name in present.subtracting(expected).sorted() {
                verifier.fail(.members, name, Words("the manifest does not state it", "清单未列出此文件"))
            }
            return Words(count: present.count, "member", "members", "个文件")
        }
    }

    /// The page's data is that of the members, and the page around it is that of the program that made it.
    mutating func checkPage() -> Words? {
        let name = BundleMember.page.name
        guard let page = texts[name] else {
            fail(.page, name, Words("it is missing", "缺失"))
            return nil
        }
        guard let data = BundlePage.data(in: page) else {
            fail(.page, name, Words("it has not exactly one place for its data", "数据位置不唯一或缺失"))
            return nil
        }
        let files = texts.filter { BundleMember(name: $0.key)?.isInPage ?? false }
        let facts = originals.mapValues { BundlePage.OriginalFacts(sha256: $0.sha256, size: $0.size) }
        if !data.elementsEqual(BundlePage.data(files: files, originals: facts)) {
            let others = differences(Array(data), files, facts)
            for other in others {
                fail(.page, name, Words("it shows \(other) otherwise than it is", "所含 \(other) 的内容与该文件不同"))
            }
            if others.isEmpty { fail(.page, name, Words("its data is not spelt as it must be", "数据的书写形式不符合规定")) }
            return nil
        }
        let shown = digests.filter { files[$0.key] != nil || originals[$0.key] != nil }
        let story = PlainStory.html(files: files, digests: shown)
        // A producer may leave the plain story out; then nothing is in its place.
        if page == BundlePage.html(data: Array(data), story: story) { return nil }
        if page == BundlePage.html(data: Array(data), story: []) { return nil }
        if isOwnProduct {
            fail(.page, name, Words("around its data it is not the page its producer makes", "数据以外的部分与制作软件的网页不同"))
        } else {
            note(
                .page,
                .unchecked,
                name,
                Words("its data is right; the page around it is of another program", "数据一致；网页其余部分出自其他软件，未核验")
            )
        }
        return nil
    }

    /// The members the page's data shows otherwise; none where it is no JSON, or says more than it should.
    private func differences(
        _ data: [UInt8],
        _ files: [String: [UInt8]],
        _ facts: [String: BundlePage.OriginalFacts]
    ) -> [String] {
        guard let shown = try? JSONReader.parse(data) else { return [] }
        var names: [String] = []
        for (name, content) in files where shown["files"]?[name]?.string.map({ Array($0.utf8) }) != content {
            names.append(name)
        }
        for (name, fact) in facts {
            let row = shown["originals"]?[name]
            if row?["sha256"]?.string != fact.sha256.hex || row?["size"]?.int != Int64(clamping: fact.size) {
                names.append(name)
            }
        }
        return names.sorted()
    }

    mutating func checkInstructions() -> Words? {
        let name = BundleMember.instructions.name
        if texts[name] == Instructions.text { return nil }
        if texts[name] == nil {
            fail(.instructions, name, Words("it is missing", "缺失"))
        } else if isOwnProduct {
            fail(.instructions, name, Words("they are others", "内容不同"))
        } else {
            note(.instructions, .unchecked, name, Words("they are of another program", "出自其他软件，未核验"))
        }
        return nil
    }

    /// Whether the manifest says that this very version made the bundle.
    private var isOwnProduct: Bool { report.manifest?.producer == Producer.name }
}
