import JSON
import Ledger
import LedgerFormat
import Merkle
import Varlink

extension LedgerService {
    private static let pageEntries = 100
    private static let maximumPageEntries = 1_000
    private static let maximumIDs = 1_000

    func newIds(_ bytes: [UInt8]) throws -> [UInt8] {
        let parameters = try CallParameters(bytes, known: ["count"])
        let count = try parameters.number("count", in: 1...LedgerService.maximumIDs, default: 1)
        let ids = try ledger.newIDs(count)
        return JSONValue.members(["ids": .array(ids.map { .string($0.description) })]).canonicalBytes
    }

    func getEntry(_ bytes: [UInt8]) throws -> [UInt8] {
        let parameters = try CallParameters(bytes, known: ["index"])
        return LedgerReplies.entry(try ledger.entry(at: parameters.requiredNumber("index")))
    }

    func findByDigest(_ bytes: [UInt8]) throws -> [UInt8] {
        let parameters = try CallParameters(bytes, known: ["digest", "from"])
        let digest = try parameters.required("digest", "must be 64 lower-case hex digits") { Digest(hex: $0) }
        let page = try ledger.find(document: digest, from: parameters.number("from") ?? 0, limit: 1_000)
        return LedgerReplies.entries(page.entries, next: page.next)
    }

    /// The claims of an entry, in clear. Who asked for which entry is logged; what it held is not.
    func open(_ bytes: [UInt8], _ principal: Principal) throws -> [UInt8] {
        let parameters = try CallParameters(bytes, known: ["index", "names"])
        let index = try parameters.requiredNumber("index")
        let openings = try ledger.open(index, names: parameters.strings("names"))
        log("\(openings.count) claims of entry \(index) opened for \(principal.name)")
        return LedgerReplies.openings(openings, of: try Entry(ledger.entry(at: index).bytes))
    }

    func listEntries(_ bytes: [UInt8]) throws -> [UInt8] {
        let query = try ListQuery(bytes)
        let page = try ledger.list(query.filter, from: query.from, limit: query.limit, reverse: query.reverse)
        return LedgerReplies.entries(page.entries, next: page.next)
    }

    /// All pages, one reply each.
    func listAll(_ call: VarlinkCall) {
        let query: ListQuery
        do {
            query = try ListQuery(call.parameters)
        } catch {
            return fail(call, error)
        }
        let position = SharedPosition(query.from)
        call.stream { [self] in
            do {
                let page = try ledger.list(
                    query.filter,
                    from: position.value,
                    limit: query.limit,
                    reverse: query.reverse
                )
                position.value = page.next
                let reply = LedgerReplies.entries(page.entries, next: page.next)
                return page.next == nil ? .last(reply) : .item(reply)
            } catch {
                return .failed(LedgerErrors.failure(error))
            }
        }
    }

    /// The parameters of ListEntries.
    private struct ListQuery {
        let filter: EntryFilter
        let from: UInt64?
        let limit: Int
        let reverse: Bool

        init(_ bytes: [UInt8]) throws {
            let parameters = try CallParameters(
                bytes,
                known: ["stream", "type", "submitter", "since", "until", "from", "limit", "reverse"]
            )
            filter = try EntryFilter(parameters)
            from = try parameters.number("from")
            limit = try parameters.number(
                "limit",
                in: 1...LedgerService.maximumPageEntries,
                default: LedgerService.pageEntries
            )
            reverse = try parameters.flag("reverse")
        }
    }
}

extension EntryFilter {
    /// The parts of a filter a call names.
    init(_ parameters: CallParameters) throws {
        let time = "must be a time such as 2026-01-02T03:04:05.000006Z"
        self.init(
            stream: try parameters.optional("stream", "must be kind/ID with 32 lower-case hex digits") { StreamID($0) },
            type: try parameters.optional("type", "must be a type of the event catalogue") { name in
                EventCatalogue.type(named: name)?.name
            },
            submitter: try parameters.optional("submitter", "must be a submitter's name") { name in
                SubmitterName.isValid(name) ? name : nil
            },
            since: try parameters.optional("since", time) { LedgerTime($0) },
            until: try parameters.optional("until", time) { LedgerTime($0) }
        )
    }
}
