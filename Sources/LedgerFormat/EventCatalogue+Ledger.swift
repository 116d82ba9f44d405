/// What the ledger says of itself: `ledger`, `system`, `anchor`, `key`.
extension EventCatalogue {
    private static let clockConfirmations = ["second-look", "synchronization", "operator"]

    static let ledgerTypes: [EventType] = [
        EventType(
            "ledger.created",
            "the ledger was created",
            "账本创建",
            streams: [.ledger],
            body: [
                .required("origin", .pattern(.origin(200))), .required("suite", .code(["sha256", "sm3"])),
                .required("format", .integer(1...1)), .required("checkpoint_key", .pattern(.verificationKey)),
            ]
        ),
        EventType(
            "system.started",
            "the daemon started",
            "系统启动",
            streams: [.ledger],
            body: [.required("version", .pattern(.version)), .required("clean", .boolean)]
        ),
        EventType("system.stopped", "the daemon stopped as told", "系统停止", streams: [.ledger]),
        EventType(
            "system.clock_status",
            "the state of the clock",
            "时钟状态",
            streams: [.ledger],
            body: [
                .required("synchronized", .boolean), .optional("behind", .integer(1...9_007_199_254_740_991)),
                .optional("confirmed", .code(clockConfirmations)),
            ]
        ),
        EventType(
            "system.clock_jumped",
            "the clock jumped",
            "时钟跳变",
            streams: [.ledger],
            body: [
                .required("microseconds", .integer(-9_007_199_254_740_991...9_007_199_254_740_991)),
                .optional("confirmed", .code(clockConfirmations)),
            ]
        ),
        EventType(
            "system.build",
            "the software and the site it runs at",
            "软件与部署",
            streams: [.ledger],
            body: [
                .required("version", .pattern(.version)), .optional("digest", .digest),
                .optional("site", .pattern(.word(64))),
            ]
        ),
        EventType(
            "system.selfcheck",
            "what is kept was checked",
            "自检",
            streams: [.ledger],
            body: [
                .required("checked", .code(["ledger", "objects"])), .required("result", .code(["passed", "failed"])),
                .optional("size", .index), .optional("root", .hash),
                .optional("objects", .integer(0...9_007_199_254_740_991)),
                .optional("objects_failed", .integer(0...9_007_199_254_740_991)),
            ]
        ),
        EventType(
            "system.recovered",
            "a new incarnation began",
            "恢复为新的实例",
            streams: [.ledger],
            body: [
                .required("incarnation", .integer(2...9_007_199_254_740_991)),
                .required("origin", .pattern(.origin(230))),
                .required("checkpoint_key", .pattern(.verificationKey)),
                .required("reason", .code(Recovery.Reason.allCases.map(\.rawValue))),
                .required("size", .integer(0...9_007_199_254_740_991)), .required("root", .hash),
                .optional("lock_size", .integer(1...9_007_199_254_740_991)), .optional("lock_root", .hash),
                .optional("erased_scopes", .hash), .optional("succession", .signature),
            ]
        ),
        EventType(
            "anchor.checkpoint",
            "a checkpoint was published",
            "账本签名快照发布",
            streams: [.ledger],
            body: [.required("size", .index), .required("root", .hash)]
        ),
        EventType(
            "anchor.timestamped",
            "a checkpoint got a trusted time stamp",
            "可信时间戳",
            streams: [.ledger],
            body: [
                .required("size", .index), .required("root", .hash), .required("authority", .pattern(.host)),
                .required("token", .digest), .required("serial", .pattern(.hex(2...40))),
            ]
        ),
        EventType(
            "anchor.evidence_record",
            "an evidence record was made",
            "证据记录",
            streams: [.ledger],
            body: [.required("size", .index), .required("record", .digest)]
        ),
        EventType(
            "anchor.renewed",
            "an evidence record was renewed",
            "证据记录续期",
            streams: [.ledger],
            body: [
                .required("record", .digest), .required("previous", .index),
                .required("kind", .code(["timestamp", "hash-tree"])),
            ]
        ),
        EventType(
            "anchor.witnessed",
            "a witness cosigned a checkpoint",
            "见证方共签",
            streams: [.ledger],
            body: [
                .required("size", .index), .required("witness", .pattern(.verificationKey)), .required("time", .time),
            ]
        ),
        EventType(
            "key.created",
            "a key was made",
            "密钥生成",
            streams: [.ledger],
            body: [
                .required("key", .id), .required("use", .code(keyUses)), .required("algorithm", .code(keyAlgorithms)),
                .optional("public_key", .pattern(.hex(64...1_200))),
            ]
        ),
        EventType(
            "key.rotated",
            "a key took another's place",
            "密钥轮换",
            streams: [.ledger],
            body: [
                .required("key", .id), .required("previous", .id), .required("use", .code(keyUses)),
                .optional("cross_signature", .pattern(.hex(128...1_024))),
            ]
        ),
        EventType(
            "key.retired",
            "a key is no longer used to sign or encrypt",
            "密钥停用",
            streams: [.ledger],
            body: [.required("key", .id)]
        ),
        EventType(
            "key.compromised",
            "a key is known or feared to others",
            "密钥泄露",
            streams: [.ledger],
            body: [.required("key", .id), .required("since", .time)]
        ),
        EventType(
            "key.destroyed",
            "a key was destroyed",
            "密钥销毁",
            streams: [.ledger],
            body: [.required("key", .id), .required("epoch", .integer(0...1_000_000_000))]
        ),
    ]

    private static let keyUses = ["checkpoint", "claims", "objects", "index", "seal", "certificates", "timestamps"]
    private static let keyAlgorithms = [
        "ed25519", "p256", "p384", "sm2", "rsa-2048", "rsa-3072", "rsa-4096", "x25519", "aes-256-gcm", "sm4-gcm",
        "hmac-sha256", "hmac-sm3",
    ]
}
