import Daemon
import Glibc
import Ledger
import Logging
import Merkle
import Service
import Varlink

/// The life of the daemon: open, serve, wait for the signal, stop in order.
struct DaemonProcess {
    /// How long calls under way may take to be answered once the daemon stops.
    private static let drainSeconds = 10
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
        var signals = blockSignals()
        raiseFileLimit(logger)
        umask(0o077)
        do {
            try serve(until: &signals, logger)
            return DaemonExit.stopped
        } catch {
            logger.critical("\(error)")
            return error is StartupRefusal || error is StoreDamage ? DaemonExit.refused : DaemonExit.system
        }
    }

    private func serve(until signals: inout sigset_t, _ logger: Logger) throws {
        let notifier = SystemdNotifier(environment: environment)
        let inherited = try SystemdActivation.listeningDescriptor()
        let credentials = environment["CREDENTIALS_DIRECTORY"].map { $0 + "/" }
        let keyring = try Keyring.load(
            path: configuration.keyring,
            isCredential: credentials.map { configuration.keyring.hasPrefix($0) } ?? false
        )
        notifier.status("opening the ledger")
        let ledger = try Ledger(
            at: configuration.locations,
            keyring: keyring,
            settings: configuration.ledgerSettings,
            version: Evidenced.version,
            notice: { logger.warning("\($0)") },
            fatal: { error in
                logger.critical("stopping at once, nothing more is acknowledged: \(error)")
                _exit(DaemonExit.writeFailed)
            }
        )
        var settings = LedgerService.Settings(access: configuration.access)
        settings.batchEvents = configuration.batchEvents
        settings.backupRoot = configuration.backupRoot
        let service = LedgerService(ledger: ledger, settings: settings, version: Evidenced.version) { line in
            logger.notice("\(line)")
        }
        let server = service.makeServer(limits: configuration.varlinkLimits)
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
                "root": "\(checkpoint.root.base64)", "version": "\(Evidenced.version)",
            ]
        )
        if ledger.wasIndexRebuilt { logger.warning("the look-up index was damaged and was made anew") }
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
        server.stop(drainSeconds: DaemonProcess.drainSeconds)
        logger.notice("stopped", metadata: ["size": "\(ledger.checkpoint.size)"])
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

    private func raiseFileLimit(_ logger: Logger) {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        if Int(limit.rlim_cur) < configuration.varlinkLimits.connections + 64 {
            logger.warning("only \(limit.rlim_cur) files may be open, fewer than maximum-connections allows")
        }
    }
}
