import MongoDriver
import Testing

@Suite struct CollectionTests {
    struct Thing: Codable, Equatable, Sendable {
        var _id: Int
        var name: String
    }

    @Test func insertAndFind() async throws {
        try await TestMongo.withCollection { things in
            #expect(try await things.findOne() == nil)
            let made = try await things.insertOne(["name": "a"])
            #expect(made.objectIDValue != nil)
            #expect(try await things.findOne(["_id": made]) == ["_id": made, "name": "a"])
            let ids = try await things.insertMany([["_id": 1, "name": "b"], ["_id": 2, "name": "c"]])
            #expect(ids == [1, 2])
            #expect(try await things.insertMany([BSONDocument]()) == [])
            let names = try await things.find([:], FindOptions(sort: ["name": -1], limit: 2, projection: ["_id": 0]))
            #expect(try await names.toArray() == [["name": "c"], ["name": "b"]])
            #expect(try await things.countDocuments(["name": ["$gt": "a"]]) == 2)
            #expect(try await things.countDocuments([:], CountOptions(limit: 2)) == 2)
            #expect(try await things.estimatedDocumentCount() == 3)
            #expect(try await things.distinct("name", ["name": ["$ne": "a"]]) == ["b", "c"])
        }
    }

    @Test func codable() async throws {
        try await TestMongo.withCollection { things in
            try await things.insertOne(Thing(_id: 1, name: "a"))
            try await things.insertMany([Thing(_id: 2, name: "b"), Thing(_id: 3, name: "c")])
            #expect(try await things.findOne(["_id": 2], as: Thing.self) == Thing(_id: 2, name: "b"))
            let found = try await things.find(["_id": ["$gte": 2]], FindOptions(sort: ["_id": 1]), as: Thing.self)
            #expect(try await found.toArray().map(\.name) == ["b", "c"])
            let changed = try await things.findOneAndUpdate(
                ["_id": 1], ["$set": ["name": "z"]], returnNew: true, as: Thing.self)
            #expect(changed == Thing(_id: 1, name: "z"))
            let aggregated = try await things.aggregate([["$sort": ["name": -1]], ["$limit": 1]], as: Thing.self)
            #expect(try await aggregated.toArray() == [Thing(_id: 1, name: "z")])
        }
    }

    @Test func aDocumentThatDoesNotDecodeIsAnError() async throws {
        try await TestMongo.withCollection { things in
            try await things.insertOne(["_id": 1])
            await #expect(throws: DecodingError.self) { try await things.findOne(["_id": 1], as: Thing.self) }
            let cursor = try await things.find(as: Thing.self)
            await #expect(throws: DecodingError.self) { try await cursor.toArray() }
        }
    }

    @Test func updates() async throws {
        try await TestMongo.withCollection { things in
            try await things.insertMany([["_id": 1, "a": 1], ["_id": 2, "a": 1]])
            #expect(
                try await things.updateOne(["a": 1], ["$inc": ["a": 1]])
                    == UpdateResult(matched: 1, modified: 1, upsertedID: nil))
            #expect(
                try await things.updateMany([:], ["$set": ["b": true]])
                    == UpdateResult(matched: 2, modified: 2, upsertedID: nil))
            #expect(
                try await things.updateOne(["_id": 2], ["$set": ["b": true]])
                    == UpdateResult(matched: 1, modified: 0, upsertedID: nil))
            #expect(
                try await things.updateOne(["_id": 9], ["$set": ["b": false]], upsert: true)
                    == UpdateResult(matched: 0, modified: 0, upsertedID: 9))
            #expect(try await things.replaceOne(["_id": 9], ["c": 1]).modified == 1)
            #expect(try await things.findOne(["_id": 9]) == ["_id": 9, "c": 1])
            #expect(try await things.deleteOne(["b": true]) == 1)
            #expect(try await things.deleteMany([:]) == 2)
            #expect(try await things.deleteOne([:]) == 0)
        }
    }

    @Test func pipelineUpdates() async throws {
        try await TestMongo.withCollection { things in
            try await things.insertMany([["_id": 1, "n": 3, "held": ["a", "b"]], ["_id": 2, "n": 1, "held": []]])
            let recount: MongoUpdate = [
                ["$set": ["k": ["$size": "$held"]]],
                ["$set": ["surplus": ["$subtract": ["$k", "$n"]]]],
            ]
            #expect(try await things.updateMany([:], recount).modified == 2)
            #expect(try await things.findOne(["_id": 1])?["surplus"]?.intValue == -1)
            let after = try await things.findOneAndUpdate(
                ["_id": 2], [["$set": ["held": ["$concatArrays": ["$held", ["c"]]]]]], returnNew: true,
                projection: ["held": 1])
            #expect(after == ["_id": 2, "held": ["c"]])
            let bulk = try await things.bulkWrite([.updateOne(["_id": 1], [["$unset": "k"]])])
            #expect(bulk.modified == 1)
            #expect(try await things.findOne(["_id": 1])?["k"] == nil)
        }
    }

    @Test func findAndModify() async throws {
        try await TestMongo.withCollection { things in
            let increment: MongoUpdate = ["$inc": ["a": 1]]
            let made = try await things.findOneAndUpdate(["_id": 1], increment, upsert: true)
            #expect(made == nil)
            let before = try await things.findOneAndUpdate(["_id": 1], increment)
            #expect(before == ["_id": 1, "a": 1])
            let after = try await things.findOneAndUpdate(
                ["_id": 2], ["$inc": ["a": 5]], returnNew: true, upsert: true)
            #expect(after == ["_id": 2, "a": 5])
            let missing = try await things.findOneAndUpdate(["_id": 3], increment)
            #expect(missing == nil)
            let deleted = try await things.findOneAndDelete([:], sort: ["a": -1], projection: ["a": 1])
            #expect(deleted == ["_id": 2, "a": 5])
            let gone = try await things.findOneAndDelete(["_id": 2])
            #expect(gone == nil)
            #expect(try await things.find().toArray() == [["_id": 1, "a": 2]])
        }
    }

    @Test func optionsReachTheServer() async throws {
        try await TestMongo.withCollection { things in
            try await things.insertOne(["_id": 1, "list": [["a": 1, "b": 0], ["a": 2, "b": 0]]])
            try await things.updateOne(
                ["_id": 1], ["$set": ["list.$[x].b": 9]], UpdateOptions(arrayFilters: [["x.a": 2]]))
            #expect(try await things.findOne()?[path: ["list", "1", "b"]] == 9)
            #expect(try await things.findOne()?[path: ["list", "0", "b"]] == 0)
            try await things.updateOne(
                ["_id": 1], [["$set": ["v": "$$new"]]], UpdateOptions(letVariables: ["new": "x"]))
            try await things.findOneAndUpdate(
                ["_id": 1], [["$set": ["w": "$$new"]]], UpdateOptions(hint: "_id_", letVariables: ["new": "y"]))
            #expect(
                try await things.findOne([:], FindOptions(projection: ["v": 1, "w": 1])) == [
                    "_id": 1, "v": "x", "w": "y",
                ])
            let expression: BSONDocument = ["$expr": ["$eq": ["$v", "$$wanted"]]]
            #expect(try await things.findOne(expression, FindOptions(letVariables: ["wanted": "x"])) != nil)
            #expect(try await things.findOne(expression, FindOptions(letVariables: ["wanted": "y"])) == nil)
            await expectError(.command) { try await things.findOne([:], FindOptions(hint: "nowhere")) }
            await expectError(.command) { try await things.deleteOne([:], hint: "nowhere") }
            await expectError(.command) {
                try await things.updateOne([:], ["$set": ["a": 1]], UpdateOptions(hint: "nowhere"))
            }
            let slow: BSONDocument = ["$where": "sleep(2000) || true"]
            let error = await expectError(.timeout) {
                try await things.findOne(slow, FindOptions(maxTime: .milliseconds(50)))
            }
            #expect(error?.codeName == "MaxTimeMSExpired")
        }
    }

    @Test func bulk() async throws {
        try await TestMongo.withCollection { things in
            let result = try await things.bulkWrite([
                .insertOne(["_id": 1, "a": 1]),
                .insertOne(["_id": 2, "a": 1]),
                .updateOne(["_id": 1], ["$inc": ["a": 1]]),
                .updateMany([:], ["$inc": ["a": 1]]),
                .updateOne(["_id": 7], ["$set": ["a": 0]], upsert: true),
                .replaceOne(["_id": 8], ["b": 1], upsert: true),
                .deleteOne(["_id": 2]),
                .deleteMany(["_id": ["$gte": 100]]),
            ])
            #expect(
                result
                    == BulkWriteResult(
                        inserted: 2, matched: 3, modified: 3, deleted: 1, upserted: 2, upsertedIDs: [4: 7, 5: 8]))
            #expect(try await things.bulkWrite([]) == BulkWriteResult())
        }
    }

    @Test(arguments: [true, false])
    func bulkWithADuplicateKey(ordered: Bool) async throws {
        try await TestMongo.withCollection { things in
            try await things.insertOne(["_id": 5])
            let error = await expectError(.duplicateKey) {
                try await things.bulkWrite(
                    [
                        .insertOne(["_id": 1]), .updateOne(["_id": 5], ["$set": ["a": 1]]), .insertOne(["_id": 5]),
                        .insertOne(["_id": 2]), .insertOne(["_id": 1]),
                    ], ordered: ordered)
            }
            #expect(error?.code == 11000)
            #expect(error?.writeErrors.map(\.index) == (ordered ? [2] : [2, 4]))
            #expect(error?.writeErrors.first?.kind == .duplicateKey)
            #expect(error?.writeErrors.first?.keyValue == ["_id": 5])
            #expect(error?.partialResult?.inserted == (ordered ? 1 : 2))
            #expect(error?.partialResult?.modified == 1)
            #expect(error?.isRetryable == false)
            #expect(error?.isOutcomeUnknown == false)
            #expect(try await things.countDocuments() == (ordered ? 2 : 3))
        }
    }

    /// More than fits into one message to the server.
    @Test func largeBulk() async throws {
        try await TestMongo.withCollection { things in
            let filler = String(repeating: "x", count: 600)
            let ids = try await things.insertMany((0..<120_000).map { ["_id": .int($0), "filler": .string(filler)] })
            #expect(ids.count == 120_000)
            let error = await expectError(.duplicateKey) {
                try await things.insertMany((1..<110_000).map { ["_id": .int(-$0)] } + [["_id": 77]])
            }
            #expect(error?.writeErrors.map(\.index) == [109_999])
        }
    }

    @Test func refusedBeforeSending() async throws {
        try await TestMongo.withCollection { things in
            await expectError(.invalidArgument) { try await things.updateOne([:], ["a": 1]) }
            await expectError(.invalidArgument) { try await things.updateOne([:], .document([:])) }
            await expectError(.invalidArgument) { try await things.updateMany([:], .pipeline([])) }
            await expectError(.invalidArgument) { try await things.findOneAndUpdate([:], ["a": 1]) }
            await expectError(.invalidArgument) { try await things.replaceOne([:], ["$set": ["a": 1]]) }
            await expectError(.invalidArgument) { try await things.find([:], FindOptions(limit: -1)) }
            await expectError(.invalidArgument) { try await things.insertOne(["a\u{0}": 1]) }
        }
    }

    @Test func theServersErrors() async throws {
        try await TestMongo.withCollection { things in
            try await things.insertOne(["_id": 1])
            let error = await expectError(.command) { try await things.find(["$nonsense": 1]) }
            #expect(error?.code == 2)
            #expect(error?.codeName == "BadValue")
            #expect(error?.description.contains("$nonsense") == true)
            let duplicate = await expectError(.duplicateKey) { try await things.insertOne(["_id": 1]) }
            #expect(duplicate?.description.contains("code 11000 DuplicateKey") == true)
        }
    }
}
