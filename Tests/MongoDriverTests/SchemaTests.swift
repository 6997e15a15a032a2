import MongoDriver
import Testing

@Suite struct SchemaTests {
    @Test func validator() async throws {
        try await TestMongo.withDatabase { database in
            try await database.createCollection(
                "files",
                validator: [
                    "$jsonSchema": [
                        "bsonType": "object", "required": ["k"], "properties": ["k": ["bsonType": "long"]],
                    ],
                    "$expr": ["$eq": ["$surplus", ["$subtract": ["$k", "$n"]]]],
                ])
            let files = database.collection("files")
            try await files.insertOne(["_id": 1, "k": 3, "n": 1, "surplus": 2])
            let error = await expectError(.validationFailed) { try await files.insertOne(["_id": 2, "k": "x"]) }
            #expect(error?.writeErrors.first?.details != nil)
            #expect(error?.isRetryable == false)
            await expectError(.validationFailed) { try await files.updateOne(["_id": 1], ["$set": ["surplus": 7]]) }
            await expectError(.validationFailed) {
                try await files.findOneAndUpdate(["_id": 1], ["$set": ["surplus": 7]])
            }
            await expectError(.alreadyExists) { try await database.createCollection("files") }
            try await database.collMod("files", ["validator": [:]])
            try await files.insertOne(["_id": 2, "k": "x"])
        }
    }

    @Test func indexes() async throws {
        try await TestMongo.withCollection { things in
            let models = [
                IndexModel(
                    ["parent": 1, "name": 1], unique: true, partialFilterExpression: ["state": "live"]),
                IndexModel(["a": -1], name: "by a"),
            ]
            try await things.createIndexes(models)
            try await things.createIndexes(models)
            try await things.createIndexes([])
            let indexes = try await things.listIndexes()
            #expect(indexes.map { $0["name"]?.stringValue } == ["_id_", "parent_1_name_1", "by a"])
            #expect(indexes[1]["unique"] == true)
            #expect(indexes[1]["partialFilterExpression"] == ["state": "live"])
            try await things.insertOne(["parent": 1, "name": "x", "state": "live"])
            try await things.insertOne(["parent": 1, "name": "x", "state": "old"])
            let error = await expectError(.duplicateKey) {
                try await things.insertOne(["parent": 1, "name": "x", "state": "live"])
            }
            #expect(error?.writeErrors.first?.keyValue == ["parent": 1, "name": "x"])
            await expectError(.command) { try await things.createIndexes([IndexModel(["b": 1], name: "by a")]) }
            try await things.dropIndex("by a")
            #expect(try await things.listIndexes().count == 2)
        }
    }

    @Test func explain() async throws {
        try await TestMongo.withCollection { things in
            try await things.createIndexes([IndexModel(["a": 1], name: "by a")])
            try await things.insertMany((0..<50).map { ["a": .int($0)] })
            let find = try await things.explainFind(["a": ["$gte": 45]], FindOptions(sort: ["a": -1], limit: 3))
            #expect(find[path: ["executionStats", "totalKeysExamined"]]?.intValue == 3)
            #expect("\(find)".contains("by a"))
            let aggregate = try await things.explainAggregate([["$match": ["a": 7]]], verbosity: .queryPlanner)
            #expect("\(aggregate)".contains("IXSCAN"))
        }
    }

    @Test func views() async throws {
        try await TestMongo.withDatabase { database in
            let things = database.collection("things")
            try await things.insertMany([["_id": 1, "a": 1], ["_id": 2, "a": 2]])
            try await database.createView("large", on: "things", pipeline: [["$match": ["a": ["$gt": 1]]]])
            let large = database.collection("large")
            #expect(try await large.find().toArray() == [["_id": 2, "a": 2]])
            try await database.collMod("large", ["viewOn": "things", "pipeline": [["$match": ["a": 1]]]])
            #expect(try await large.find().toArray() == [["_id": 1, "a": 1]])
            let views = try await database.listCollections(filter: ["type": "view"])
            #expect(views.map { $0["name"] } == ["large"])
            #expect(views.first?[path: ["options", "viewOn"]] == "things")
            try await large.drop()
            try await large.drop()
            #expect(try await database.listCollections(filter: ["type": "view"]).isEmpty)
        }
    }

    @Test func commands() async throws {
        try await TestMongo.withDatabase { database in
            #expect(try await database.runCommand(["ping": 1])["ok"]?.doubleValue == 1)
            let error = await expectError(.command) { try await database.runCommand(["noSuchThing": 1]) }
            #expect(error?.codeName == "CommandNotFound")
            await expectError(.invalidArgument) { try await database.runCommand([:]) }
            let documents = try await database.aggregate([["$documents": [["a": 1], ["a": 2]]]])
            #expect(try await documents.toArray() == [["a": 1], ["a": 2]])
        }
    }
}
