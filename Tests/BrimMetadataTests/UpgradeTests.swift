import BrimModel
import BrimTestKit
import Foundation
import MongoDriver
import Synchronization
import Testing

@testable import BrimMetadata

/// Databases of other schema versions. There is only one version so far, so the steps are those of the tests.
@Suite struct UpgradeTests {
    /// Counts what a step is given.
    private final class Tally: Sendable {
        let runs = Mutex(0)
        let documents = Mutex<[Int64]>([])
    }

    private struct Broken: Error {}

    /// Enough for several batches.
    private static let count: Int64 = 1201

    private static func fill(_ store: MongoMetadataStore) async throws {
        try await store.collections.events.insertMany(
            (1...count).map { number -> BSONDocument in
                ["_id": .int64(number), "file": .int64(number), "kind": "written", "at": .date(milliseconds: 0)]
            })
    }

    /// From 1 to 2: each event gets a mark. `fault` is asked before each batch.
    private static func marking(_ tally: Tally, fault: @escaping @Sendable (Int) throws -> Void = { _ in }) -> Migration
    {
        Migration(from: 1, name: "mark events") { run in
            tally.runs.withLock { $0 += 1 }
            var batches = 0
            try await run.forEachBatch(of: "events") { documents in
                batches += 1
                try fault(batches)
                tally.documents.withLock { $0 += documents.compactMap { $0["_id"]?.int64Value } }
                return documents.map { .updateOne(["_id": $0["_id"] ?? .null], ["$set": ["mark": "second"]]) }
            }
        }
    }

    /// From 2 to 3: the mark is another one.
    private static let renaming = Migration(from: 2, name: "rename marks") { run in
        try await run.forEachBatch(of: "events", where: ["mark": "second"]) { documents in
            documents.map { .updateOne(["_id": $0["_id"] ?? .null], ["$set": ["mark": "third"]]) }
        }
    }

    /// A master of a later version, on the same database.
    private static func later(_ store: MongoMetadataStore, _ version: Int64, _ steps: [Migration]) -> MongoMetadataStore
    {
        MongoMetadataStore(
            client: store.client, database: store.database.name,
            history: SchemaHistory(version: version, migrations: steps))
    }

    private static func version(_ store: MongoMetadataStore) async throws -> Int64? {
        try await store.collections.settings.findOne(["_id": "schemaVersion"])?["value"]?.int64Value
    }

    private static func marks(_ store: MongoMetadataStore, _ mark: String) async throws -> Int64 {
        Int64(try await store.collections.events.countDocuments(["mark": .string(mark)]))
    }

    private static func refusal(
        _ code: BrimError.Code, _ store: MongoMetadataStore, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> BrimError {
        let error = await #expect(throws: BrimError.self, sourceLocation: sourceLocation) {
            _ = try await store.prepare(passwordProof: "proof")
        }
        #expect(error?.code == code, "\(String(describing: error))", sourceLocation: sourceLocation)
        return try #require(error)
    }

    @Test func stepsAreDoneInTheirOrder() async throws {
        try await TestStore.withMongo { store in
            try await Self.fill(store)
            let tally = Tally()
            let swarm = try await Self.later(store, 3, [Self.renaming, Self.marking(tally)])
                .prepare(passwordProof: "proof")
            #expect(try await store.collections.settings.findOne(["_id": "swarm"])?["swarm"] == .string(swarm))
            #expect(try await Self.version(store) == 3)
            #expect(try await Self.marks(store, "third") == Self.count)
            #expect(tally.runs.withLock { $0 } == 1)
            // Nothing of it is left lying about, and nothing is done again.
            #expect(try await store.collections.settings.findOne(["_id": "migration"]) == nil)
            #expect(try await store.collections.leases.findOne(["_id": "maintenance"]) == nil)
            _ = try await Self.later(store, 3, [Self.renaming, Self.marking(tally)]).prepare(passwordProof: "proof")
            #expect(tally.runs.withLock { $0 } == 1)
            // The former masters are refused from now on.
            _ = try await Self.refusal(.unsupported, store)
        }
    }

    @Test func newDatabasesAreOfTheLatestVersion() async throws {
        try await TestStore.withEmptyMongo { store in
            let tally = Tally()
            _ = try await Self.later(store, 3, [Self.marking(tally), Self.renaming]).prepare(passwordProof: "proof")
            #expect(try await Self.version(store) == 3)
            #expect(tally.runs.withLock { $0 } == 0)
        }
    }

    @Test func oneOfSeveralMastersUpgrades() async throws {
        try await TestStore.withMongo { store in
            try await Self.fill(store)
            let tally = Tally()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<4 {
                    let master = Self.later(store, 3, [Self.marking(tally), Self.renaming])
                    group.addTask {
                        while true {
                            do {
                                _ = try await master.prepare(passwordProof: "proof")
                                return
                            } catch let error as BrimError where error.code == .unavailable && error.retryable {
                                // As a master does: it waits until the other one is done.
                                try await Task.sleep(for: .milliseconds(20))
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(tally.runs.withLock { $0 } == 1)
            #expect(tally.documents.withLock { $0 } == Array(1...Self.count))
            #expect(try await Self.marks(store, "third") == Self.count)
        }
    }

    @Test func whatWasBrokenOffGoesOnWhereItWas() async throws {
        try await TestStore.withMongo { store in
            try await Self.fill(store)
            let (first, second) = (Tally(), Tally())
            await #expect(throws: BrimError.self) {
                _ = try await Self.later(store, 2, [Self.marking(first) { if $0 == 3 { throw Broken() } }])
                    .prepare(passwordProof: "proof")
            }
            #expect(first.documents.withLock { $0.count } == 1000)
            #expect(try await Self.version(store) == 1)
            #expect(try await Self.marks(store, "second") == 1000)
            _ = try await Self.later(store, 2, [Self.marking(second)]).prepare(passwordProof: "proof")
            #expect(second.documents.withLock { $0 } == Array(1001...Self.count))
            #expect(try await Self.marks(store, "second") == Self.count)
            #expect(try await Self.version(store) == 2)
        }
    }

    /// Whoever was killed in the middle has the lock until it runs out by the database's clock; others wait.
    @Test func theLockOfADeadMasterRunsOut() async throws {
        try await TestStore.withMongo { store in
            let leases = store.collections.leases
            try await leases.insertOne([
                "_id": "maintenance", "holder": "dead", "purpose": "an upgrade of its documents",
                "expires": .date(Timestamp(seconds: Timestamp.now.seconds + 3600, nanoseconds: 0)),
            ])
            let later = Self.later(store, 2, [Self.marking(Tally())])
            #expect(try await Self.refusal(.unavailable, later).retryable)
            _ = try await leases.updateOne(["_id": "maintenance"], ["$set": ["expires": .date(milliseconds: 1000)]])
            _ = try await later.prepare(passwordProof: "proof")
            #expect(try await Self.version(store) == 2)
        }
    }

    /// A step that was held up for so long that somebody else has begun does not write any more.
    @Test func whoHasLostTheLockStops() async throws {
        try await TestStore.withMongo { store in
            try await Self.fill(store)
            let leases = store.collections.leases
            let step = Migration(from: 1, name: "mark events") { run in
                _ = try await leases.updateOne(["_id": "maintenance"], ["$set": ["holder": "another"]])
                try await run.forEachBatch(of: "events") { documents in
                    documents.map { .updateOne(["_id": $0["_id"] ?? .null], ["$set": ["mark": "second"]]) }
                }
            }
            _ = try await Self.refusal(.conflict, Self.later(store, 2, [step]))
            #expect(try await Self.marks(store, "second") == 0)
            #expect(try await Self.version(store) == 1)
            #expect(try await leases.findOne(["_id": "maintenance"])?["holder"] == "another")
        }
    }

    @Test func mastersOfTheOlderVersionMustEndFirst() async throws {
        try await TestStore.withMongo { store in
            _ = try await store.meetMasters(MasterHello(id: "old", url: "http://m1:4242", version: "0.0"))
            let later = Self.later(store, 2, [Self.marking(Tally())])
            let error = try await Self.refusal(.unavailable, later)
            #expect(error.message.contains("http://m1:4242") && error.retryable)
            #expect(try await Self.version(store) == 1)
            try await store.leaveMasters("old")
            _ = try await later.prepare(passwordProof: "proof")
            #expect(try await Self.version(store) == 2)
        }
    }

    @Test func versionsWithoutAWayAreRefused() async throws {
        try await TestStore.withMongo { store in
            // Before the first step is done.
            let tally = Tally()
            _ = try await Self.refusal(.unsupported, Self.later(store, 3, [Self.marking(tally)]))
            #expect(tally.runs.withLock { $0 } == 0)
            for value: BSONValue in [0, -1, "one", .double(1.5)] {
                _ = try await store.collections.settings.updateOne(
                    ["_id": "schemaVersion"], ["$set": ["value": value]])
                _ = try await Self.refusal(.corrupt, store)
            }
        }
    }

    /// Each version is reached from the one before.
    @Test func theHistoryHasNoGaps() {
        let history = SchemaHistory.current
        #expect(history.migrations.map(\.from).sorted() == Array(1..<history.version))
        #expect(Set(history.migrations.map(\.name)).count == history.migrations.count)
    }
}
