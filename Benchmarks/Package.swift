// swift-tools-version: 6.2
import Foundation
import PackageDescription

/// As in the package that is measured.
let strict: [SwiftSetting] =
    [
        .swiftLanguageMode(.v6),
        .enableUpcomingFeature("ExistentialAny"),
    ] + (ProcessInfo.processInfo.environment["BRIM_STRICT"] == "1" ? [.treatAllWarnings(as: .error)] : [])

let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")

// The load programs know nothing of BrimFS but its HTTP interface, so they are built in seconds; bench-micro
// and bench-scale take as long as BrimFS itself.
let package = Package(
    name: "Benchmarks",
    dependencies: [
        .package(name: "BrimFS", path: ".."),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
    ],
    targets: [
        .target(name: "LoadKit", dependencies: [arguments], swiftSettings: strict),
        .executableTarget(name: "bench-create", dependencies: ["LoadKit", arguments], swiftSettings: strict),
        .executableTarget(name: "bench-raw", dependencies: ["LoadKit", arguments], swiftSettings: strict),
        .executableTarget(
            name: "bench-micro",
            // With the targets that it is built from.
            dependencies: [arguments, .product(name: "BrimMaster", package: "BrimFS")],
            swiftSettings: strict),
        .executableTarget(
            name: "bench-scale",
            dependencies: [
                "LoadKit", arguments, .product(name: "BrimMaster", package: "BrimFS"),
                .product(name: "BrimClient", package: "BrimFS"),
            ], swiftSettings: strict),
        .executableTarget(
            name: "bench-swarm",
            dependencies: ["LoadKit", arguments, .product(name: "BrimPlacement", package: "BrimFS")],
            swiftSettings: strict),
    ]
)
