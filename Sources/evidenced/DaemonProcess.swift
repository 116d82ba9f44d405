import Daemon
import Glibc
import Ledger
import Logging
import Merkle
import OpenSSL
import Paths
import Service
import Varlink
import Vault

/// The life of the daemon: open, serve, wait for the signal, stop in order.
struct DaemonProcess {
    /// How long calls under way may take to be answered once the daemon stops.
    private static let drainSeconds = 10
    /// How long the threads may take to end after that.
    private static let endingSeconds = 5
    /// How long the last lines of the log may take to be read by whoever reads them.
    private static let logMilliseconds = 500
    /// Files open beside connections: store, index, lock, threads' own, and some to spare.
    private static let otherFiles = 96
    /// How long the disk may keep the writer waiting before the service manager is left to judge.
    private static let stallSeconds: Int64 = 30
    let configuration: Configuration
    let environment: [String: String]

    /// Runs until told to stop; gives the exit status.
    func run() -> Int32 {
        let level = configuration.logLevel
        let environment = environment
        LoggingSystem.bootstrap { _ in JournalLogHandler(level: level, environment: environment) }
        let logger = Logger(label: "evidenced")
        for line in SecretMemory.prepare(isTraceable: configuration.isTraceable) { logger.warning("\(line)") }
        var signals = blockSignals()
        let limits = limits(logger)
        umask(0o077)
        defer { LogSink.standardError.flush(milliseconds: DaemonProcess.logMilliseconds) }
        do {
            try MissingAlgorithm.check()
            try serve(until: &signals, limits, logger)
            return DaemonExit.stopped
        } catch {
            logger.critical("\(Ledger.forLog(error))")
            return error is StartupRefusal || error is StoreDamage ? DaemonExit.refused : DaemonExit.system
        }
    }

    private func serve(until signals: inout sigset_t, _ limits: VarlinkLimits, _ logger: Logger) throws {
        let notifier = SystemdNotifier(environment: environment)
        let inherited = try SystemdActivation.listeningDescriptor()
        let keyring = try Keyring.load(
            path: configuration.keyring,
            isCredential: configuration.isKeyringCredential(environment: environment)
        )
        notifier.status("opening the ledger")
        let objects = try configuration.objects.map { try ObjectDirectory(path: $0) }
        let ledger = try Ledger(
            at: configuration.locations,
            keyring: keyring,
            settings: configuration.ledgerSettings,
            version: Evidenced.version,
            custody: objects,
            notice: { logger.warning("\($0)") },
            fatal: { error in
                logger.critical("stopping at once, nothing more is acknowledged: \(Ledger.forLog(error))")
                LogSink.standardError.flush(milliseconds: DaemonProcess.logMilliseconds)
                _exit(error is StoreDamage ? DaemonExit.refused : DaemonExit.writeFailed)
            }
        )
        var settings = LedgerService.Settings(access: configuration.access)
        settings.batchEvents = configuration.batchEvents
        settings.backupRoot = configuration.backupRoot
        settings.warnings = configuration.exposures(environment: environment)
        settings.vault = try objects.map { try vault(ledger, $0, logger) }
        let service = LedgerService(ledger: ledger, settings: settings, version: Evidenced.version) { line in
            logger.notice("\(line)")
        }
        let server = service.makeServer(limits: limits)
        do {
            try server.start(
                inherited.map { .inherited($0) } ?? .path(configuration.socket, mode: configuration.socketMode)
            )
        } catch {
            ledger.stop()
            throw error
        }
        let checkpoint = ledger.checkpoint
        logger.notice(
            "serving \(ledger.origin)",
            metadata: [
                "incarnation": "\(ledger.incarnation)", "size": "\(checkpoint.size)",
                "root": "\(checkpoint.root.base64)", "suite": "\(ledger.suite.rawValue)",
                "version": "\(Evidenced.version)",
            ]
        )
        for warning in ledger.warnings + settings.warnings { logger.warning("\(warning)") }
        if configuration.access.principals.isEmpty {
            logger.warning("no principal is configured, so every call is refused")
        }
        notifier.status("serving \(ledger.origin)")
        notifier.startWatchdog { !ledger.isStalled(forSeconds: DaemonProcess.stallSeconds) }
        notifier.ready()
        let signal = wait(for: &signals)
        logger.notice("stopping on signal \(signal)")
        notifier.stopping()
        ledger.stop()
        // A copy takes as long as the disk needs; what there is of it must not outlive the process.
        ledger.abandonBackups()
        // All is durable now, whatever a reader, a copy or a slow disk still holds up.
        endAtLatest(afterSeconds: DaemonProcess.drainSeconds + DaemonProcess.endingSeconds)
        server.stop(drainSeconds: DaemonProcess.drainSeconds)
        logger.notice("stopped", metadata: ["size": "\(ledger.checkpoint.size)"])
    }

    /// The vault, once what the last run was cut off in is settled.
    private func vault(_ ledger: Ledger, _ objects: ObjectDirectory, _ logger: Logger) throws -> Vault {
        let vault = Vault(ledger: ledger, directory: objects, settings: configuration.vaultSettings) { line in
            logger.notice("\(line)")
        }
        do {
            try vault.settleReceived()
        } catch {
            ledger.stop()
            throw error
        }
        return vault
    }

    /// Has the signals wait for `wait(for:)` in every thread made from now on.
    private func blockSignals() -> sigset_t {
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGTERM)
        sigaddset(&signals, SIGINT)
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        signal(SIGPIPE, SIG_IGN)
        signal(SIGHUP, SIG_IGN)
        // A file that may not grow is a full disk, not a reason to die.
        signal(SIGXFSZ, SIG_IGN)
        return signals
    }

    private func wait(for signals: inout sigset_t) -> Int32 {
        var signal: Int32 = 0
        while sigwait(&signals, &signal) != 0 {}
        return signal
    }

    /// Ends the process, whatever its threads do.
    private func endAtLatest(afterSeconds seconds: Int) {
        var thread = pthread_t()
        let code = pthread_create(
            &thread,
            nil,
            { argument in
                sleep(UInt32(UInt(bitPattern: argument)))
                _exit(DaemonExit.stopped)
            },
            UnsafeMutableRawPointer(bitPattern: seconds)
        )
        if code == 0 { pthread_detach(thread) }
    }

    /// The configured limits, as far as the system lets so many files be open.
    private func limits(_ logger: Logger) -> VarlinkLimits {
        var limits = configuration.varlinkLimits
        var files = rlimit()
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        guard getrlimit(resource, &files) == 0 else { return limits }
        let soft = files.rlim_cur
        files.rlim_cur = files.rlim_max
        if setrlimit(resource, &files) != 0 { files.rlim_cur = soft }
        let room = max(16, Int(clamping: files.rlim_cur) - DaemonProcess.otherFiles)
        if room < limits.connections + limits.strangerConnections {
            limits.strangerConnections = min(limits.strangerConnections, room / 8)
            limits.connections = min(limits.connections, room - limits.strangerConnections)
            logger.warning(
                """
                only \(files.rlim_cur) files may be open, so only \(limits.connections) connections of principals and \
                \(limits.strangerConnections) of others are taken in; raise LimitNOFILE or lower maximum-connections
                """
            )
        }
        return limits
    }
}
