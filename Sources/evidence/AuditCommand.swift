import ArgumentParser
import Files
import Glibc
import JSON
import Ledger
import Merkle
import Paths

/// `evidence audit`
struct AuditCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit",
        abstract: "Re-derive the whole ledger from its entries.",
        discussion: """
            Reads the store itself, beside a running daemon or without one, computes everything again from the \
            entries (chain, hashes, tree, streams, checkpoints, sealed claims, look-ups) and compares; looks for \
            requests recorded twice, and for claims that are gone with no event that says so. Names every \
            finding, the first damaged entry first, and exits with 1 if there is one. Writes nothing but its place \
            among the readers, in lock.mdb beside the store, which keeps the daemon from using pages again that the \
            audit still reads: so it needs the right to write that file. Of a copy (--copy) it writes nothing at all, \
            and takes no lock: it may lie on a read-only medium, but nothing may write to it meanwhile.

            Needs the right to read the store. Without a readable keyring sealed claims are counted but not opened; \
            a keyring named by --keyring must be readable.

            EXAMPLES
              sudo -u evidenced evidence audit
              evidence audit --config ./evidenced.conf --json
              evidence audit --store /var/backups/ledger-monday --copy

            \(ExitStatus.help)
            """
    )

    @Flag(help: "The store is a backup or copy: its lock and index stayed with the original and aren't compared.")
    var copy = false

    @OptionGroup var local: LocalOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        let (locations, path) = try local.resolve()
        // Told apart from a store that isn't there.
        if access(locations.store, R_OK | X_OK) != 0, errno == EACCES {
            throw Failure(path: FilePath(locations.store), errno: EACCES)
        }
        if !copy { try requireReadersPlace(locations.store) }
        let keyring = try loadKeyring(path)
        if copy, keyring != nil, !LocalFile.exists(FilePath(locations.keys)) {
            Terminal.remark("no keys are at \(locations.keys): claims are counted and not opened (--keys)")
        }
        var bar = ProgressBar("auditing")
        defer { bar.clear() }
        let report = try LedgerAudit.run(at: locations, keyring: keyring, isCopy: copy) { done, total in
            bar.update(done: done, total: total)
        }
        bar.clear()
        if output.json { Terminal.print(json: AuditCommand.json(report)) } else { AuditCommand.print(report) }
        if !report.isClean { throw ExitCode(ExitStatus.refused.rawValue) }
    }

    /// Says what a reader needs beside the right to read, before LMDB refuses in fewer words.
    private func requireReadersPlace(_ store: String) throws {
        let readers = store + "/lock.mdb"
        guard access(store + "/data.mdb", R_OK) == 0 else { return }
        let isThere = access(readers, F_OK) == 0
        guard access(isThere ? readers : store, W_OK) != 0, errno == EACCES else { return }
        throw Failure(
            .permissionDenied,
            """
            \(readers): an audit of a store in use takes a place among its readers there, which you may not write. \
            Run it as the ledger's user, or audit a backup with --copy
            """
        )
    }

    private func loadKeyring(_ path: String) throws -> Keyring? {
        do {
            return try Keyring.load(path: path)
        } catch let error where error is SystemError || (error as? StartupRefusal)?.code == .keyringMissing {
            guard local.keyring == nil else { throw error }
            Terminal.remark("\(error); sealed claims are counted but not opened")
            return nil
        }
    }

    private static func print(_ report: AuditReport) {
        var table = Table()
        table.add(["origin", report.origin])
        table.add(["incarnation", String(report.incarnation)])
        table.add(["entries", String(report.size)])
        table.add(["root", report.root.base64])
        table.add(["checkpoints", String(report.checkpoints)])
        table.add(["claims opened", String(report.openedClaims)])
        table.add(["claims erased", String(report.erasedClaims)])
        if report.lostClaims > 0 { table.add(["claims lost", String(report.lostClaims)]) }
        table.add(["indexed", String(report.indexed)])
        table.print()
        let ordered = ordered(report.findings)
        if let first = ordered.first(where: { $0.index != nil }), let index = first.index {
            Swift.print("\nthe first damaged entry is \(index)")
        }
        for finding in ordered { Swift.print("FOUND  \(finding)") }
        for index in report.unlockedRecoveries {
            Swift.print(
                "NOTE   entry \(index): an incarnation began without the old lock's checkpoint, so how much was signed "
                    + "before is not shown; compare checkpoints that others keep"
            )
        }
        if report.isClean {
            Swift.print("\nthe ledger is intact: everything stored is what its entries say")
        } else if report.findings.count >= LedgerAudit.maximumFindings {
            Swift.print("\nTHE LEDGER IS DAMAGED; the audit stopped after \(report.findings.count) findings")
        } else {
            Swift.print("\nTHE LEDGER IS DAMAGED: \(report.findings.count) findings")
        }
    }

    /// Findings by entry, those of no entry last.
    private static func ordered(_ findings: [AuditFinding]) -> [AuditFinding] {
        findings.filter { $0.index != nil }.sorted { ($0.index ?? 0) < ($1.index ?? 0) }
            + findings.filter { $0.index == nil }
    }

    private static func json(_ report: AuditReport) -> JSONValue {
        let findings: [JSONValue] = ordered(report.findings).map { finding in
            .members([
                "index": finding.index.map { .int(Int64($0)) } ?? .null, "what": .string(finding.what),
            ])
        }
        return .members([
            "clean": .bool(report.isClean), "origin": .string(report.origin), "incarnation": .int(report.incarnation),
            "size": .int(Int64(report.size)), "root": .string(report.root.base64),
            "checkpoints": .int(Int64(report.checkpoints)), "openedClaims": .int(Int64(report.openedClaims)),
            "erasedClaims": .int(Int64(report.erasedClaims)), "lostClaims": .int(Int64(report.lostClaims)),
            "indexed": .int(Int64(clamping: report.indexed)),
            "findings": .array(findings),
            "unlockedRecoveries": .array(report.unlockedRecoveries.map { .int(Int64(clamping: $0)) }),
        ])
    }
}
