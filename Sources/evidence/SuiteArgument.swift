public import ArgumentParser
public import OpenSSL

extension CipherSuite: ExpressibleByArgument {
    /// By the cipher's name, or by its own whole one.
    public init?(argument: String) {
        let found = CipherSuite.allCases.first { suite in
            [suite.shortName, suite.rawValue].contains { $0.utf8.elementsEqual(argument.utf8) }
        }
        guard let found else { return nil }
        self = found
    }

    /// What it is called on the command line.
    private var shortName: String {
        switch self {
        case .aes: "aes"
        case .sm4: "sm4"
        }
    }

    public static var allValueStrings: [String] { allCases.map(\.shortName) }

    public var defaultValueDescription: String { shortName }
}
