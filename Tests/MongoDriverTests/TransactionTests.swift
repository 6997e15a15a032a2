import Foundation
import Testing

@testable import MongoDriver

@Suite struct TransactionTests {
    struct Refusal: Error {}

    @Test func commit() async throws {
        try await TestMongo.withCollection { things in
            try await things.insertOne(["_id": 0])
            let count = try await things.client.withTransaction { tx in
                let inside = tx.on(things)
                try inside.insertMany([["_id": 1, "a": 1], ["_id": 2, "a": 1]])
                #expect(try inside.updateMany(["a": 1], ["$inc": ["a": 1]]).modified == 2)
                #expect(try inside.updateOne(["_id": 1], [["$set": ["b": "$a"]]]).modified == 1)
                #expect(try inside.findOne(["_id": 1]) == ["_id": 1, "a": 2, "b": 2])
                #expect(try inside.find([:], FindOptions(sort: ["_id": -1])).map { $0["_id"] } == [2, 1, 0])
                #expect(try inside.aggregate([["$match": ["a": 2]], ["$count": "n"]]).first?["n"]?.intValue == 2)
                #expect(try inside.distinct("a") == [2])
                #expect(try inside.findOneAndUpdate(["_id": 2], ["$set": ["a": 5]], returnNew: true)?["a"] == 5)
                #expect(try inside.findOneAndDelete(["_id": 0]) != nil)
                #expect(try inside.bulkWrite([.insertOne(["_id": 3]), .deleteOne(["_id": 1])]).deleted == 1)
                #expect(try inside.replaceOne(["_id": 3], ["c": 1]).matched == 1)
                return try inside.countDocuments()
            }
            #expect(count == 2)
            #expect(try await things.find().toArray() == [["_id": 2, "a": 5], ["_id": 3, "c": 1]])
        }
    }

    @Test func manyDocumentsInBatches() async throws {
        try await TestMongo.withCollection { things in
            try await things.insertMany((0..<5000).map { ["_id": .int($0)] })
            let count = try await things.client.withTransaction { tx in
                try tx.on(things).find([:], FindOptions(batchSize: 700)).count
            }
            #expect(count == 5000)
        }
    }

    @Test func abort() async throws {
        try await TestMongo.withCollection { things in
            try await things.insertOne(["_id": 0])
            await #expect(throws: Refusal.self) {
                try await things.client.withTransaction { tx in
                    try tx.on(things).insertOne(["_id": 1])
                    throw Refusal()
                }
            }
            #expect(try await things.countDocuments() == 1)
            await expectError(.duplicateKey) {
                try await things.client.withTransaction { tx in
                    try tx.on(things).insertMany([["_id": 1], ["_id": 0]])
                }
            }
            #expect(try await things.countDocuments() == 1)
            #expect(things.client.poolStatus.leased == 0)
        }
    }

    /// Each reads, then writes what it has read plus one: a lost update would make the sum too small.
    @Test func conflictsAreRetried() async throws {
        try await TestMongo.withCollection { things in
            try await things.insertOne(["_id": 1, "n": 0])
            let attempts = Counter()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<2 {
                    group.addTask {
                        for _ in 0..<50 {
                            try await things.client.withTransaction { tx in
                                attempts.increment()
                                let counter = tx.on(things)
                                let n = try counter.findOne(["_id": 1])?["n"]?.intValue ?? 0
                                try counter.updateOne(["_id": 1], ["$set": ["n": .int(n + 1)]])
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await things.findOne()?["n"]?.intValue == 100)
            print("TransactionTests: \(attempts.value) attempts for 100 increments")
        }
    }

    /// The conflict is made certain: another writes between the first attempt's read and write.
    @Test func aConflictStartsTheBodyAnew() async throws {
        try await TestMongo.withCollection { things in
            try await things.insertOne(["_id": 1, "n": 0])
            let attempts = Counter()
            let disturbed = Counter()
            let seen = try await things.client.withTransaction { tx in
                attempts.increment()
                let counter = tx.on(things)
                let n = try counter.findOne(["_id": 1])?["n"]?.intValue ?? 0
                if attempts.value == 1 {
                    Task {
                        try await things.updateOne(["_id": 1], ["$set": ["n": 10]])
                        disturbed.increment()
                    }
                    while disturbed.value == 0 { Thread.sleep(forTimeInterval: 0.001) }
                }
                try counter.updateOne(["_id": 1], ["$inc": ["n": 1]])
                return n
            }
            #expect(seen == 10)
            #expect(attempts.value == 2)
            #expect(try await things.findOne()?["n"]?.intValue == 11)
        }
    }

    @Test func theTimeLimitEndsRetries() async throws {
        try await TestMongo.withCollection { things in
            try await things.insertOne(["_id": 1])
            let started = ContinuousClock.now
            let error = await expectError(.writeConflict) {
                try await things.client.withTransaction(MongoTransactionOptions(timeLimit: .milliseconds(200))) { _ in
                    throw Conflict.always
                }
            }
            #expect(error?.isRetryable == true)
            #expect(ContinuousClock.now - started < .seconds(10))
        }
    }

    /// A real conflict on every attempt would need a second writer that never rests.
    enum Conflict {
        static let always = MongoError(
            .writeConflict, "made up", code: 112, labels: [MongoError.Label.transientTransaction])
    }
}
