import JSON
import Ledger
import LedgerFormat
import Synchronization
public import Varlink
import Vault

/// Binds `org.evidenced.Vault`, and the bodies of HTTP, to a vault.
extension LedgerService {
    private static let uploadsPath = "/objects/uploads/"

    /// Deposits a document whose bytes follow on the call's connection.
    func deposit(_ call: VarlinkCall, _ principal: Principal) {
        do throws(VarlinkError) {
            try requireDepositor(principal, "Deposit")
            let parameters = try DepositParameters(call.parameters, principal)
            let vault = try requireVault(parameters.wish)
            call.upgrade(
                to: DepositSink(self, vault, parameters.wish),
                bytes: parameters.size,
                reply: LedgerReplies.object(parameters.wish.order.object)
            )
        } catch {
            ledger.counters.countRefusal()
            call.fail(error)
        }
    }

    /// Gives a document out on the call's connection.
    func fetch(_ call: VarlinkCall, _ principal: Principal) {
        call.perform { [self] in
            do {
                let (retrieval, reply) = try retrieve(FetchWish(call.parameters).order(of: principal))
                call.upgrade(from: RetrievalSource(self, retrieval), reply: reply)
            } catch {
                call.fail(refused(error, call.method))
            }
        }
    }

    private func retrieve(_ order: RetrievalOrder) throws -> (Retrieval, [UInt8]) {
        guard let vault = settings.vault else { throw LedgerErrors.noVault }
        let retrieval = try vault.retrieve(order)
        log("document of entry \(retrieval.deposit) opened for \(order.submitter): entry \(retrieval.decryption)")
        return (retrieval, LedgerReplies.retrieval(retrieval))
    }

    /// A deposit is an event, and a principal may be held to others.
    private func requireDepositor(_ principal: Principal, _ method: String) throws(VarlinkError) {
        guard principal.maySubmit("evidence.deposited") else {
            throw LedgerErrors.permissionDenied(method, type: "evidence.deposited")
        }
    }

    /// What can be found wrong before any byte comes is.
    private func requireVault(_ wish: DepositWish) throws(VarlinkError) -> Vault {
        guard let vault = settings.vault else { throw LedgerErrors.noVault }
        do throws(LedgerError) {
            try wish.order.check()
        } catch {
            throw LedgerErrors.refusal(error)
        }
        return vault
    }

    // MARK: Uploads

    func beginUpload(_ bytes: [UInt8], _ principal: Principal) throws -> [UInt8] {
        try requireDepositor(principal, "BeginUpload")
        let parameters = try DepositParameters(bytes, principal)
        let vault = try requireVault(parameters.wish)
        let id = try ledger.newIDs(1)[0]
        let upload = Upload(vault, parameters.wish, size: parameters.size)
        try uploads.begin(id, upload)
        return LedgerReplies.upload(id, upload)
    }

    func uploadStatus(_ bytes: [UInt8], _ principal: Principal) throws -> [UInt8] {
        let (_, upload) = try upload(CallParameters(bytes, known: ["upload"]).string("upload"), principal)
        return LedgerReplies.status(of: upload)
    }

    func abandonUpload(_ bytes: [UInt8], _ principal: Principal) throws -> [UInt8] {
        let (id, _) = try upload(CallParameters(bytes, known: ["upload"]).string("upload"), principal)
        uploads.end(id)
        return Array("{}".utf8)
    }

    private func upload(_ text: String?, _ principal: Principal) throws(VarlinkError) -> (ID128, Upload) {
        guard let text, let id = ID128(text) else {
            throw LedgerErrors.invalidArgument("upload", "must be 32 lower-case hex digits")
        }
        guard let upload = uploads[id, principal.name] else {
            throw LedgerErrors.refusal(.notFound(what: "an upload of this id"))
        }
        return (id, upload)
    }

    // MARK: Checking

    /// Compares documents with what was recorded of them, and says how far it is after each step.
    func checkObjects(_ call: VarlinkCall) {
        let check: CustodyCheck
        do throws(VarlinkError) {
            let parameters = try CallParameters(call.parameters, known: ["sample"])
            guard let vault = settings.vault else { throw LedgerErrors.noVault }
            check = vault.check(sample: UInt64(try parameters.number("sample", in: 1...1_000_000_000, default: 1)))
        } catch {
            return call.fail(error)
        }
        call.stream { [self] in
            do {
                if try check.goOn() { return .item(LedgerReplies.check(check.progress, selfcheck: nil)) }
                return .last(LedgerReplies.check(check.progress, selfcheck: try check.record()))
            } catch {
                return .failed(refused(error, call.method))
            }
        }
    }

    // MARK: HTTP

    /// Deposit and Fetch have bytes beside their parameters.
    public func upgrades(_ method: String) -> Bool {
        MethodAccess.name(of: method).map {
            $0.utf8.elementsEqual("Deposit".utf8) || $0.utf8.elementsEqual("Fetch".utf8)
        }
            ?? false
    }

    /// Documents are put to `/objects`, and to the uploads that were begun.
    public func takesBody(at path: String) -> Bool {
        path.utf8.elementsEqual(HTTPDeposit.path.utf8) || path.utf8.starts(with: LedgerService.uploadsPath.utf8)
    }

    /// Takes a document, or the next part of one, from who may deposit. Nothing is done before its bytes come.
    public func receive(_ request: BodyRequest, peer: PeerCredentials) -> Result<any ByteSink, VarlinkError> {
        guard let principal = settings.access.principal(of: peer), MethodAccess.allows("Deposit", principal),
            principal.maySubmit("evidence.deposited")
        else {
            ledger.counters.countRefusal()
            return .failure(LedgerErrors.permissionDenied("Deposit", type: "evidence.deposited"))
        }
        do {
            if request.path.utf8.elementsEqual(HTTPDeposit.path.utf8) {
                let wish = try HTTPDeposit.wish(request, principal) { try ledger.freshRequest() }
                return .success(DepositSink(self, try requireVault(wish), wish))
            }
            let id = String(Substring(request.path.utf8.dropFirst(LedgerService.uploadsPath.utf8.count)))
            let (upload, found) = try upload(id, principal)
            let offset = try offset(request.query)
            try found.take(turnAt: offset)
            return .success(UploadSink(self, uploads, upload, found))
        } catch {
            return .failure(refused(error, "a deposit"))
        }
    }

    private func offset(_ query: String?) throws(VarlinkError) -> UInt64 {
        do throws(HTTPQueryError) {
            guard let offset = try HTTPQuery(query, known: ["offset"]).number("offset", in: 0...UInt64(Int64.max))
            else {
                throw HTTPQueryError(field: "offset", rule: "must be given")
            }
            return offset
        } catch {
            throw LedgerErrors.invalidArgument(error.field, error.rule)
        }
    }

    /// A document in custody.
    func getObject(_ path: String, query: String?, _ principal: Principal) -> HTTPResource {
        do {
            let order = try FetchWish(path, query: query).order(of: principal)
            let (retrieval, _) = try retrieve(order)
            let type = order.recipient == nil ? retrieval.mediaType : "application/octet-stream"
            return HTTPResource(status: 200, contentType: type, source: RetrievalSource(self, retrieval))
        } catch let error as HTTPQueryError {
            return .failure(refused(LedgerErrors.invalidArgument(error.field, error.rule), "giving out a document"))
        } catch {
            return .failure(refused(error, "giving out a document"))
        }
    }
}
