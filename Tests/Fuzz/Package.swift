// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

// Libraries, not executables: the fuzzer brings its own main, which SwiftPM doesn't link. run.sh does.
let package = Package(
    name: "evidenced-fuzz",
    products: [
        .library(name: "FuzzFormats", type: .static, targets: ["Formats"]),
        .library(name: "FuzzConfiguration", type: .static, targets: ["Configuration"]),
    ],
    dependencies: [.package(name: "evidenced", path: "../..")],
    targets: [
        .target(
            name: "Formats",
            dependencies: [.product(name: "EvidencedFormats", package: "evidenced")],
            swiftSettings: strict
        ),
        .target(
            name: "Configuration",
            dependencies: [.product(name: "EvidencedDaemon", package: "evidenced")],
            swiftSettings: strict
        ),
    ]
)
