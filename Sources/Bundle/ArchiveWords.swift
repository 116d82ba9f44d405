import Zip

extension Words {
    /// Why an archive or a member of it was refused.
    init(archive error: ZipError) {
        let detail = error.detail.map { " (\($0))" } ?? ""
        self.init("it \(error.rule.rawValue)\(detail)", Words.chinese(error.rule) + detail)
    }

    private static func chinese(_ rule: ZipError.Rule) -> String {
        switch rule {
        case .notAnArchive: "不是 ZIP 压缩包"
        case .trailingBytes: "结尾记录之后有注释或多余字节"
        case .severalParts: "是分卷压缩包的一部分"
        case .endRecord: "结尾记录与内容不符"
        case .damaged: "结构不一致"
        case .tooLarge: "超出普通 ZIP 的限度"
        case .name: "名称不允许"
        case .backslash: "名称含有反斜杠（中文编码的名称可能如此）：请先解压，再核验文件夹"
        case .duplicate: "名称重复"
        case .order: "未按名称字节次序排列"
        case .compressed: "经过压缩"
        case .method: "采用 deflate 以外的压缩方法"
        case .link: "是链接或不是文件"
        case .encrypted: "经过加密"
        case .flags: "含有不允许的标志"
        case .comment: "带有注释"
        case .extraFields: "带有附加字段"
        case .secondMeaning: "带有可使某些软件另行认定其名称、大小或类型的附加字段"
        case .time: "时间不是 1980-01-01 00:00:00"
        case .mode: "权限不是 0644"
        case .size: "所称大小与实际不符"
        case .place: "位置不紧接前一文件"
        case .overlap: "与其后内容重叠"
        case .secondDirectory: "含有第二个目录，或某些软件视为目录的内容"
        case .localHeader: "本地文件头与目录不符"
        case .checksum: "CRC-32 校验值不符"
        case .memberTooLarge: "过大"
        case .noSuchMember: "不在压缩包中"
        case .system: "无法读取"
        }
    }
}
