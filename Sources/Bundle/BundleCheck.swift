/// What is checked of a bundle: the ten steps of `ledger-format.md` section 14, taken apart as far as their outcomes
/// mean different things.
public enum BundleCheckKind: Int, CaseIterable, Sendable {
    case archive, digests
    case manifest, members, page, instructions
    case entries, inclusion
    case chain, times
    case identity, keys
    case signature, trust, succession
    case streams
    case openings
    case originals
    case consistency
    case container, citations, cited, clock

    /// The step of section 14 it is part of; 11 for what stands beside the verdict.
    public var step: Int {
        switch self {
        case .archive, .digests: 1
        case .manifest, .members, .page, .instructions: 2
        case .entries, .inclusion: 3
        case .chain, .times: 4
        case .identity, .keys: 5
        case .signature, .trust, .succession: 6
        case .streams: 7
        case .openings: 8
        case .originals: 9
        case .consistency: 10
        case .container, .citations, .cited, .clock: 11
        }
    }

    /// A word for programs.
    public var name: String { "\(self)" }

    /// What it is about.
    var subject: Words {
        switch self {
        case .container: Words("what the files came in", "文件载体")
        case .citations: Words("a citation does not fit", "引用不符")
        case .cited: Words("records that are cited", "被引用的记录")
        case .clock: Words("the ledger's clock", "账本时钟")
        default: words
        }
    }

    /// What holds where the check has passed.
    public var words: Words {
        switch self {
        case .archive: Words("every file can be read, and is there once", "各文件均可读取且不重复")
        case .container: Words("the files are in the archive that was issued", "各文件装于原始压缩包中")
        case .digests: Words("SHA256SUMS states the digest of every other member", "SHA256SUMS 列出的哈希值与各文件一致")
        case .manifest: Words("the manifest is complete and canonical", "清单完整且为规范形式")
        case .members: Words("the members are exactly those the manifest states", "文件与清单所列完全一致")
        case .page: Words("the page shows the members as they are", "网页所含数据与各文件一致")
        case .instructions: Words("the instructions are those of the program that made the bundle", "核验说明与制作软件所附一致")
        case .entries: Words("each record keeps the ledger's format", "每项记录符合账本格式")
        case .inclusion: Words("each record is among those the checkpoint signs", "每项记录均为账本签名快照所涵盖")
        case .chain: Words("records that follow one another are chained", "相邻记录前后相链")
        case .times: Words("the times of the records ascend", "记录时间依次递增")
        case .identity: Words("the ledger's first record and recoveries establish its keys", "首项记录及恢复记录确立账本密钥")
        case .keys: Words("the key files hold the ledger's keys", "密钥文件与账本密钥一致")
        case .signature: Words("the checkpoint is signed by the ledger's newest key", "账本签名快照由账本最新密钥作出")
        case .trust: Words("the ledger's key is the one given", "账本密钥与所提供的密钥一致")
        case .succession:
            Words("each key since the one given was signed by the one before", "自所提供的密钥起，各密钥均经前一密钥签名")
        case .streams: Words("no record of a complete stream is missing", "完整记录流没有缺少记录")
        case .openings: Words("disclosed values are those whose salted hashes were recorded", "披露内容与记录中的加盐哈希值一致")
        case .originals: Words("originals have the digests that were recorded", "所附电子文件哈希值与记录一致")
        case .consistency: Words("older checkpoints are the beginning of this ledger", "较早的账本签名快照为当前账本的开头部分")
        case .citations: Words("citations fit, as far as what they cite is here", "引用与在此的被引用记录相符")
        case .cited: Words("every record that is cited is in the bundle", "所引用的记录均在本证据包中")
        case .clock: Words("the ledger reported its clock synchronised", "账本报告其时钟已同步")
        }
    }
}

/// The outcome of one check.
public struct BundleCheck: Equatable, Sendable {
    public enum Outcome: String, Sendable {
        case passed, failed
        /// It could not be made, or nobody asked for it.
        case unchecked
        /// Something a reader has to know that no verdict rests on.
        case noted

        public var words: Words {
            switch self {
            case .passed: Words("passed", "通过")
            case .failed: Words("FAILED", "未通过")
            case .unchecked: Words("not checked", "未核验")
            case .noted: Words("NOTE", "提示")
            }
        }
    }

    public let kind: BundleCheckKind
    public let outcome: Outcome
    /// The member it failed on; nil where it is about several, or the archive itself.
    public let member: String?
    /// What is wrong, what was not checked and why, or how much was checked.
    public let remark: Words?

    /// The check in one line. What is in it may be hostile, down to the names of members.
    public func text(chinese: Bool = false) -> String {
        let colon = chinese ? "：" : ": "
        // What is noted is mostly that what would hold does not.
        let subject = outcome == .noted ? kind.subject : kind.words
        return outcome.words.text(chinese: chinese) + "  " + subject.text(chinese: chinese)
            + (member.map { (chinese ? "　" : "  ") + $0 } ?? "")
            + (remark.map { colon + $0.text(chinese: chinese) } ?? "")
    }
}

/// What the verification of a bundle found.
public struct BundleReport: Sendable {
    /// In the order of the steps. A check that failed on several members is there once for each, up to
    /// `maximumFailures`.
    public internal(set) var checks: [BundleCheck] = []
    /// Who is in it; nil where nobody is, or its records can't be read.
    public internal(set) var people: BundlePeople?
    /// What the files lie in; nil where they can't be read.
    public internal(set) var container: BundleContainer?
    /// What the bundle states; nil where its manifest can't be read.
    public internal(set) var manifest: Manifest?

    /// Which document each signature is of, a phrase for each; none where nothing was signed.
    public internal(set) var signedDocuments: [Words] = []
    /// What is not here, and whom to ask for it.
    public internal(set) var absences: [BundleAbsence] = []

    /// The most failures listed of one kind.
    public static let maximumFailures = 50

    /// The indexes of records, in ascending order, one for each of their citations that does not fit.
    var misfits: [UInt64] = []
    /// What is wrong with the first of them, in a sentence without its end; nil where there is none.
    var firstMisfit: Words?

    /// How the key that signed the checkpoint is known.
    public internal(set) var signer = Signer.notShown

    /// What the computer could not do, so that nothing is said of the bundle and no check was made; nil where it could.
    public internal(set) var trouble: Words?

    /// How many citations do not fit, of which records, and what is wrong with the first, as part of a sentence; nil where
    /// all fit. It goes with the verdict, which does not rest on it.
    public var toldMisfits: Words? {
        guard let first = firstMisfit else { return nil }
        let records = RecordRuns(Set(misfits).sorted()).words
        let isOne = misfits.count == 1
        return Words(
            "\(misfits.count) \(isOne ? "citation does" : "citations do") not fit (\(records.english))"
                + "\(isOne ? ": " : "; the first: ")\(first.english)",
            "\(misfits.count) 处引用不符（\(records.chinese)）\(isOne ? "：" : "；其中第一处：")\(first.chinese)"
        )
    }

    /// Whether the checks were made and nothing failed. Says nothing of whose ledger it is.
    public var hasPassed: Bool { trouble == nil && checks.allSatisfy { $0.outcome != .failed } }

    /// Whether nothing failed but that the key given is none of the ledger's. That is no sign of a change: the key may be
    /// the wrong one, or the bundle somebody else's.
    public var isOnlyAnothersKey: Bool {
        trouble == nil && !hasPassed && checks.allSatisfy { $0.outcome != .failed || $0.kind == .trust }
    }

    /// Whether the page and the instructions are those of the producer, known to be. Where the producer is not known, they
    /// may say anything around the data.
    public var isPageChecked: Bool {
        [BundleCheckKind.page, .instructions].allSatisfy { kind in
            checks.contains { $0.kind == kind } && checks.allSatisfy { $0.kind != kind || $0.outcome == .passed }
        }
    }

    /// What the report comes to.
    public var verdict: BundleVerdict {
        trouble != nil ? .notChecked : !hasPassed ? .failed : signer == .notShown ? .notShown : .verified
    }
}

/// How the key that signed a bundle's checkpoint is known (`ledger-format.md` section 6, "Following origin and key").
public enum Signer: String, Sendable {
    /// It is the key given.
    case given
    /// It follows from the key given, each key signed by the one before.
    case succeeded
    /// Nothing shows it: no key was given, or one was lost between, and anybody can append the record of a loss.
    case notShown = "not-shown"
}

/// What the checks of a bundle come to. One only says that it is the operator's ledger.
public enum BundleVerdict: String, Sendable {
    /// Everything holds, and the key that signed is known.
    case verified
    /// Everything else holds, but nothing shows whose ledger it is.
    case notShown = "not-shown"
    case failed
    /// No verdict: this computer could not make the checks. It says nothing for or against the bundle.
    case notChecked = "not-checked"
}
