// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

// Libraries, not executables: the fuzzer brings its own main, which SwiftPM doesn't link. run.sh does. It also builds
// with -enable-testing, so that parsers no module shows to another are fuzzed as they are.
let package = Package(
    name: "evidenced-fuzz",
    products: [
        .library(name: "FuzzFormats", type: .static, targets: ["Formats"]),
        .library(name: "FuzzServices", type: .static, targets: ["Services"]),
    ],
    dependencies: [
        .package(name: "evidenced", path: "../.."),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    ],
    targets: [
        .target(name: "Driver", swiftSettings: strict),
        .target(
            name: "Formats",
            dependencies: ["Driver", .product(name: "EvidencedFormats", package: "evidenced")],
            swiftSettings: strict
        ),
        .target(
            name: "Services",
            dependencies: [
                "Driver", .product(name: "EvidencedDaemon", package: "evidenced"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
            ],
            swiftSettings: strict
        ),
    ]
)
