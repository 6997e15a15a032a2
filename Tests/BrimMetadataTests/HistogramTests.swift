import BrimModel
import BrimTestKit
import MongoDriver
import Testing

@testable import BrimMetadata

/// Counting files by surplus, on mongods of their own that are told to behave badly.
@Suite(.serialized) struct HistogramTests {
    private static let files = 400

    /// The server lets writers in after each step of the walk, and surplus jumps from one end of the index to the other.
    @Test func everyFileIsCountedOnceWhileSurplusChanges() async throws {
        let seed = UInt64.random(in: 0...(.max))
        print("HistogramTests seed \(seed)")
        try await Self.withStore { store, view in
            try await Self.command(store, ["setParameter": 1, "internalQueryExecYieldIterations": 1])
            let expected = Self.totals(try await store.histogram())
            #expect(expected == [Int64(Self.files), Int64(Self.files * (Self.files + 1) / 2)])
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    var random = SplitMix(seed: seed)
                    while !Task.isCancelled {
                        let picked = (0..<50).map { _ in Int64.random(in: 2...Int64(Self.files + 1), using: &random) }
                        let n = Int.random(in: 1...9, using: &random)
                        do {
                            try await store.collections.files.updateMany(
                                ["_id": ["$in": .array(picked.map { .int64($0) })]],
                                Pipelines.setting(["n": .int(n)], view: view))
                        } catch let error as MongoError where error.kind == .cancelled {
                            return
                        }
                    }
                }
                var levels: Set<Int> = []
                for _ in 0..<200 {
                    let histogram = try await store.histogram()
                    #expect(Self.totals(histogram) == expected)
                    levels.formUnion(histogram.levels.map(\.surplus))
                }
                group.cancelAll()
                try await group.waitForAll()
                #expect(levels.count > 1, "nothing changed while files were counted")
            }
        }
    }

    @Test func aLostSnapshotIsNoFailure() async throws {
        try await Self.withStore { store, _ in
            let histogram = try await store.histogram()
            // SnapshotTooOld, SnapshotUnavailable.
            for code in [239, 246] {
                try await Self.failNextAggregate(store, code)
                #expect(try await store.histogram() == histogram)
            }
            // Any other failure is one.
            try await Self.failNextAggregate(store, 50)
            let error = await #expect(throws: BrimError.self) { try await store.histogram() }
            #expect(error?.code == .timeout)
        }
    }

    /// A store with files of 1, 2, 3, … bytes, one copy each.
    private static func withStore(_ body: (MongoMetadataStore, ServerView) async throws -> Void) async throws {
        let mongod = try await PrivateMongod.start()
        do {
            try await TestStore.withMongo(on: mongod) { store in
                let alpha = try ServerName(validating: "alpha")
                let view = ServerView(epoch: 1, counted: [alpha], readable: [alpha], up: [alpha])
                var blobs = BlobIDGenerator()
                let writes = try (1...files).map { index in
                    BlobCommit(
                        request: "request \(index)",
                        place: EntryPlace(parent: .root, name: try EntryName("file \(index)")),
                        blob: blobs.next(seconds: 1_800_000_000), size: Int64(index), checksum: Checksum(crc32c: 1),
                        replicas: [alpha], mode: 0o644, modified: .now, explicitN: nil, policy: .standard(3),
                        attributes: [:],
                        precondition: .none)
                }
                for outcome in try await store.commit(writes, view: view) { _ = try outcome.get() }
                try await body(store, view)
            }
        } catch {
            await mongod.stop()
            throw error
        }
        await mongod.stop()
    }

    /// All files and their bytes.
    private static func totals(_ histogram: SurplusHistogram) -> [Int64] {
        [
            histogram.levels.reduce(histogram.unreachableFiles) { $0 + $1.files },
            histogram.levels.reduce(histogram.unreachableBytes) { $0 + $1.bytes },
        ]
    }

    private static func command(_ store: MongoMetadataStore, _ command: BSONDocument) async throws {
        _ = try await store.client.database("admin").runCommand(command)
    }

    private static func failNextAggregate(_ store: MongoMetadataStore, _ code: Int) async throws {
        try await command(
            store,
            [
                "configureFailPoint": "failCommand", "mode": ["times": 1],
                "data": ["failCommands": ["aggregate"], "errorCode": .int(code)],
            ])
    }
}
