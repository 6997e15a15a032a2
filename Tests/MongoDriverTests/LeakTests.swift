import BrimTestKit
import CMongo
import MongoDriver
import Testing

/// Whatever an operation came to, libmongoc and libbson have freed as much as they allocated.
///
/// In a process of its own: there the counting begins before the first allocation, and no other test allocates.
@Suite struct LeakTests {
    @Test func nothingIsKept() async throws {
        let mongod = try await PrivateMongod.start()
        let uri = mongod.uri
        await #expect(processExitsWith: .success) { [uri = uri as String] in
            cmongo_count_allocations()
            var counts: [Int64] = []
            for _ in 0..<4 {
                try await LeakTests.work(uri, rounds: 30)
                counts.append(cmongo_live_allocations())
            }
            // One thing kept per operation would be hundreds each time; what is made once for all is there from the first.
            #expect(counts.allSatisfy { $0 <= counts[0] + 20 })
            #expect(counts[0] < 100)
        }
        await mongod.stop()
    }

    /// The counting itself: what is kept is seen.
    @Test func aLeakIsSeen() async throws {
        await #expect(processExitsWith: .success) {
            cmongo_count_allocations()
            var reply = cmongo_reply()
            var options = cmongo_pool_options()
            options.size = 1
            let pool = "mongodb://127.0.0.1:1".withCString { uri in
                "test".withCString { name in
                    options.application_name = name
                    return cmongo_pool_new(uri, &options, &reply)
                }
            }
            let open = cmongo_live_allocations()
            cmongo_pool_free(pool)
            #expect(cmongo_live_allocations() < open)
        }
    }

    /// A client is opened, used in every way that the driver has, and closed.
    private static func work(_ uri: String, rounds: Int) async throws {
        let client = try MongoClient(uri: uri, options: MongoClientOptions(poolSize: 2))
        let database = client.database("leaks")
        let things = database.collection("things")
        try? await database.drop()
        for round in 0..<rounds {
            let documents = (0..<5).map { ["_id": .int(round * 5 + $0), "n": .int($0)] as BSONDocument }
            _ = try await things.insertMany(documents)
            await expectFailure { try await things.insertOne(documents[0]) }
            try await things.updateMany(["n": ["$gte": 3]], ["$inc": ["n": 1]])
            await expectFailure { try await things.updateOne([:], ["$nonsense": ["n": 1]]) }
            _ = try await things.findOneAndUpdate(["_id": .int(round)], ["$set": ["s": "text"]], returnNew: true)
            await expectFailure { try await things.findOneAndUpdate([:], ["$nonsense": ["n": 1]]) }
            _ = try await things.find([:], FindOptions(sort: ["_id": 1], batchSize: 2)).toArray()
            let abandoned = try await things.find([:], FindOptions(batchSize: 2))
            _ = try await abandoned.nextBatch()
            await abandoned.close()
            await expectFailure { try await things.find(["$nonsense": 1]).toArray() }
            _ = try await things.aggregate([["$group": ["_id": "$n", "count": ["$sum": 1]]]]).toArray()
            await expectFailure { try await database.runCommand(["nonsense": 1]) }
            try await client.withTransaction { transaction in
                _ = try transaction.on(things).updateOne(["_id": .int(round)], ["$inc": ["n": 1]])
            }
            await expectFailure {
                try await client.withTransaction { transaction in
                    _ = try transaction.on(things).updateOne(["_id": .int(round)], ["$inc": ["n": 1]])
                    throw Refusal()
                }
            }
        }
        await client.close()
    }

    private struct Refusal: Error {}

    private static func expectFailure<T>(_ body: () async throws -> T) async {
        await #expect(throws: (any Error).self) { _ = try await body() }
    }
}
