// swift-tools-version: 6.2
import Foundation
import PackageDescription

/// One array of settings for every target of this package.
///
/// `BRIM_STRICT=1` turns warnings into errors; `deploy/test` and CI set it, so that a compiler newer than ours
/// does not stop a user's build.
let strict: [SwiftSetting] =
    [
        .swiftLanguageMode(.v6),
        .enableUpcomingFeature("ExistentialAny"),
    ] + (ProcessInfo.processInfo.environment["BRIM_STRICT"] == "1" ? [.treatAllWarnings(as: .error)] : [])

let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let lifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let collections: Target.Dependency = .product(name: "Collections", package: "swift-collections")
let hummingbird: Target.Dependency = .product(name: "Hummingbird", package: "hummingbird")
let httpClient: Target.Dependency = .product(name: "AsyncHTTPClient", package: "async-http-client")
let nio: [Target.Dependency] = [
    .product(name: "NIOCore", package: "swift-nio"),
    .product(name: "NIOPosix", package: "swift-nio"),
    .product(name: "NIOHTTP1", package: "swift-nio"),
    .product(name: "NIOFoundationCompat", package: "swift-nio"),
]

let package = Package(
    name: "BrimFS",
    products: [
        .executable(name: "brim", targets: ["brim"]),
        .library(name: "BrimClient", targets: ["BrimClient"]),
        .library(name: "BrimMaster", targets: ["BrimMaster"]),
        .library(name: "BrimSlave", targets: ["BrimSlave"]),
        .library(name: "BrimPlacement", targets: ["BrimPlacement"]),
        // Loaded into daemons under test, and into nothing else.
        .library(name: "BrimFaults", type: .dynamic, targets: ["CFaults"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.1.0"),
        .package(url: "https://github.com/apple/swift-configuration", from: "1.0.0", traits: ["YAML"]),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.1.0"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.3.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.80.0"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.25.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.0.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.15.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.0.0"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.25.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.6.0"),
    ],
    targets: [
        .systemLibrary(
            name: "CLibMongoC", path: "CMongo/system", pkgConfig: "libmongoc-1.0",
            providers: [.apt(["libmongoc-dev", "libbson-dev"])]),
        .target(name: "CMongo", dependencies: ["CLibMongoC"], path: "CMongo", exclude: ["system"]),
        .systemLibrary(
            name: "CZlib", path: "Sources/CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .target(name: "CCRC32C"),
        .target(name: "CLinux"),
        .target(name: "CFaults"),
        .target(name: "MongoDriver", dependencies: ["CMongo", logging], swiftSettings: strict),
        .target(name: "BrimModel", dependencies: ["CCRC32C"], swiftSettings: strict),
        .target(name: "ChildProcesses", dependencies: ["CLinux", "BrimModel"], swiftSettings: strict),
        .target(
            name: "BrimPlacement", dependencies: ["BrimModel", .product(name: "Yams", package: "Yams")],
            swiftSettings: strict),
        .target(
            name: "BrimMetadata",
            dependencies: [
                "CZlib", "MongoDriver", "BrimModel", "BrimPlacement", logging,
                .product(name: "Crypto", package: "swift-crypto"),
            ], swiftSettings: strict),
        .target(
            name: "BrimWire",
            dependencies: [
                "BrimModel", hummingbird, httpClient, logging, lifecycle,
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "CryptoExtras", package: "swift-crypto"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
            ] + nio, swiftSettings: strict),
        .target(
            name: "BrimMaster",
            dependencies: [
                "BrimModel", "BrimPlacement", "BrimMetadata", "BrimWire", "ChildProcesses", "MongoDriver", hummingbird,
                logging, lifecycle,
            ] + nio, swiftSettings: strict),
        .target(
            name: "BrimSlave",
            dependencies: [
                "CLinux", "BrimModel", "BrimWire", hummingbird, logging, lifecycle, collections,
                .product(name: "GRDB", package: "GRDB.swift"),
            ] + nio, swiftSettings: strict),
        .target(name: "BrimClient", dependencies: ["BrimModel", "BrimWire", logging] + nio, swiftSettings: strict),
        .executableTarget(
            name: "brim",
            dependencies: [
                "CLinux", "BrimModel", "BrimMetadata", "BrimMaster", "BrimSlave", "BrimClient", "BrimWire", logging,
                lifecycle, .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Configuration", package: "swift-configuration"),
            ], swiftSettings: strict),
        .target(
            name: "BrimTestKit",
            dependencies: [
                "BrimModel", "BrimMetadata", "BrimClient", "BrimWire", "ChildProcesses", "MongoDriver", "BrimPlacement",
                logging,
            ] + nio,
            swiftSettings: strict),
        .target(
            name: "BrimSimulation",
            dependencies: [
                "BrimModel", "BrimPlacement", "BrimMetadata", "BrimWire", "BrimMaster", "BrimSlave", "BrimTestKit",
                logging, lifecycle, collections,
            ], swiftSettings: strict),
        .executableTarget(
            name: "brim-simulate",
            dependencies: ["BrimSimulation", .product(name: "ArgumentParser", package: "swift-argument-parser")],
            swiftSettings: strict),
        // How a program of one's own has a master in it, with policies in Swift.
        .executableTarget(
            name: "embedded-master",
            dependencies: [
                "BrimMaster", "BrimModel", "BrimPlacement", "BrimWire", logging, lifecycle,
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], path: "Examples/EmbeddedMaster", swiftSettings: strict),
        .testTarget(
            name: "MongoDriverTests", dependencies: ["MongoDriver", "CMongo", "BrimTestKit"], swiftSettings: strict),
        .testTarget(name: "BrimModelTests", dependencies: ["BrimModel"], swiftSettings: strict),
        .testTarget(
            name: "ChildProcessesTests", dependencies: ["ChildProcesses", "BrimModel"], swiftSettings: strict),
        .testTarget(name: "BrimPlacementTests", dependencies: ["BrimPlacement", "BrimModel"], swiftSettings: strict),
        .testTarget(
            name: "BrimMetadataTests", dependencies: ["BrimMetadata", "BrimTestKit"], exclude: ["Fixtures"],
            swiftSettings: strict),
        .testTarget(name: "BrimWireTests", dependencies: ["BrimWire", "BrimTestKit"], swiftSettings: strict),
        .testTarget(
            name: "BrimClientTests",
            dependencies: ["BrimClient", "BrimModel", "BrimWire", "brim", hummingbird, logging],
            swiftSettings: strict),
        .testTarget(name: "BrimMasterTests", dependencies: ["BrimMaster", "BrimTestKit"], swiftSettings: strict),
        .testTarget(
            name: "BrimSlaveTests", dependencies: ["BrimSlave", "BrimWire"], exclude: ["Fixtures"],
            swiftSettings: strict),
        .testTarget(
            name: "SimulationTests", dependencies: ["BrimSimulation", "BrimTestKit", "brim-simulate"],
            swiftSettings: strict),
        .testTarget(
            name: "FaultTests",
            dependencies: ["BrimTestKit", "BrimClient", "BrimModel", "BrimWire", "brim", logging] + nio,
            swiftSettings: strict),
        .testTarget(
            name: "ScenarioTests",
            dependencies: [
                "BrimTestKit", "BrimClient", "BrimMaster", "BrimMetadata", "BrimModel", "BrimSlave", "MongoDriver",
                "brim", "embedded-master",
                httpClient,
                .product(name: "Yams", package: "Yams"),
            ], swiftSettings: strict),
    ]
)
