/// A sentence in the two languages of a bundle.
public struct Words: Equatable, Sendable {
    public let english: String
    public let chinese: String

    public init(_ english: String, _ chinese: String) {
        self.english = english
        self.chinese = chinese
    }

    /// What a module below says of its refusal, which it says in English.
    init(error: any Error) {
        if let error = error as? BundleFormatError {
            self = error.words
        } else {
            self.init("\(error)", "不符合格式（\(error)）")
        }
    }

    /// How many there are of something.
    init(count: Int, _ singular: String, _ plural: String, _ chinese: String) {
        self.init("\(count) \(count == 1 ? singular : plural)", "共 \(count) \(chinese)")
    }

    /// The words in Chinese or in English.
    public func text(chinese isChinese: Bool) -> String { isChinese ? chinese : english }
}
