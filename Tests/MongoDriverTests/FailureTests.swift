import BrimTestKit
import Foundation
import MongoDriver
import Testing

/// Failures that the server is told to make, and a server that goes away; on a mongod of their own.
@Suite(.serialized) struct FailureTests {
    static func withMongod(_ body: (PrivateMongod, MongoClient, MongoCollection) async throws -> Void) async throws {
        let mongod = try await PrivateMongod.start()
        let client = try MongoClient(
            uri: mongod.uri,
            options: MongoClientOptions(poolSize: 4, serverSelectionTimeout: .seconds(20), socketTimeout: .seconds(10)))
        do {
            try await body(mongod, client, client.database("failures").collection("things"))
        } catch {
            await client.close()
            await mongod.stop()
            throw error
        }
        await client.close()
        await mongod.stop()
        #expect(!FileManager.default.fileExists(atPath: mongod.directory.path))
    }

    static func fail(_ client: MongoClient, times: Int, _ commands: [String], _ how: BSONDocument) async throws {
        var data = how
        data["failCommands"] = .strings(commands)
        _ = try await client.database("admin").runCommand([
            "configureFailPoint": "failCommand", "mode": ["times": .int(times)], "data": .document(data),
        ])
    }

    @Test func failPoints() async throws {
        try await Self.withMongod { _, client, things in
            try await things.insertOne(["_id": 0])
            // Once: retried unseen, and applied once.
            try await Self.fail(client, times: 1, ["insert"], ["closeConnection": true])
            try await things.insertOne(["_id": 1])
            try await Self.fail(
                client, times: 1, ["update"], ["errorCode": 10107, "errorLabels": ["RetryableWriteError"]])
            #expect(try await things.updateOne(["_id": 1], ["$inc": ["n": 1]]).modified == 1)
            try await Self.fail(client, times: 1, ["findAndModify"], ["closeConnection": true])
            #expect(try await things.findOneAndUpdate(["_id": 1], ["$inc": ["n": 1]], returnNew: true)?["n"] == 2)
            try await Self.fail(client, times: 1, ["find"], ["closeConnection": true])
            #expect(try await things.findOne(["_id": 1])?["n"] == 2)
            try await Self.fail(client, times: 1, ["aggregate"], ["closeConnection": true])
            #expect(try await things.countDocuments() == 2)

            // For good: an error that says what is known.
            try await Self.fail(client, times: 2, ["insert"], ["closeConnection": true])
            let broken = await expectError(.unavailable) { try await things.insertOne(["_id": 2]) }
            #expect(broken?.isRetryable == true)
            #expect(broken?.isOutcomeUnknown == true)
            try await Self.fail(
                client, times: 1, ["insert"], ["writeConcernError": ["code": 64, "errmsg": "too slow"]])
            let unsure = await expectError(.writeConcern) { try await things.insertOne(["_id": 3]) }
            #expect(unsure?.isOutcomeUnknown == true)
            try await Self.fail(client, times: 2, ["find"], ["errorCode": 13435])
            await expectError(.notPrimary) { try await things.findOne() }
            try await Self.fail(client, times: 1, ["getMore"], ["errorCode": 43])
            let cursor = try await things.find([:], FindOptions(batchSize: 1))
            await expectError(.cursorLost) { try await cursor.toArray() }
            #expect(client.poolStatus.leased == 0)
        }
    }

    @Test func transactionFailPoints() async throws {
        try await Self.withMongod { _, client, things in
            try await things.insertOne(["_id": 0, "n": 0])
            let increment: @Sendable (MongoTransaction) throws -> Void = { tx in
                try tx.on(things).updateOne(["_id": 0], ["$inc": ["n": 1]])
            }
            // libmongoc repeats a commit once by itself; two failures need our own loop.
            try await Self.fail(client, times: 3, ["commitTransaction"], ["closeConnection": true])
            try await client.withTransaction { try increment($0) }
            try await Self.fail(client, times: 1, ["update"], ["closeConnection": true])
            try await client.withTransaction { try increment($0) }
            try await Self.fail(
                client, times: 2, ["commitTransaction"],
                ["errorCode": 251, "errorLabels": ["TransientTransactionError"]])
            try await client.withTransaction { try increment($0) }
            #expect(try await things.findOne()?["n"]?.intValue == 3)
        }
    }

    @Test func restart() async throws {
        try await Self.withMongod { mongod, client, things in
            try await things.insertOne(["_id": 1])
            let before = mongod.pid
            try await mongod.restart()
            #expect(mongod.pid != before)
            #expect(try await things.findOne() == ["_id": 1])
            try await things.insertOne(["_id": 2])
        }
    }

    /// The guard ends mongod when the process that started it is gone, however that ended.
    @Test func theGuard() async throws {
        let mongod = try await PrivateMongod.start()
        let pid = mongod.pid
        let directory = mongod.directory
        #expect(kill(pid, 0) == 0)
        mongod.dropLeash()
        try await wait { kill(pid, 0) != 0 && !FileManager.default.fileExists(atPath: directory.path) }
    }
}
