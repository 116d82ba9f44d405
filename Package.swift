// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

let package = Package(
    name: "evidenced",
    products: [
        .executable(name: "evidenced", targets: ["evidenced"]),
        .executable(name: "evidence", targets: ["evidence"]),
        .library(
            name: "EvidencedKit",
            targets: [
                "Age", "Service", "Bundle", "Ledger", "LedgerFormat", "Merkle", "JSON", "OpenSSL", "Paths", "Varlink",
                "LMDB",
                "Zip",
            ]
        ),
        // For the fuzz targets: what parses, without the event loops, and what has them.
        .library(
            name: "EvidencedFormats",
            targets: [
                "Age", "Bundle", "Keys", "Ledger", "LedgerFormat", "Merkle", "JSON", "OpenSSL", "LMDB", "Zip",
            ]
        ),
        .library(name: "EvidencedDaemon", targets: ["Daemon", "Varlink"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    ],
    targets: [
        // Floor 1: system libraries and pure values.
        .systemLibrary(name: "CLMDB", pkgConfig: "lmdb", providers: [.apt(["liblmdb-dev"])]),
        .systemLibrary(name: "COpenSSL", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CZip", pkgConfig: "libzip", providers: [.apt(["libzip-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .target(name: "CBundleTexts"),
        .target(name: "CLinux", cSettings: [.define("_GNU_SOURCE")]),
        .target(name: "JSON", swiftSettings: strict),
        .target(name: "Merkle", swiftSettings: strict),
        .target(name: "Paths", swiftSettings: strict),
        // Floor 2: safe faces, and everything ledger-format.md describes.
        .target(name: "LMDB", dependencies: ["CLMDB", "CLinux"], swiftSettings: strict),
        .target(name: "OpenSSL", dependencies: ["COpenSSL", "Merkle", "Paths"], swiftSettings: strict),
        .target(name: "Files", dependencies: ["CLinux", "OpenSSL"], swiftSettings: strict),
        .target(name: "Zip", dependencies: ["CZip", "CZlib", "Paths"], swiftSettings: strict),
        .target(name: "Age", dependencies: ["OpenSSL", "Merkle"], swiftSettings: strict),
        .target(name: "LedgerFormat", dependencies: ["JSON", "Merkle"], swiftSettings: strict),
        // Floor 3: the ledger itself, and the protocol that knows nothing of it.
        .target(
            name: "Ledger",
            dependencies: [
                "CLinux", "Files", "LMDB", "OpenSSL", "Keys", "LedgerFormat", "Merkle", "JSON",
                .product(name: "DequeModule", package: "swift-collections"),
            ],
            swiftSettings: strict
        ),
        .target(
            name: "Keys",
            dependencies: [
                "LMDB", "OpenSSL", "Merkle", .product(name: "DequeModule", package: "swift-collections"),
            ],
            swiftSettings: strict
        ),
        .target(
            name: "Varlink",
            dependencies: [
                "CLinux", "JSON",
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ],
            swiftSettings: strict
        ),
        // Floor 4: the ledger behind the socket, what leaves the house, and the habits of a Linux daemon.
        .target(
            name: "Bundle",
            dependencies: ["CBundleTexts", "Zip", "OpenSSL", "LedgerFormat", "Merkle", "JSON"],
            exclude: ["Page", "VERIFY.txt"],
            swiftSettings: strict
        ),
        .target(
            name: "Vault",
            dependencies: ["Age", "Files", "Ledger", "LedgerFormat", "OpenSSL", "Merkle", "JSON"],
            swiftSettings: strict
        ),
        .target(
            name: "Service",
            dependencies: ["Ledger", "LedgerFormat", "Vault", "Age", "Varlink", "JSON", "Merkle"],
            resources: [
                .embedInCode("org.evidenced.Ledger.varlink"), .embedInCode("org.evidenced.Privacy.varlink"),
                .embedInCode("org.evidenced.Vault.varlink"),
            ],
            swiftSettings: strict
        ),
        .target(
            name: "Daemon",
            dependencies: [
                "CLinux", "Service", "Ledger", "LedgerFormat", "Paths", "Varlink", "Vault",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict
        ),
        .executableTarget(
            name: "evidenced",
            dependencies: [
                "Daemon", "Service", "Ledger", "Merkle", "OpenSSL", "Paths", "Varlink", "Vault",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strict
        ),
        .executableTarget(
            name: "evidence",
            dependencies: [
                "CLinux", "Daemon", "Bundle", "Files", "Zip", "Ledger", "LMDB", "LedgerFormat", "Merkle", "JSON",
                "OpenSSL",
                "Paths", "Varlink",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strict
        ),
        // Tests, and the numbers several of them draw.
        .target(name: "SeededRandom", path: "Tests/SeededRandom", swiftSettings: strict),
        .testTarget(name: "JSONTests", dependencies: ["JSON", "SeededRandom"], swiftSettings: strict),
        .testTarget(name: "MerkleTests", dependencies: ["Merkle", "OpenSSL"], swiftSettings: strict),
        .testTarget(name: "LMDBTests", dependencies: ["LMDB"], swiftSettings: strict),
        .testTarget(name: "PathsTests", dependencies: ["Paths"], swiftSettings: strict),
        .testTarget(name: "OpenSSLTests", dependencies: ["OpenSSL", "Merkle", "Paths"], swiftSettings: strict),
        .testTarget(name: "ZipTests", dependencies: ["Zip", "Paths"], swiftSettings: strict),
        .testTarget(
            name: "AgeTests",
            dependencies: ["Age", "CZlib", "OpenSSL", "Merkle", "SeededRandom"],
            exclude: ["Vectors"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "BundleTests",
            dependencies: ["Bundle", "Paths", "Zip", "LedgerFormat", "Merkle", "JSON", "OpenSSL"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "LedgerFormatTests",
            dependencies: ["LedgerFormat", "Merkle", "JSON", "OpenSSL"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "KeysTests",
            dependencies: ["Keys", "LMDB", "Merkle", "OpenSSL", "SeededRandom"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "LedgerTests",
            dependencies: [
                "CLinux", "Files", "Keys", "Ledger", "LedgerFormat", "Merkle", "JSON", "OpenSSL", "LMDB",
                "SeededRandom",
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "VaultTests",
            dependencies: ["Vault", "Age", "Files", "Ledger", "LedgerFormat", "Merkle", "JSON", "OpenSSL"],
            swiftSettings: strict
        ),
        .testTarget(name: "VarlinkTests", dependencies: ["Varlink", "JSON", "SeededRandom"], swiftSettings: strict),
        .testTarget(
            name: "DaemonTests",
            dependencies: [
                "Daemon", "Service", "Ledger", "LedgerFormat", "Paths", "Varlink",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict
        ),
    ]
)
