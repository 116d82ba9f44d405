import LedgerFormat

/// Texts that keep or break a pattern, at its edges.
struct PatternSamples {
    let allowed: [String]
    private(set) var refused: [String]

    /// What no field has room for that others than the daemon fill in: what people have been seen to write where a code
    /// is asked for.
    private static let personal = [
        "li.na@example.com", "+8613800000001", "13800000001", "138-0000-0001", "110101199003070000",
        "zhang-wei/1990-03-07", "Zhang-Wei", "Zhang Wei", "张伟", "6222 0212 3456 7890", "", " ", "a\n", "\0", "é",
    ]

    private static let key = "ADgAcb6HcFAGIJ8JiB7LpAIy2djXDkrTGzpVKR9lTuSR"

    init(_ pattern: TextPattern) {
        func repeated(_ text: String, _ count: Int) -> String { String(repeating: text, count: count) }
        switch pattern {
        case .word(let bytes):
            allowed = ["a", repeated("z", bytes), "contract-10y", "a.b_c-d", "page.open", "iso27001", "a123456", "a-1"]
            refused = [
                repeated("z", bytes + 1), "A", "1a", "-a", "a-", "a--b", "a.-b", "a1234567", "a1b2c3d4e5f6g7", "a:b",
                "a/b",
                "a+b", "a@b",
            ]
        case .version:
            allowed = [
                "1", "0.1.0", "2026.05.01", "1.2.3.4", "1.0-rc.1", "1.0-rc1", "10.15.7-beta", "9999.9999", "3-alpha",
                "3-dev",
            ]
            refused = [
                "v1", "1.", ".1", "1..2", "12345", "1.2.3.4.5", "9999.9999.9", "1.0-", "1.0-final", "1.0-rc.",
                "1.0-rc..1",
                "1.0-rc.12345", "1-2", "1.0+1", "1.0-RC1", "1.0-rc-1",
            ]
        case .language:
            allowed = ["en", "zh", "yue", "zh-CN", "zh-Hans", "zh-Hant-HK", "es-419", "bo-Tibt-CN", "ug-Arab"]
            refused = [
                "e", "engl", "EN", "zh_CN", "zh-cn", "zh-Hans-", "zh-hans", "li-Wang", "zh-CN-Hans", "zh-CHN", "zh-1",
                "zh-1234",
                "zh-Hans-CN-x", "zh--CN", "-CN",
            ]
        case .country:
            allowed = ["CN", "HK", "DE"]
            refused = ["cn", "C", "CHN", "C1", "C-"]
        case .currency:
            allowed = ["CNY", "HKD", "EUR"]
            refused = ["cny", "CN", "CNYX", "CN1"]
        case .mediaType:
            allowed = [
                "application/pdf", "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
                "image/svg+xml", "application/vnd.ms-excel.sheet.macroEnabled.12", "video/H263-1998",
                "application/vnd.iso11783-10+zip", "text/x", "text/" + repeated("x", 122), "text/a12345678",
            ]
            refused = [
                "pdf", "application/", "/pdf", "Application/pdf", "person/zhang", "application/a b",
                "text/plain;charset=utf-8",
                "text/" + repeated("x", 123), "text/.x", "text/a123456789", "text/x/y", "text/a@b",
            ]
        case .origin(let bytes):
            allowed = ["a", "example.com/ledger", "Example.com:8080/a_b-c", repeated("x", bytes)]
            refused = [repeated("x", bytes + 1), "a@b", "a+b", "a b"]
        case .verificationKey:
            allowed = [
                "example.com/ledger+60db519f+" + PatternSamples.key,
                repeated("x", 230) + "+00000000+" + PatternSamples.key,
            ]
            refused = [
                "+60db519f+" + PatternSamples.key, "a+60DB519F+" + PatternSamples.key,
                "a+60db519+" + PatternSamples.key,
                "a+60db519f+" + PatternSamples.key.dropLast(), "a+60db519f+" + PatternSamples.key + "=",
                "a+60db519f-" + PatternSamples.key, "a@b+60db519f+" + PatternSamples.key, PatternSamples.key,
                repeated("x", 231) + "+00000000+" + PatternSamples.key,
            ]
        case .host:
            allowed = [
                "tsa.example.com", "a.b", "x-1.example", "12345678.cn", repeated("x", 63) + ".cn",
                repeated("x", 60) + "." + repeated("y", 63) + ".abc",
            ]
            refused = [
                "localhost", "a.", ".a", "a..b", "-a.b", "a-.b", "A.b", "a_b.c", "123456789.cn",
                repeated("x", 64) + ".cn",
                repeated("x", 61) + "." + repeated("y", 63) + ".abc",
            ]
        case .hex(let count):
            allowed = [repeated("0f", count.lowerBound / 2), repeated("0f", count.upperBound / 2)]
            refused = [
                repeated("0f", count.lowerBound / 2 - 1), repeated("0f", count.upperBound / 2 + 1),
                repeated("0f", count.lowerBound / 2) + "0", repeated("0F", count.lowerBound / 2),
                repeated("0g", count.lowerBound / 2),
            ]
        }
        switch pattern {
        case .origin, .hex: break
        default: refused += PatternSamples.personal
        }
    }
}
