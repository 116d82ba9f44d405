import Ledger
import Varlink
import Vault

extension Configuration {
    /// Every key but those of principals. Parsing, the reference and the installed example all come from this table.
    public static let keys: [ConfigurationKey] =
        pathKeys + storeKeys + objectKeys + queueKeys + connectionKeys + clockKeys
        + otherKeys

    private static let pathKeys: [ConfigurationKey] = [
        .path(
            "store",
            \.store,
            unit: "directory",
            example: "/srv/evidenced/store",
            "Where entries, tree and sealed claims are kept. Made by `evidence init`, never by the daemon."
        ),
        .path(
            "index",
            \.index,
            unit: "directory",
            example: "/srv/evidenced/index",
            "Where look-ups by digest and by request key are kept. May be deleted while the daemon is stopped: it is "
                + "rebuilt from the store."
        ),
        .path(
            "keys",
            \.keys,
            unit: "directory",
            example: "/srv/evidenced/keys",
            "The tree of keys under which claims are sealed, and `root.key`, which opens it. An erasure destroys keys here: "
                + "backups of it are made by a way of their own, and those from before an erasure are to be destroyed."
        ),
        .path(
            "checkpoint-lock",
            \.checkpointLock,
            unit: "file",
            example: "/mnt/lock/evidenced.lock",
            "Remembers the last signed checkpoint, so that a restored backup cannot sign a second history. Must lie "
                + "outside of the store, on another volume lest one snapshot take both back, and must not be part of "
                + "backups."
        ),
        .path(
            "keyring",
            \.keyring,
            unit: "file",
            example: "/root/evidenced.keyring",
            "The ledger's secret keys. Where the service manager passes a credential named `keyring`, that is the "
                + "default."
        ),
        .path(
            "socket",
            \.socket,
            unit: "path of at most 107 bytes",
            maximumBytes: 107,
            example: "/run/evidence.sock",
            "Unix socket to listen on. Not used where the service manager passes a listening socket."
        ),
        .permissions(
            "socket-mode",
            \.socketMode,
            example: "0660",
            "Permissions of the socket where the daemon binds it. Whoever may connect still needs a principal; with 0660 "
                + "whoever is not of the socket's group can't crowd it."
        ),
        .optionalPath(
            "backup-root",
            \.backupRoot,
            unit: "directory",
            example: "/var/lib/evidenced/backups",
            "Directory below which backups may be written. Without it backups over the socket are refused."
        ),
        .optionalPath(
            "objects",
            \.objects,
            unit: "directory",
            example: "/var/lib/evidenced/objects",
            "Where documents in custody are kept, each encrypted in a file of its own; made by the daemon where it is missing. "
                + "Without it no documents are kept, and a deposit records digests only."
        ),
    ]

    private static let storeKeys: [ConfigurationKey] = [
        .size(
            "map-size",
            \.ledgerSettings.mapBytes,
            LedgerSettings.mapSizes,
            example: "64G",
            "First size of the store's memory map. It grows by itself; a larger one saves the growing."
        ),
        .size(
            "map-limit",
            \.ledgerSettings.maximumMapBytes,
            LedgerSettings.mapSizes,
            example: "512G",
            "Where the store stops growing: beyond it appends are refused and reads go on."
        ),
        .size(
            "index-map-size",
            \.ledgerSettings.indexMapBytes,
            LedgerSettings.mapSizes,
            example: "16G",
            "First size of the index's memory map. It grows by itself."
        ),
        .number(
            "index-lag",
            \.ledgerSettings.tailEntries,
            unit: "entries",
            1 << 14...1 << 24,
            example: "262144",
            "Entries the index may be behind; they are kept in memory. Where the index has no room on its disk, appends "
                + "go on up to here and are refused then; reads go on."
        ),
        .number(
            "readers",
            \.ledgerSettings.readers,
            unit: "transactions",
            16...4_096,
            example: "512",
            """
            Read transactions open at once beside those the daemon keeps for itself: each audit and each backup is one. \
            Where all are taken, an audit ends with status 75 and a backup is refused as Busy; all else goes on.
            """
        ),
    ]

    private static let objectKeys: [ConfigurationKey] = [
        .size(
            "object-bytes",
            \.vaultSettings.objectBytes,
            1...1 << 44,
            example: "64G",
            "Largest document that is kept."
        ),
        .size(
            "objects-reserve",
            \.vaultSettings.reservedBytes,
            0...1 << 44,
            example: "4G",
            "Bytes of the disk that documents leave free: beyond it deposits of documents are refused, and all else goes on."
        ),
    ]

    private static let queueKeys: [ConfigurationKey] = [
        .number(
            "queue-events",
            \.ledgerSettings.queueEvents,
            unit: "events",
            1...16_777_216,
            example: "262144",
            "Events that may wait for the disk. Beyond it calls are answered with Busy at once."
        ),
        .size(
            "queue-bytes",
            \.ledgerSettings.queueBytes,
            1 << 16...1 << 36,
            example: "256M",
            "Bytes of events that may wait for the disk. Beyond it calls are answered with Busy at once."
        ),
        .number(
            "batch-events",
            \.batchEvents,
            unit: "events",
            1...65_536,
            example: "512",
            "Events one Append call may carry."
        ),
        .number(
            "commit-events",
            \.ledgerSettings.batchEvents,
            unit: "events",
            1...1_048_576,
            example: "16384",
            "Events one commit takes of those waiting."
        ),
        .size(
            "commit-bytes",
            \.ledgerSettings.batchBytes,
            1 << 16...1 << 32,
            example: "16M",
            "Bytes of events one commit takes of those waiting."
        ),
    ]

    private static let connectionKeys: [ConfigurationKey] = [
        .number(
            "maximum-connections",
            \.varlinkLimits.connections,
            unit: "connections",
            1...1_000_000,
            example: "16384",
            "Connections of principals at once. The process's limit of open files must be higher."
        ),
        .number(
            "maximum-connections-per-user",
            \.varlinkLimits.connectionsPerUser,
            unit: "connections",
            1...1_000_000,
            example: "64",
            "Connections at once of one user."
        ),
        .number(
            "reserved-connections",
            \.varlinkLimits.reservedConnections,
            unit: "connections",
            0...65_536,
            example: "4",
            "How many of maximum-connections are each principal's alone, so that no other can lock it out. Where there "
                + "are too many principals for that, the connections are divided among them."
        ),
        .number(
            "maximum-stranger-connections",
            \.varlinkLimits.strangerConnections,
            unit: "connections",
            0...65_536,
            example: "8",
            "Connections at once of all users without a principal together, beside maximum-connections."
        ),
        .size(
            "stranger-message-bytes",
            \.varlinkLimits.strangerMessageBytes,
            1 << 10...1 << 20,
            example: "1K",
            "Longest message or HTTP body of a user without a principal, who may only ask what this is."
        ),
        .number(
            "stranger-timeout",
            \.varlinkLimits.strangerSeconds,
            unit: "seconds; 0 for ever",
            0...86_400,
            example: "2",
            "How long a connection of a user without a principal may last, whatever it does."
        ),
        .number(
            "maximum-in-flight",
            \.varlinkLimits.inFlight,
            unit: "calls",
            1...65_536,
            example: "256",
            "Pipelined calls of one connection that run at once; further ones are not read yet."
        ),
        .size(
            "message-bytes",
            \.varlinkLimits.messageBytes,
            1 << 12...1 << 30,
            example: "64M",
            "Longest message or HTTP body."
        ),
        .size(
            "input-bytes",
            \.varlinkLimits.inputBytes,
            1 << 20...1 << 36,
            example: "256M",
            "Bytes of calls that may be received or answered at once, of all connections together. Beyond it whoever "
                + "has the most under way is answered with Busy. Must not be below message-bytes."
        ),
        .number(
            "maximum-bodies",
            \.varlinkLimits.bodies,
            unit: "documents",
            1...65_536,
            example: "32",
            "Documents going in or out at once. Each takes up to 2 MiB of memory while it does."
        ),
        .number(
            "maximum-bodies-per-principal",
            \.varlinkLimits.bodiesPerPrincipal,
            unit: "documents",
            1...65_536,
            example: "8",
            "Of them, those of one principal."
        ),
        .number(
            "body-timeout",
            \.varlinkLimits.bodyIdleSeconds,
            unit: "seconds; 0 for ever",
            0...86_400,
            example: "10",
            "How long whoever sends or takes a document may stand still before it is ended."
        ),
        .number(
            "message-timeout",
            \.varlinkLimits.messageSeconds,
            unit: "seconds",
            1...86_400,
            example: "10",
            "How long a message may take to arrive once it has begun."
        ),
        .number(
            "idle-timeout",
            \.varlinkLimits.idleSeconds,
            unit: "seconds; 0 for ever",
            0...86_400,
            example: "600",
            "How long a connection may be silent before it is closed."
        ),
    ]

    private static let clockKeys: [ConfigurationKey] = [
        .number(
            "clock-step-limit",
            \.ledgerSettings.clockStepSeconds,
            unit: "seconds",
            3...31_622_400,
            example: "600",
            "Largest step forward of the wall clock that is believed at once while the daemon runs. After a larger one "
                + "appends are refused (ClockUnconfirmed) until the time is confirmed: it goes on evenly for "
                + "clock-confirm-after, or the kernel says that the clock is synchronised, or an operator says "
                + "`evidence confirm-clock`. Steps back hold nothing up."
        ),
        .number(
            "clock-gap-limit",
            \.ledgerSettings.clockGapDays,
            unit: "days",
            1...36_500,
            example: "365",
            "How far after the newest entry the wall clock may be when the daemon starts. Beyond it appends are refused "
                + "until the time is confirmed, as above."
        ),
        .number(
            "clock-confirm-after",
            \.ledgerSettings.clockConfirmSeconds,
            unit: "seconds; 0 for never",
            0...31_622_400,
            example: "0",
            "After how long a time that was not believed at once, and goes on evenly, is."
        ),
    ]

    private static let otherKeys: [ConfigurationKey] = [
        .level("log-level", \.logLevel, example: "debug", "Least urgent messages that are logged."),
        .flag(
            "traceable",
            \.isTraceable,
            example: "yes",
            "Whether debuggers of the daemon's own user may attach to it, and a crash may leave a core dump. Both could "
                + "read the ledger's keys."
        ),
    ]
}
