import LMDB
import OpenSSL

@testable import Keys

/// The tree's environment without the tree: what somebody finds who has the files.
struct LMDBEnvironment {
    private let environment: Environment
    private let schema: KeySchema

    init(_ directory: String) throws {
        (environment, schema) = try KeySchema.open(directory, mapBytes: 64 << 20, access: .copy)
    }

    func node(_ place: NodePlace) throws -> KeyNode {
        try environment.read { try schema.node($0, place, .aes) }
    }
}
