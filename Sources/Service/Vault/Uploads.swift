import Glibc
import Ledger
import LedgerFormat
import Synchronization
import Varlink
import Vault

/// Deposits whose bytes come in several requests. They live as long as the process, and no longer than `idleSeconds` without a
/// byte.
final class Uploads: Sendable {
    /// Uploads under way at once of one principal.
    static let perPrincipal = 64
    static let idleSeconds: Int64 = 3_600

    private let uploads = Mutex<[ID128: Upload]>([:])

    /// Begins one.
    ///
    /// - Throws: `VarlinkError` Busy where the principal has as many as it may.
    func begin(_ id: ID128, _ upload: Upload) throws(VarlinkError) {
        let (isAdmitted, stale) = uploads.withLock { uploads in
            let stale = uploads.filter { $0.value.isStale }
            for id in stale.keys { uploads[id] = nil }
            let own = uploads.values.count { $0.submitter.utf8.elementsEqual(upload.submitter.utf8) }
            guard own < Uploads.perPrincipal else { return (false, stale) }
            uploads[id] = upload
            return (true, stale)
        }
        for upload in stale.values { upload.end() }
        guard isAdmitted else { throw LedgerErrors.busy }
    }

    /// An upload of a principal; nil where it has none such.
    subscript(id: ID128, submitter: String) -> Upload? {
        uploads.withLock { $0[id] }.flatMap { $0.submitter.utf8.elementsEqual(submitter.utf8) ? $0 : nil }
    }

    func end(_ id: ID128) { uploads.withLock { $0[id] }?.end(); uploads.withLock { $0[id] = nil } }
}

/// A deposit whose bytes come in several requests.
final class Upload: Sendable {
    let wish: DepositWish
    let size: UInt64
    private let deposit: Deposit
    private let state = Mutex(State())

    private struct State {
        /// Bytes that were taken.
        var offset: UInt64 = 0
        /// Whether a request is bringing some.
        var isBusy = false
        var isOver = false
        var touched = Upload.seconds
    }

    init(_ vault: Vault, _ wish: DepositWish, size: UInt64) {
        self.wish = wish
        self.size = size
        deposit = vault.deposit(wish.order)
    }

    var submitter: String { wish.order.submitter }
    var offset: UInt64 { state.withLock { $0.offset } }

    var isStale: Bool {
        state.withLock { $0.isOver || !$0.isBusy && Upload.seconds - $0.touched > Uploads.idleSeconds }
    }

    /// Takes the turn of bringing bytes.
    ///
    /// - Throws: `VarlinkError`: another has it, or they would not follow those that are there.
    func take(turnAt offset: UInt64) throws(VarlinkError) {
        let expected: UInt64? = try state.withLock { state throws(VarlinkError) in
            guard !state.isOver else { throw LedgerErrors.refusal(.notFound(what: "an upload of this id")) }
            guard !state.isBusy else { throw LedgerErrors.busy }
            guard state.offset == offset else { return state.offset }
            state.isBusy = true
            return nil
        }
        if let expected {
            throw LedgerErrors.invalidArgument("offset", "must be how many bytes are there: \(expected)")
        }
    }

    func take(_ bytes: UnsafeRawBufferPointer) throws {
        try deposit.take(bytes)
        state.withLock { state in
            state.offset += UInt64(bytes.count)
            state.touched = Upload.seconds
        }
    }

    /// Gives the turn back; more bytes may come.
    func rest() {
        state.withLock { state in
            state.isBusy = false
            state.touched = Upload.seconds
        }
    }

    /// Ends the deposit with what is there.
    func finish(_ service: LedgerService) -> Result<[UInt8], VarlinkError> {
        state.withLock { $0.isOver = true }
        return service.finish(deposit, wish)
    }

    /// Nothing more comes. Who is bringing bytes is refused the next ones.
    func end() {
        let isIdle = state.withLock { state in
            defer { state.isOver = true }
            return !state.isBusy
        }
        if isIdle { deposit.abandon() }
    }

    var isOver: Bool { state.withLock { $0.isOver } }

    func abandon() { deposit.abandon() }

    private static var seconds: Int64 {
        var now = timespec()
        clock_gettime(CLOCK_BOOTTIME, &now)
        return Int64(now.tv_sec)
    }
}

/// Takes the bytes of one request of an upload.
final class UploadSink: ByteSink {
    private let service: LedgerService
    private let uploads: Uploads
    private let id: ID128
    private let upload: Upload
    private let underWay: CallInFlight

    init(_ service: LedgerService, _ uploads: Uploads, _ id: ID128, _ upload: Upload) {
        self.service = service
        self.uploads = uploads
        self.id = id
        self.upload = upload
        underWay = service.begin()
    }

    func take(_ bytes: UnsafeRawBufferPointer) throws(VarlinkError) {
        do {
            if upload.isOver { throw LedgerError.notFound(what: "an upload of this id") }
            try upload.take(bytes)
        } catch {
            upload.end()
            upload.abandon()
            uploads.end(id)
            throw service.refused(error, "an upload")
        }
    }

    func finish(_ complete: @escaping @Sendable (Result<[UInt8], VarlinkError>) -> Void) {
        guard upload.offset == upload.size else {
            upload.rest()
            return complete(.success(LedgerReplies.upload(id, upload)))
        }
        let answer = upload.finish(service)
        uploads.end(id)
        complete(answer)
    }

    /// The client went away: it may come back, and go on.
    func abandon() {
        upload.rest()
        if upload.isOver { upload.abandon() }
    }
}
