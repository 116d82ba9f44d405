/// Certificates, deposited evidence, contracts, what others assert about third parties, issuance.
extension EventCatalogue {
    private static let documentClaims: [Field] = [
        .required("sha256", .digest), .optional("sm3", .digest),
        .optional("size", .integer(0...9_007_199_254_740_991)), .optional("file_name", .text(1_024)),
    ]

    static let certificateTypes: [EventType] = [
        EventType(
            "cert.requested",
            "a certificate was applied for",
            "申请数字证书",
            streams: [.cert, .subject],
            body: [
                .required("identity", .index), .required("algorithm", .code(["p256", "sm2", "rsa", "ed25519"])),
                .required("authority", .id),
            ],
            claims: [.optional("csr_sha256", .digest)]
        ),
        EventType(
            "cert.issued",
            "a certificate was issued",
            "签发数字证书",
            streams: [.cert, .subject],
            body: [
                .required("requested", .index), .required("authority", .id), .required("not_before", .time),
                .required("not_after", .time),
            ],
            claims: [
                .required("issuer", .text(1_024)), .required("serial", .text(128)), .required("spki_sha256", .digest),
                .required("certificate_sha256", .digest), .optional("subject", .text(1_024)),
            ]
        ),
        EventType(
            "cert.activated",
            "its owner took a certificate into use",
            "激活数字证书",
            streams: [.cert, .subject],
            body: [.required("issued", .index), .required("intent", .code(intents))]
        ),
        EventType(
            "cert.suspended",
            "a certificate was suspended",
            "暂停数字证书",
            streams: [.cert, .subject],
            body: [.required("issued", .index), .required("reason", .code(certificateReasons))]
        ),
        EventType(
            "cert.revoked",
            "a certificate was revoked",
            "吊销数字证书",
            streams: [.cert, .subject],
            body: [
                .required("issued", .index), .required("reason", .code(certificateReasons)), .required("since", .time),
            ]
        ),
        EventType(
            "cert.expired",
            "a certificate expired",
            "数字证书过期",
            streams: [.cert, .subject],
            body: [.required("issued", .index)]
        ),
        EventType(
            "cert.retention_ended",
            "the duty to keep a certificate's record ended",
            "证书记录保存期满",
            streams: [.cert, .subject],
            body: [.required("issued", .index)]
        ),
    ]

    private static let intents = ["sms-code", "face", "pin", "hardware-key", "password"]
    private static let certificateReasons = [
        "key-compromise", "affiliation-changed", "superseded", "cessation", "identity-changed", "subject-request",
        "court-order",
    ]

    static let evidenceTypes: [EventType] = [
        EventType(
            "evidence.deposited",
            "a document was deposited",
            "存证",
            streams: [.object],
            body: [
                .required("channel", .code(["upload", "platform", "api"])),
                .required("media_type", .pattern(.mediaType)),
                .required("product", .code(Codes.products)), .optional("custody", .code(["kept", "digest-only"])),
                .optional("identity", .index), .optional("source", .id),
                .optional("retention_class", .pattern(.word(32))),
            ],
            claims: documentClaims + [.optional("claimed_sha256", .digest), .optional("description", .text(2_000))]
        ),
        EventType(
            "evidence.sealed",
            "a document was stored encrypted",
            "加密封存",
            streams: [.object],
            body: [
                .optional("deposit", .index), .required("suite", .code(["age-v1"])),
                .required("ciphertext_sha256", .digest),
                .required("ciphertext_size", .integer(0...9_007_199_254_740_991)),
            ]
        ),
        EventType(
            "evidence.decrypted",
            "a document was decrypted",
            "解密",
            streams: [.object],
            body: [
                .required("deposit", .index), .required("purpose", .code(Codes.purposesOfDecryption)),
                .optional("approver", .id), .optional("order", .index),
            ]
        ),
        EventType(
            "evidence.exported",
            "a document left the vault",
            "导出",
            streams: [.object],
            body: [
                .required("deposit", .index), .required("decryption", .index), .required("recipient", .id),
                .optional("issuance", .index),
            ],
            claims: [.optional("recipient_key", .text(128))]
        ),
        EventType(
            "evidence.verified",
            "a document was compared with its deposit",
            "核验",
            streams: [.object],
            body: [.required("deposit", .index), .required("result", .code(["match", "mismatch"]))]
        ),
        EventType(
            "evidence.destroyed",
            "a document was destroyed",
            "销毁",
            streams: [.object],
            body: [
                .required("deposit", .index), .required("erasure", .index),
                .required("ground", .code(Codes.deletionGrounds + ["retention-ended", "all-parties"])),
            ]
        ),
    ]

    static let contractTypes: [EventType] = [
        EventType(
            "contract.created",
            "a contract was created",
            "创建合同",
            streams: [.contract],
            body: [
                .required("parties", .streamList), .required("media_type", .pattern(.mediaType)),
                .optional("sign_until", .time), .optional("template", .id),
            ],
            claims: documentClaims + [.optional("title", .text(1_024))]
        ),
        EventType(
            "contract.sent",
            "a contract was sent to a party",
            "发送合同",
            streams: [.contract, .subject],
            body: [.required("manner", .code(["sms", "mail", "app", "link"]))],
            claims: [.optional("address", .text(512))]
        ),
        EventType(
            "contract.viewed",
            "a party looked at a contract",
            "查看合同",
            streams: [.contract, .subject],
            body: [.optional("session", .id), .optional("seconds", .integer(0...86_400))]
        ),
        EventType(
            "contract.signed",
            "a party signed a contract",
            "签署合同",
            streams: [.contract, .subject],
            body: [
                .required("identity", .index), .required("certificate", .index), .required("intent", .code(intents)),
                .required("algorithm", .code(["p256-sha256", "sm2-sm3", "rsa-sha256", "ed25519"])),
                .optional("agent", .index), .optional("session", .id), .optional("session_event", .index),
            ],
            claims: documentClaims + [
                .required("signature_sha256", .digest), .optional("seal_sha256", .digest),
                .optional("intent_evidence", .text(2_000)), .optional("ip_address", .text(64)),
            ]
        ),
        EventType(
            "contract.declined",
            "a party declined to sign",
            "拒绝签署合同",
            streams: [.contract, .subject],
            claims: [.optional("reason", .text(2_000))]
        ),
        EventType(
            "contract.completed",
            "all parties signed",
            "合同签署完成",
            streams: [.contract],
            body: [.required("signatures", .indexes)],
            claims: documentClaims
        ),
        EventType(
            "contract.verified",
            "a contract file was checked",
            "合同核验",
            streams: [.contract],
            body: [.required("result", .code(["intact", "changed", "unknown-signature"]))]
        ),
    ]

    static let thirdPartyTypes: [EventType] = [
        EventType(
            "thirdparty.asserted",
            "a submitter warranted authority over others' data",
            "声明已获第三方授权",
            streams: [.subject],
            body: [
                .required("categories", .codes(Codes.dataCategories)), .required("warrant_sha256", .digest),
                .required("policy", .index), .required("persons", .streamList),
            ]
        ),
        EventType(
            "thirdparty.objected",
            "a person objected to others having given their data",
            "第三方异议",
            streams: [.subject, .request],
            body: [.required("assertion", .index)],
            claims: [.optional("reason", .text(4_000))]
        ),
        EventType(
            "thirdparty.removed",
            "a third party's data was removed",
            "移除第三方信息",
            streams: [.subject, .request],
            body: [.required("objection", .index), .required("erasure", .index)]
        ),
    ]

    static let issuanceTypes: [EventType] = [
        EventType(
            "issuance.requested",
            "a certificate of evidence was applied for",
            "申请出证",
            streams: [.issuance, .subject],
            body: [
                .required("identity", .index), .required("evidence", .indexes),
                .required("kind", .code(["electronic", "paper", "notary", "appraisal", "arbitration"])),
            ],
            claims: [
                .required("recipient_name", .text(256)), .required("recipient_phone", .text(64)),
                .required("recipient_address", .text(1_000)), .required("applicant", .text(512)),
                .required("authority", .text(512)), .required("evidence_description", .text(4_000)),
            ]
        ),
        EventType(
            "issuance.accepted",
            "an application for a certificate was accepted",
            "受理出证",
            streams: [.issuance],
            body: [.required("requested", .index)]
        ),
        EventType(
            "issuance.refused",
            "an application for a certificate was refused",
            "不予出证",
            streams: [.issuance],
            body: [
                .required("requested", .index),
                .required(
                    "reason",
                    .code([
                        "identity-missing", "authority-missing", "fields-missing", "not-a-party",
                        "evidence-erased", "mismatch",
                    ])
                ),
            ],
            claims: [.optional("explanation", .text(4_000))]
        ),
        EventType(
            "issuance.generated",
            "the evidence bundle was made",
            "生成证据包",
            streams: [.issuance],
            body: [.required("requested", .index), .required("checkpoint_size", .index)],
            claims: [.required("bundle_sha256", .digest), .optional("bundle_sm3", .digest)]
        ),
        EventType(
            "issuance.dispatched",
            "the evidence bundle was sent",
            "寄送证据",
            streams: [.issuance],
            body: [
                .required("generated", .index), .required("manner", .code(["download", "mail", "courier", "court"])),
            ],
            claims: [.optional("tracking_number", .text(128))]
        ),
        EventType(
            "issuance.delivered",
            "the evidence bundle arrived",
            "已签收",
            streams: [.issuance],
            body: [.required("dispatched", .index)],
            claims: [.optional("received_by", .text(256))]
        ),
    ]
}
