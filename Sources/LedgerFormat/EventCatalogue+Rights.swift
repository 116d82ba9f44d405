/// Disclosure and transfer, retention and erasure, persons' requests, minors.
extension EventCatalogue {
    /// Who takes over. Such a claim lies under another stream of the event than the ledger's, such as `vendor/ID`.
    static let successorClaims: [Field] = [.optional("name", .text(512)), .optional("organisation_code", .text(64))]

    static let disclosureTypes: [EventType] = [
        EventType(
            "disclosure.requested",
            "a disclosure was asked for",
            "申请披露",
            streams: [.disclosure],
            body: [
                .required("kind", .code(["vendor", "court", "authority", "party", "guardian", "public"])),
                .required("categories", .codes(Codes.dataCategories)),
            ],
            claims: [.optional("order_number", .text(256)), .optional("order_sha256", .digest)]
        ),
        EventType(
            "disclosure.made",
            "personal data was disclosed",
            "披露",
            streams: [.disclosure, .subject],
            body: [
                .required("basis", .code(Codes.disclosureBases)), .required("recipient", .id),
                .required(
                    "recipient_class",
                    .code(Codes.vendorClasses + ["party", "authority", "guardian", "public"])
                ),
                .required("fields", .codes(Codes.dataCategories)), .required("destination", .pattern(.country)),
                .optional("consent", .index), .optional("contract", .index), .optional("request", .index),
                .optional("approver", .id), .optional("second_approver", .id),
            ],
            claims: [
                .required("payload_sha256", .digest), .optional("order_number", .text(256)),
                .optional("approval_number", .text(128)),
                .optional("reason", .text(4_000)),
            ]
        ),
        EventType(
            "disclosure.acknowledged",
            "a recipient confirmed its duties",
            "接收方确认",
            streams: [.disclosure],
            body: [.required("disclosure", .index), .required("agreement_sha256", .digest)]
        ),
        EventType(
            "disclosure.refused",
            "a disclosure was refused",
            "拒绝披露",
            streams: [.disclosure],
            body: [
                .required("requested", .index),
                .required("reason", .code(["no-basis", "beyond-scope", "no-consent", "foreign", "not-verified"])),
            ]
        ),
        EventType(
            "transfer.announced",
            "a successor was announced",
            "公告主体变更",
            streams: [.ledger],
            body: [
                .required("kind", .code(["merger", "acquisition", "asset-transfer", "bankruptcy", "consent"])),
                .required("successor", .id), .required("text_sha256", .digest),
            ],
            claims: successorClaims
        ),
        EventType(
            "transfer.bound",
            "the successor accepted the policy",
            "承继方接受政策",
            streams: [.ledger],
            body: [.required("announced", .index), .required("policy", .index)]
        ),
        EventType(
            "transfer.completed",
            "the successor took over",
            "主体变更完成",
            streams: [.ledger],
            body: [.required("bound", .index), .optional("key_rotation", .index)]
        ),
    ]

    static let retentionTypes: [EventType] = [
        EventType(
            "retention.class_assigned",
            "a retention class was assigned",
            "设定保存期限",
            streams: [.object],
            body: [
                .required("class", .pattern(.word(32))), .required("until", .time),
                .required("basis", .code(["law", "contract", "policy", "subject-request"])),
            ]
        ),
        EventType(
            "retention.hold_placed",
            "erasure was put on hold",
            "暂停删除",
            streams: [.object],
            body: [
                .required("hold", .id), .required("basis", .code(["litigation", "order", "business", "objection"])),
                .optional("until", .time),
            ],
            claims: [.optional("order_number", .text(256)), .optional("reason", .text(4_000))]
        ),
        EventType(
            "retention.hold_released",
            "a hold on erasure ended",
            "解除暂停删除",
            streams: [.object],
            body: [.required("hold", .id), .required("placed", .index), .optional("approver", .id)]
        ),
        EventType(
            "retention.expired",
            "a retention period ended",
            "保存期满",
            streams: [.object],
            body: [.required("assigned", .index)]
        ),
        EventType(
            "erasure.requested",
            "erasure was asked for",
            "请求删除",
            streams: [.request],
            body: [.required("ground", .code(Codes.deletionGrounds)), .required("scopes", .streamList)],
            claims: [.optional("reason", .text(4_000))]
        ),
        EventType(
            "erasure.party_approved",
            "a party agreed to an erasure",
            "当事人同意删除",
            streams: [.request, .subject],
            body: [.required("requested", .index)]
        ),
        EventType(
            "erasure.executed",
            "data was erased",
            "执行删除",
            streams: [.request],
            body: [
                .required("requested", .index), .required("scopes", .streamList), .optional("approvals", .indexes),
                .optional("keys_destroyed", .integer(0...1_000_000_000)), .optional("certificate", .digest),
            ]
        ),
        EventType(
            "erasure.refused",
            "an erasure was refused",
            "拒绝删除",
            streams: [.request],
            body: [
                .required("requested", .index), .required("code", .code(Codes.refusalGrounds + ["hold", "parties"])),
                .optional("hold", .index),
            ],
            claims: [.required("reason", .text(4_000))]
        ),
        EventType(
            "erasure.partial",
            "data was erased in part",
            "部分删除",
            streams: [.request],
            body: [
                .required("requested", .index), .required("erased", .streamList), .required("kept", .streamList),
                .required("reason", .code(["business", "hold", "law"])), .optional("until", .time),
            ]
        ),
    ]

    static let requestTypes: [EventType] = [
        EventType(
            "request.received",
            "a person's request was received",
            "收到权利请求",
            streams: [.request, .subject],
            body: [
                .required(
                    "kind",
                    .code([
                        "access", "copy", "correction", "erasure", "withdrawal", "restriction",
                        "portability", "explanation", "closure", "complaint",
                    ])
                ),
                .required("channel", .code(Codes.channels)), .required("due", .time),
            ],
            claims: [.optional("content", .text(4_000))]
        ),
        EventType(
            "request.identity_checked",
            "the requester's identity was checked",
            "核验请求人身份",
            streams: [.request],
            body: [
                .required("received", .index), .required("method", .code(Codes.personMethods + ["session", "staff"])),
            ]
        ),
        EventType(
            "request.answered",
            "a request was answered",
            "答复请求",
            streams: [.request],
            body: [
                .required("received", .index),
                .required("outcome", .code(["fulfilled", "partly-fulfilled", "nothing-held"])),
            ],
            claims: [.optional("answer_sha256", .digest)]
        ),
        EventType(
            "request.refused",
            "a request was refused",
            "拒绝请求",
            streams: [.request],
            body: [.required("received", .index), .required("code", .code(Codes.refusalGrounds))],
            claims: [.required("reason", .text(4_000))]
        ),
        EventType(
            "request.fee_charged",
            "a fee was charged for a repeated request",
            "收取费用",
            streams: [.request],
            body: [
                .required("received", .index), .required("earlier", .indexes),
                .required("amount_cents", .integer(1...100_000_000)), .required("currency", .pattern(.currency)),
            ]
        ),
        EventType(
            "request.escalated",
            "a request was escalated",
            "投诉升级",
            streams: [.request],
            body: [.required("received", .index), .required("to", .code(["manager", "authority", "court"]))]
        ),
        EventType(
            "request.overdue",
            "a request passed its time limit",
            "请求逾期",
            streams: [.request],
            body: [.required("received", .index), .required("due", .time)]
        ),
        EventType(
            "minor.flagged",
            "a person is a minor",
            "标记未成年人",
            streams: [.subject],
            body: [.required("age_band", .code(["below-14", "14-to-17"]))]
        ),
        EventType(
            "minor.guardian_consented",
            "a guardian consented",
            "监护人同意",
            streams: [.subject],
            body: [
                .required("guardian", .index), .required("purposes", .codes(Codes.consentPurposes)),
                .required("mode", .code(["express", "separate"])),
            ],
            claims: [.required("relation_sha256", .digest), .optional("relation", .text(256))]
        ),
        EventType(
            "minor.guardian_withdrew",
            "a guardian withdrew a consent",
            "监护人撤回同意",
            streams: [.subject],
            body: [.required("consent", .index)]
        ),
    ]
}
