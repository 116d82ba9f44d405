/// Accounts, identity, policies, consents, purposes.
extension EventCatalogue {
    static let accountTypes: [EventType] = [
        EventType(
            "account.registered",
            "an account was registered",
            "账号注册",
            streams: [.subject],
            body: [.required("kind", .code(["person", "organisation"])), .required("channel", .code(Codes.channels))],
            claims: [
                .optional("phone", .text(64)), .optional("email", .text(320)), .optional("login_name", .text(256)),
            ]
        ),
        EventType(
            "account.credential_set",
            "a credential was set",
            "设置登录凭证",
            streams: [.subject],
            body: [.required("credential", .code(credentials)), .optional("credential_id", .id)]
        ),
        EventType(
            "account.credential_changed",
            "a credential was changed",
            "变更登录凭证",
            streams: [.subject],
            body: [
                .required("credential", .code(credentials)), .optional("credential_id", .id),
                .optional("compromise", .index),
            ],
            claims: [.optional("phone", .text(64)), .optional("email", .text(320))]
        ),
        EventType(
            "account.credential_compromised",
            "a credential is known or feared to others",
            "登录凭证泄露",
            streams: [.subject],
            body: [
                .required("credential", .code(credentials)), .optional("credential_id", .id), .required("since", .time),
                .required("reported_by", .code(["subject", "staff", "detection"])),
            ],
            claims: [.optional("reason", .text(2_000))]
        ),
        EventType(
            "account.session_opened",
            "a session was opened",
            "会话开始",
            streams: [.subject, .session],
            body: [.required("method", .code(credentials)), .optional("client_time", .time)],
            claims: [.optional("ip_address", .text(64)), .optional("device", .text(512))]
        ),
        EventType(
            "account.session_closed",
            "a session was closed",
            "会话结束",
            streams: [.subject, .session],
            body: [.required("cause", .code(["logout", "timeout", "revoked"]))]
        ),
        EventType(
            "account.closed",
            "an account was closed",
            "账号注销",
            streams: [.subject],
            body: [
                .required("channel", .code(Codes.channels)), .optional("identity_check", .index),
                .optional("request", .index),
            ]
        ),
        EventType(
            "account.restored",
            "a closed account was restored",
            "账号恢复",
            streams: [.subject],
            body: [.required("identity", .index), .required("closure", .index)]
        ),
    ]

    private static let credentials = ["password", "sms-code", "face", "pin", "hardware-key", "qr-code", "api-key"]

    static let identityTypes: [EventType] = [
        EventType(
            "identity.verify_requested",
            "an identity check was begun",
            "申请实名认证",
            streams: [.subject],
            body: [
                .required("method", .code(Codes.personMethods + Codes.organisationMethods)),
                .required("purpose", .id), .optional("consent", .index), .optional("vendor", .id),
            ]
        ),
        EventType(
            "identity.verified",
            "a person's identity was verified",
            "实名认证通过",
            streams: [.subject],
            body: [
                .required("method", .code(Codes.personMethods)), .required("expires", .time), .optional("vendor", .id),
                .optional("requested", .index), .optional("level", .code(["low", "substantial", "high"])),
            ],
            claims: [
                .required("name", .text(256)), .required("id_number", .text(64)),
                .optional("id_type", .text(64)), .optional("phone", .text(64)), .optional("bank_card", .text(64)),
                .optional("birth_date", .text(10)), .optional("vendor_transaction", .text(256)),
                .optional("evidence_sha256", .digest),
            ]
        ),
        EventType(
            "identity.failed",
            "an identity check failed",
            "实名认证失败",
            streams: [.subject],
            body: [
                .required("method", .code(Codes.personMethods + Codes.organisationMethods)),
                .required("reason", .code(["mismatch", "unreadable", "expired-document", "vendor-error", "aborted"])),
                .optional("vendor", .id), .optional("requested", .index),
            ],
            claims: [.optional("vendor_transaction", .text(256))]
        ),
        EventType(
            "identity.expired",
            "a verification ended",
            "实名认证失效",
            streams: [.subject],
            body: [.required("verification", .index)]
        ),
        EventType(
            "identity.org_verified",
            "an organisation's identity was verified",
            "企业认证通过",
            streams: [.subject],
            body: [
                .required("method", .code(Codes.organisationMethods)), .required("expires", .time),
                .optional("vendor", .id), .required("legal_representative", .index),
            ],
            claims: [
                .required("organisation_name", .text(512)), .required("organisation_code", .text(64)),
                .optional("address", .text(1_000)), .optional("phone", .text(64)), .optional("bank_account", .text(64)),
                .optional("licence_sha256", .digest), .optional("vendor_transaction", .text(256)),
            ]
        ),
        EventType(
            "identity.agent_authorised",
            "an organisation gave an agent authority",
            "授权经办人",
            streams: [.subject],
            body: [
                .required("organisation", .index), .required("agent", .index), .required("from", .time),
                .required("until", .time), .required("scopes", .codes(agentScopes)),
            ],
            claims: [.required("authority_sha256", .digest)]
        ),
        EventType(
            "identity.agent_revoked",
            "an agent's authority was revoked",
            "撤销经办人授权",
            streams: [.subject],
            body: [.required("authorisation", .index)],
            claims: [.optional("reason", .text(2_000))]
        ),
    ]

    private static let agentScopes = ["deposit", "sign", "request-issuance", "manage", "approve-erasure"]

    static let policyTypes: [EventType] = [
        EventType(
            "policy.published",
            "a policy text was published",
            "政策发布",
            streams: [.policy],
            body: [
                .required("kind", .code(["privacy", "terms", "certificate", "cookie"])),
                .required("version", .pattern(.version)),
                .required("language", .pattern(.language)), .required("text_sha256", .digest),
                .required("effective", .time),
                .optional("previous", .index),
            ]
        ),
        EventType(
            "policy.notified",
            "a person was told of a policy",
            "政策通知",
            streams: [.policy, .subject],
            body: [
                .required("policy", .index),
                .required("manner", .code(["push", "message", "mail", "page", "announcement"])),
            ]
        ),
        EventType(
            "policy.accepted",
            "a person accepted a policy",
            "同意政策",
            streams: [.policy, .subject],
            body: [.required("policy", .index), .required("mode", .code(["by-use", "express"]))]
        ),
        EventType(
            "policy.declined",
            "a person declined a policy",
            "拒绝政策",
            streams: [.policy, .subject],
            body: [.required("policy", .index)]
        ),
    ]

    static let consentTypes: [EventType] = [
        EventType(
            "consent.granted",
            "a person consented",
            "同意处理",
            streams: [.subject],
            body: consentBody + [.required("mode", .code(Codes.consentModes))],
            claims: [.optional("shown_text", .text(8_000))]
        ),
        EventType(
            "consent.separate_granted",
            "a person consented separately to sensitive data",
            "单独同意",
            streams: [.subject],
            body: consentBody + [.optional("recipient", .id)],
            claims: [.optional("shown_text", .text(8_000))]
        ),
        EventType(
            "consent.withdrawn",
            "a person withdrew a consent",
            "撤回同意",
            streams: [.subject],
            body: [.required("consent", .index), .required("channel", .code(Codes.channels))]
        ),
        EventType(
            "consent.scope_changed",
            "a person changed what a consent covers",
            "变更同意范围",
            streams: [.subject],
            body: [
                .required("consent", .index), .required("purposes", .codes(Codes.consentPurposes)),
                .required("categories", .codes(Codes.dataCategories)),
            ]
        ),
        EventType(
            "purpose.registered",
            "a purpose of processing was registered",
            "登记处理目的",
            streams: [.purpose],
            body: [
                .required("basis", .code(Codes.lawfulBases)), .required("categories", .codes(Codes.dataCategories)),
                .required("retention_class", .pattern(.word(32))), .required("text_sha256", .digest),
                .required("essential", .boolean), .optional("ground", .code(Codes.collectionGrounds)),
            ]
        ),
    ]

    private static let consentBody: [Field] = [
        .required("purposes", .codes(Codes.consentPurposes)), .required("categories", .codes(Codes.dataCategories)),
        .required("text_sha256", .digest), .required("language", .pattern(.language)), .optional("policy", .index),
        .optional("purpose", .id), .optional("until", .time),
        .optional("intent", .code(["click", "sms-code", "face", "pin", "signature", "paper"])),
    ]
}
