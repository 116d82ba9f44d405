/// Why a key tree is not opened, or what was found wrong in it.
public struct KeyRefusal: Error, Equatable, Sendable, CustomStringConvertible {
    /// What is the matter.
    public enum Code: String, Sendable {
        /// There is none at these paths.
        case missing
        /// One is there already.
        case exists
        /// Another process has it.
        case inUse
        /// A row, a slot or a file is not what was written.
        case damaged
        /// The master key given is not the one the root key is wrapped under.
        case otherMaster
        /// `root.key` and the tree are of different times: one of them was restored from a backup.
        case torn
        /// Another file took the place of `root.key`; nothing was changed.
        case replaced
        /// It has all the slots it can have.
        case full
        /// There is no room on the disk for what it needs; nothing was changed.
        case noRoom
    }

    public let code: Code
    /// What is wrong.
    public let what: String
    /// What to do.
    public let advice: String

    init(_ code: Code, _ what: String, advice: String) {
        self.code = code
        self.what = what
        self.advice = advice
    }

    public var description: String { "\(what). \(advice)." }
}
