import JSON
public import LedgerFormat

/// The people of a bundle, by what they are called in it: the parties of its contracts, then others; with every name that
/// is disclosed anywhere in it, and what they did. The page tells them in the same words.
public struct BundlePeople: Sendable {
    /// One of them: a person or an organisation.
    public struct Person: Sendable {
        /// What entries name it by: a `subject`, or the stream a contract lists as its party.
        public let stream: StreamID
        /// "Party 1", 当事人一; or "Person 1".
        public let label: Words
        /// Names that are disclosed, in the order they were recorded; may be hostile.
        public internal(set) var names: [String] = []
        /// What they are in this case, by what they did.
        public internal(set) var roles: [Words] = []
    }

    /// Parties first.
    public private(set) var people: [Person] = []
    /// Whether some of them are parties to a contract, so that what their numbers mean has to be said.
    public private(set) var numbersParties = false
    /// What the numbers of parties mean.
    public static let aboutNumbers = Words(
        "(“Party 1” and so on are numbers, in the order in which the contract's record lists its parties, not the contract's "
            + "roles, such as Party A.)",
        "（“当事人一”等依合同记录所列次序编排，并非合同文本中的甲方、乙方。）"
    )
    /// Disclosed names of what is no person: documents and contracts.
    private var things: [StreamID: [String]] = [:]
    /// How many digits from the end tell all ids of the bundle apart; they begin with the time they were made at.
    public private(set) var digits = 8

    /// - Parameters:
    ///   - entries: by ascending index.
    ///   - opened: the disclosed values that hold, by index and name.
    init(_ entries: [Entry], opened: [UInt64: [String: OpeningText]]) {
        var seen: [StreamID] = []
        var known: Set<StreamID> = []
        func meet(_ stream: StreamID) { if known.insert(stream).inserted { seen.append(stream) } }
        var parties: [StreamID] = []
        for entry in entries {
            for membership in entry.streams { meet(membership.stream) }
            if case .party(let stream) = entry.actor { meet(stream) }
            for stream in BundlePeople.listed(entry) {
                meet(stream)
                let isParty = entry.type == "contract.created" && !parties.contains(stream)
                if isParty { parties.append(stream) }
            }
        }
        let others = seen.filter { $0.kind == .subject && !parties.contains($0) }
        numbersParties = !parties.isEmpty
        people = parties.enumerated().map { Person(stream: $1, label: BundlePeople.party($0)) }
        people += others.enumerated().map { Person(stream: $1, label: Words("Person \($0 + 1)", "其他主体\($0 + 1)")) }
        let ids = Set(seen.map { String($0.id.description) })
        while digits < 32, Set(ids.map { Array($0.utf8.suffix(digits)) }).count < ids.count { digits += 1 }
        for entry in entries {
            name(entry, opened[entry.index] ?? [:])
            for (streams, role) in BundlePeople.roles(entry) { for stream in streams { give(stream, role) } }
        }
    }

    /// Streams that a body lists.
    static func listed(_ entry: Entry) -> [StreamID] {
        guard let type = EventCatalogue.type(named: entry.type) else { return [] }
        let lists = type.body.filter { $0.rule == .streamList }.map(\.name)
        return entry.body.values.filter { member in lists.contains { $0.utf8.elementsEqual(member.name.utf8) } }
            .flatMap { $0.value.array ?? [] }.compactMap { $0.string.flatMap { StreamID($0) } }
    }

    /// A number, and not 甲方 or "Party A": those are roles of the contract, which the ledger does not know.
    private static func party(_ position: Int) -> Words {
        let numerals = ["一", "二", "三", "四", "五", "六", "七", "八", "九", "十"]
        let number = position < numerals.count ? numerals[position] : "\(position + 1)"
        return Words("Party \(position + 1)", "当事人\(number)")
    }

    private mutating func name(_ entry: Entry, _ opened: [String: OpeningText]) {
        let naming: [StreamKind: [String]] = [
            .subject: ["name", "organisation_name"], .object: ["file_name"], .contract: ["title", "file_name"],
        ]
        for scope in entry.claims {
            for claim in naming[scope.scope.kind] ?? []
            where scope.claims.contains(where: { $0.name.utf8.elementsEqual(claim.utf8) }) {
                guard let value = opened[claim]?.value.string else { continue }
                if let position = people.firstIndex(where: { $0.stream == scope.scope }) {
                    if !people[position].names.contains(where: { $0.utf8.elementsEqual(value.utf8) }) {
                        people[position].names.append(value)
                    }
                } else if !(things[scope.scope] ?? []).contains(where: { $0.utf8.elementsEqual(value.utf8) }) {
                    things[scope.scope, default: []].append(value)
                }
            }
        }
    }

    private mutating func give(_ stream: StreamID, _ role: Words) {
        guard let position = people.firstIndex(where: { $0.stream == stream }) else { return }
        if !people[position].roles.contains(role) { people[position].roles.append(role) }
    }

    private static func roles(_ entry: Entry) -> [(streams: Set<StreamID>, role: Words)] {
        let own = entry.streams(of: .subject)
        var actor: Set<StreamID> = []
        if case .party(let stream) = entry.actor { actor = [stream] }
        switch entry.type {
        case "contract.created":
            return [
                (Set(listed(entry)), Words("party to the contract", "合同当事人")),
                (actor, Words("initiated the contract", "合同发起方")),
            ]
        case "contract.signed": return [(own, Words("signatory", "签署人"))]
        case "contract.declined": return [(own, Words("declined to sign", "拒绝签署"))]
        case "evidence.deposited": return [(actor, Words("depositor", "存证人"))]
        case "identity.verified": return [(own, Words("identity check passed", "实名认证通过"))]
        case "identity.org_verified": return [(own, Words("organisation, check passed", "企业认证通过"))]
        case "identity.agent_authorised": return [(actor, Words("gave authority", "授权人"))]
        case "issuance.requested": return [(own, Words("applicant for evidence", "出证申请人"))]
        case "erasure.requested": return [(actor, Words("asked for erasure", "删除请求人"))]
        default: return []
        }
    }

    /// What somebody or something is called, with disclosed names, and the end of its id.
    func words(_ stream: StreamID) -> Words {
        let person = people.first { $0.stream == stream }
        let label = person?.label ?? BundlePeople.kind(stream.kind)
        let names = (person?.names ?? things[stream] ?? []).joined(separator: " / ")
        let shown = (names.isEmpty ? "" : " \(names)") + " …\(tail(stream))"
        return Words(label.english + shown, label.chinese + shown)
    }

    /// The end of an id, by which all of the bundle differ.
    public func tail(_ stream: StreamID) -> String { String(Substring(stream.id.description.utf8.suffix(digits))) }

    private static func kind(_ kind: StreamKind) -> Words {
        switch kind {
        case .subject: Words("person or organisation", "主体")
        case .contract: Words("contract", "合同")
        case .object: Words("deposited document", "存证文件")
        case .request: Words("request about personal data", "个人信息请求")
        case .session: Words("session", "会话")
        case .policy: Words("published text", "公布文本")
        case .purpose: Words("purpose of processing", "处理目的")
        case .cert: Words("certificate", "数字证书")
        case .issuance: Words("issue of evidence", "出证")
        case .disclosure: Words("disclosure", "披露")
        case .vendor: Words("outside provider", "外部服务商")
        case .staff: Words("member of staff", "工作人员")
        case .incident: Words("security incident", "安全事件")
        case .ledger: Words("the ledger itself", "账本")
        }
    }
}
