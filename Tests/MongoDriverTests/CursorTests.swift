import MongoDriver
import Testing

@Suite struct CursorTests {
    @Test func severalBatches() async throws {
        try await TestMongo.withClient(MongoClientOptions(poolSize: 2)) { client, things in
            try await things.insertMany((0..<2500).map { ["_id": .int($0)] })
            let cursor = try await things.find([:], FindOptions(sort: ["_id": 1]))
            #expect(client.poolStatus.leased == 1)
            var sizes: [Int] = []
            var ids: [Int] = []
            while let batch = try await cursor.nextBatch() {
                sizes.append(batch.count)
                ids += batch.compactMap { $0["_id"]?.intValue }
            }
            #expect(sizes == [1000, 1500] || sizes == [1000, 1000, 500])
            #expect(ids == Array(0..<2500))
            #expect(client.poolStatus.leased == 0)
            #expect(try await cursor.nextBatch() == nil)
        }
    }

    @Test func asSequence() async throws {
        try await TestMongo.withClient(MongoClientOptions(poolSize: 1)) { client, things in
            try await things.insertMany((0..<25).map { ["_id": .int($0)] })
            var sum = 0
            for try await document in try await things.find([:], FindOptions(batchSize: 4)) {
                sum += document["_id"]?.intValue ?? 0
            }
            #expect(sum == 300)
            let grouped = try await things.aggregate([["$match": ["_id": ["$lt": 10]]]], AggregateOptions(batchSize: 3))
            #expect(try await grouped.toArray().count == 10)
            #expect(client.poolStatus.idle == 1)
        }
    }

    @Test func smallResultsGiveTheClientBack() async throws {
        try await TestMongo.withClient(MongoClientOptions(poolSize: 1)) { client, things in
            try await things.insertMany((0..<2000).map { ["_id": .int($0)] })
            let limited = try await things.find([:], FindOptions(limit: 1000))
            #expect(client.poolStatus.leased == 0)
            let small = try await things.find(["_id": ["$lt": 150]])
            #expect(client.poolStatus.leased == 0)
            #expect(try await limited.toArray().count == 1000)
            #expect(try await small.toArray().count == 150)
        }
    }

    /// Ten times `begin` would fill the pool, did `end` not give the client back.
    @Test func closingAndForgetting() async throws {
        try await TestMongo.withClient(MongoClientOptions(poolSize: 1, waitQueueTimeout: .seconds(20))) {
            client, things in
            try await things.insertMany((0..<100).map { ["_id": .int($0)] })
            for round in 0..<10 {
                let cursor = try await things.find([:], FindOptions(batchSize: 10))
                if round.isMultiple(of: 2) {
                    #expect(try await cursor.nextBatch()?.count == 10)
                    await cursor.close()
                    #expect(try await cursor.nextBatch() == nil)
                }
            }
            #expect(try await things.countDocuments() == 100)
            try await wait { client.poolStatus.idle == 1 }
            let open = try await client.database("admin").aggregate([
                ["$currentOp": ["idleCursors": true]],
                ["$match": ["type": "idleCursor", "ns": .string("\(things.database).things")]],
            ])
            #expect(try await open.toArray().isEmpty)
        }
    }

    @Test func aCursorKilledOnTheServer() async throws {
        try await TestMongo.withClient(MongoClientOptions(poolSize: 2)) { client, things in
            try await things.insertMany((0..<100).map { ["_id": .int($0)] })
            let cursor = try await things.find([:], FindOptions(batchSize: 10))
            let open = try await client.database("admin").aggregate([
                ["$currentOp": ["idleCursors": true]],
                ["$match": ["type": "idleCursor", "ns": .string("\(things.database).things")]],
            ]).toArray()
            let id = try #require(open.first?[path: ["cursor", "cursorId"]])
            _ = try await client.database(things.database).runCommand(["killCursors": "things", "cursors": [id]])
            #expect(try await cursor.nextBatch()?.count == 10)
            let error = await expectError(.cursorLost) { try await cursor.nextBatch() }
            #expect(error?.isRetryable == true)
            #expect(try await cursor.nextBatch() == nil)
            #expect(client.poolStatus.leased == 0)
        }
    }

    @Test func clientClosedMeanwhile() async throws {
        try await TestMongo.withClient(MongoClientOptions(poolSize: 1)) { client, things in
            try await things.insertMany((0..<100).map { ["_id": .int($0)] })
            let cursor = try await things.find([:], FindOptions(batchSize: 10))
            await client.close()
            #expect(try await cursor.nextBatch()?.count == 10)
            await expectError(.closed) { try await cursor.nextBatch() }
        }
    }
}
