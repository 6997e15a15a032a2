import BrimTestKit
import MongoDriver
import Synchronization
import Testing

@Suite struct WatchTests {
    /// What a stream gave.
    private final class Told: Sendable {
        private let steps = Mutex<[ChangeStreamStep]>([])

        func add(_ step: ChangeStreamStep) { steps.withLock { $0.append(step) } }

        var events: [BSONDocument] {
            steps.withLock { steps in
                steps.compactMap { step in if case .event(let event) = step { event } else { nil } }
            }
        }
        var ids: [Int] { events.compactMap { $0["documentKey"]?.documentValue?["_id"]?.intValue } }
        var token: BSONDocument? {
            steps.withLock { steps in
                switch steps.last {
                case .event(let event): event["_id"]?.documentValue
                case .quiet(let token): token
                case nil: nil
                }
            }
        }
    }

    private func watch(
        _ things: MongoCollection, _ pipeline: [BSONDocument] = [], after token: BSONDocument? = nil,
        until isEnough: @escaping @Sendable ([BSONDocument]) -> Bool = { _ in false }
    ) async throws -> Told {
        let told = Told()
        let options = WatchOptions(resumeAfter: token, looksUpDocuments: true, maxAwait: .milliseconds(200))
        try await things.watch(pipeline, options) { step in
            told.add(step)
            if case .quiet = step { return false }
            return !isEnough(told.events)
        }
        return told
    }

    /// Goes on until it is ended; `begun` counts what came.
    private func watchForEver(_ things: MongoCollection, _ begun: Counter) -> Task<Void, any Error> {
        Task {
            try await things.watch([], WatchOptions(maxAwait: .milliseconds(50))) { _ in
                begun.increment()
                return true
            }
        }
    }

    @Test func eventsComeInOrderAndCanBeResumed() async throws {
        try await TestMongo.withCollection { things in
            try await things.insertOne(["_id": 0])
            let start = try #require(try await watch(things).token)
            try await things.insertMany((1...5).map { ["_id": .int($0)] })
            try await things.updateOne(["_id": 3], ["$set": ["x": 1]])
            _ = try await things.deleteOne(["_id": 4])
            let all = try await watch(things, after: start)
            #expect(all.ids == [1, 2, 3, 4, 5, 3, 4])
            #expect(all.events[5]["fullDocument"]?.documentValue?["x"] == 1, "an update tells the document")
            let two = try await watch(things, after: start) { $0.count == 2 }
            #expect(two.ids == [1, 2])
            #expect(try await watch(things, after: two.token).ids == [3, 4, 5, 3, 4])
            #expect(try await watch(things, after: all.token).ids == [])
            let deletions: [BSONDocument] = [["$match": ["operationType": "delete"]]]
            #expect(try await watch(things, deletions, after: start).ids == [4])
        }
    }

    @Test func aTokenOfNoStreamIsRefused() async throws {
        try await TestMongo.withCollection { things in
            try await things.insertOne(["_id": 0])
            await expectError(.command) { try await watch(things, after: ["_data": "FFFF"]) }
            // The thread is as good as before.
            #expect(try await things.countDocuments() == 1)
        }
    }

    @Test func aCancelledWatchEndsAndGivesItsClientBack() async throws {
        try await TestMongo.withClient(MongoClientOptions(poolSize: 1)) { client, things in
            try await things.insertOne(["_id": 0])
            let begun = Counter()
            let watching = watchForEver(things, begun)
            try await wait { begun.value > 1 }
            #expect(client.poolStatus.busy == 1)
            watching.cancel()
            await expectError(.cancelled) { try await watching.value }
            #expect(try await things.countDocuments() == 1)
        }
    }

    @Test func closingTheClientEndsAWatch() async throws {
        let client = try MongoClient(uri: try await PrivateMongod.shared().uri)
        let database = PrivateMongod.freshDatabaseName("driver")
        let things = client.database(database).collection("things")
        try await things.insertOne(["_id": 0])
        let begun = Counter()
        let watching = watchForEver(things, begun)
        try await wait { begun.value > 1 }
        await client.close()
        await expectError(.closed) { try await watching.value }
        let other = try MongoClient(uri: try await PrivateMongod.shared().uri)
        try await other.database(database).drop()
        await other.close()
    }
}
