/// Staff, incidents, logs of use, the service's own end; and the keys of the service.
extension EventCatalogue {
    static let supervisionTypes: [EventType] = [
        EventType(
            "staff.granted",
            "a member of staff was given a role",
            "授予权限",
            streams: [.staff],
            body: [.required("role", .code(staffRoles)), .required("approver", .id), .optional("until", .time)],
            claims: [.optional("name", .text(256))]
        ),
        EventType(
            "staff.revoked",
            "a member of staff lost a role",
            "撤销权限",
            streams: [.staff],
            body: [.required("role", .code(staffRoles)), .required("granted", .index)]
        ),
        EventType(
            "staff.access",
            "a member of staff used a role",
            "员工访问",
            streams: [.staff],
            body: [
                .required("role", .code(staffRoles)), .required("operation", .pattern(.word(64))),
                .optional("target", .id),
                .optional("approver", .id),
            ],
            claims: [.optional("reason", .text(4_000))]
        ),
        EventType(
            "staff.denied",
            "a member of staff was denied an operation",
            "拒绝访问",
            streams: [.staff],
            body: [.required("operation", .pattern(.word(64))), .optional("target", .id)]
        ),
        EventType(
            "incident.detected",
            "an incident was found",
            "发现安全事件",
            streams: [.incident],
            body: [
                .required("severity", .code(Codes.severities)),
                .required("kind", .code(["leak", "tampering", "loss", "intrusion", "misuse", "outage"])),
                .optional("since", .time), .optional("persons", .integer(0...2_000_000_000)),
            ],
            claims: [.optional("description", .text(8_000))]
        ),
        EventType(
            "incident.contained",
            "an incident was contained",
            "控制安全事件",
            streams: [.incident],
            body: [.required("detected", .index), .required("actions", .codes(containments))]
        ),
        EventType(
            "incident.reported",
            "an incident was reported to an authority",
            "上报安全事件",
            streams: [.incident],
            body: [
                .required("detected", .index), .required("authority", .code(authorities)), .required("time", .time),
                .required("deadline_hours", .integer(1...720)),
            ],
            claims: [.optional("report_sha256", .digest)]
        ),
        EventType(
            "incident.notified",
            "persons were told of an incident",
            "通知安全事件",
            streams: [.incident],
            body: [
                .required("detected", .index), .required("facts_sha256", .digest), .required("effects_sha256", .digest),
                .required("measures_sha256", .digest), .required("advice_sha256", .digest),
                .required("manner", .code(["push", "message", "mail", "announcement"])),
            ]
        ),
        EventType(
            "incident.closed",
            "an incident was closed",
            "安全事件结案",
            streams: [.incident],
            body: [.required("detected", .index)]
        ),
    ]

    private static let staffRoles = [
        "support", "operations", "administration", "development", "security", "data-protection", "legal", "finance",
        "audit", "issuance", "approval", "management",
    ]
    private static let authorities = [
        "cyberspace", "public-security", "industry", "market", "cryptography", "data-protection", "sector", "other",
    ]
    private static let containments = [
        "access-blocked", "keys-rotated", "service-isolated", "credentials-reset", "data-recovered", "patched",
    ]

    static let operationTypes: [EventType] = [
        EventType(
            "log.device",
            "facts about a device",
            "设备信息",
            streams: [.session],
            body: [.required("permissions", .codes(["model", "system", "identifier", "network", "software"]))],
            claims: [
                .optional("model", .text(256)), .optional("system", .text(256)), .optional("identifier", .text(256)),
                .optional("ip_address", .text(64)), .optional("software", .text(256)),
            ]
        ),
        EventType(
            "log.session",
            "what happened in a session",
            "会话日志",
            streams: [.session],
            body: [
                .required("operation", .pattern(.word(64))), .optional("client_time", .time),
                .optional("network", .code(["wifi", "cellular", "wired", "unknown"])),
            ],
            claims: [
                .optional("ip_address", .text(64)), .optional("page", .text(2_048)), .optional("seal_sha256", .digest),
                .optional("cookie", .text(1_024)),
            ]
        ),
        EventType(
            "log.contact",
            "a person was in contact with the service",
            "联系记录",
            streams: [.subject],
            body: [.required("channel", .code(Codes.channels))],
            claims: [.required("content_sha256", .digest), .optional("phone", .text(64))]
        ),
        EventType(
            "service.shutdown_announced",
            "the end of the service was announced",
            "公告停止运营",
            streams: [.ledger],
            body: [.required("text_sha256", .digest), .required("effective", .time)]
        ),
        EventType(
            "service.intake_stopped",
            "the service takes no more data",
            "停止收集",
            streams: [.ledger],
            body: [.required("announced", .index)]
        ),
        EventType("service.read_only", "the service only answers", "只读运行", streams: [.ledger]),
        EventType(
            "service.successor_named",
            "who keeps the ledger was named",
            "指定承继保管方",
            streams: [.ledger],
            body: [.required("successor", .id)],
            claims: successorClaims
        ),
    ]
}
