import BrimModel
import BrimPlacement
import BrimTestKit
import Logging
import MongoDriver
import Testing

@testable import BrimMetadata

/// What is in the database itself, as people see it from a shell.
@Suite struct MongoSchemaTests {
    private static let server = "alpha"

    private static func write(_ name: String, n: Int? = nil, size: Int64 = 10) throws -> BlobCommit {
        var random = SystemRandomNumberGenerator()
        var ids = BlobIDGenerator(using: &random)
        return BlobCommit(
            request: "request of \(name)", place: EntryPlace(parent: .root, name: try EntryName(name)),
            blob: ids.next(seconds: 1_800_000_000), size: size, checksum: Checksum(crc32c: 5),
            replicas: [try ServerName(validating: server)], mode: 0o644,
            modified: Timestamp(seconds: 1, nanoseconds: 2), explicitN: n, policy: .standard(3))
    }

    private static func view() throws -> ServerView {
        let alpha: Set = [try ServerName(validating: server)]
        return ServerView(epoch: 1, counted: alpha, readable: alpha, up: alpha)
    }

    @Test func fileDocument() async throws {
        try await TestStore.withMongo { store in
            let write = try Self.write("song", n: 2)
            _ = try await store.commit([write], view: Self.view())
            let document = try #require(try await store.collections.files.findOne(["name": "song"]))
            #expect(
                document.keys == [
                    "_id", "state", "parent", "name", "type", "mode", "uid", "gid", "nlink", "created", "createdNanos",
                    "modified", "modifiedNanos", "changed", "changedNanos", "rev", "attributes", "version", "blob",
                    "size", "checksum", "request", "former", "n", "k", "surplus", "readable", "replicas", "policy",
                ])
            #expect(document["state"] == "live" && document["parent"] == 1 && document["type"] == "file")
            #expect(document["n"] == 2 && document["k"] == 1 && document["surplus"] == -1)
            #expect(document["readable"] == true && document["replicas"] == ["alpha"])
            #expect(document["blob"]?.objectIDValue?.hex == write.blob.description)
            #expect(document["checksum"] == "crc32c:00000005" && document["policy"] == "explicit")
            #expect(document["modified"] == .date(milliseconds: 1000) && document["modifiedNanos"] == 2)
        }
    }

    @Test func validatorsRefuseWhatDoesNotFit() async throws {
        try await TestStore.withMongo { store in
            _ = try await store.commit([Self.write("song")], view: Self.view())
            let files = store.collections.files
            // Both kinds of integer will do, a shell writes the short one.
            _ = try await files.updateOne(
                ["name": "song"], ["$set": ["n": .int32(1), "k": .int32(1), "surplus": .int32(0)]])
            let refused: [BSONDocument] = [
                ["k": 2], ["surplus": 1], ["n": 1.5], ["state": "dead"], ["replicas": "alpha"], ["size": -1],
                ["replicas": ["alpha", "alpha"]], ["readable": 1], ["blob": "0123"],
            ]
            for fields in refused {
                await #expect(throws: MongoError.self, "\(fields)") {
                    _ = try await files.updateOne(["name": "song"], ["$set": .document(fields)])
                }
            }
            await #expect(throws: MongoError.self) {
                _ = try await files.updateOne(["name": "song"], ["$unset": ["surplus": ""]])
            }
        }
    }

    @Test func severalMastersPrepareAtOnce() async throws {
        try await TestStore.withMongo { store in
            try await store.database.drop()
            let stores = (0..<4).map { _ in MongoMetadataStore(client: store.client, database: store.database.name) }
            let swarms = try await withThrowingTaskGroup(of: String.self) { group in
                for store in stores { group.addTask { try await store.prepare(passwordProof: "proof") } }
                return try await group.reduce(into: Set()) { $0.insert($1) }
            }
            #expect(swarms.count == 1)
            // Ids are reserved in blocks: no two masters give the same.
            let view = try Self.view()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (i, store) in stores.enumerated() {
                    group.addTask {
                        for j in 0..<10 {
                            _ = try await store.commit([Self.write("\(i)-\(j)")], view: view)[0].get()
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await store.list(.root, after: nil, limit: 100).count == 40)
        }
    }

    @Test func newerSchemaIsRefused() async throws {
        try await TestStore.withMongo { store in
            _ = try await store.collections.settings.updateOne(["_id": "schemaVersion"], ["$set": ["value": 2]])
            let error = await #expect(throws: BrimError.self) { _ = try await store.prepare(passwordProof: "proof") }
            #expect(error?.code == .unsupported)
        }
    }

    @Test func changedValidatorsAndViewsAreRenewed() async throws {
        try await TestStore.withMongo { store in
            try await store.database.collMod("files", ["validator": [:]])
            try await store.database.collMod("health", ["viewOn": "settings", "pipeline": []])
            _ = try await store.prepare(passwordProof: "proof")
            await #expect(throws: MongoError.self) { try await store.collections.files.insertOne(["_id": 77]) }
            #expect(try await store.database.collection("health").findOne()?["_id"] == "health")
        }
    }

    @Test func indexesThatOthersReplacedGo() async throws {
        try await TestStore.withMongo { store in
            let files = store.collections.files
            try await files.createIndexes([
                IndexModel(
                    ["replicas": 1, "surplus": -1, "_id": -1], name: "richest",
                    partialFilterExpression: ["type": "file"])
            ])
            func names() async throws -> [String] {
                try await files.listIndexes().compactMap { $0["name"]?.stringValue }
            }
            #expect(try await names().contains("richest"))
            for _ in 0..<2 { _ = try await store.prepare(passwordProof: "proof") }
            #expect(try await !names().contains("richest"))
            #expect(try await names().contains("copies"))
        }
    }

    @Test func viewsSayWhatTheStoreSays() async throws {
        try await TestStore.withMongo { store in
            let health = store.database.collection("health")
            let empty = try #require(try await health.findOne())
            #expect(
                empty["minSurplus"]?.isNull == true && empty["unreachable"] == 0 || empty["unreachable"] == .int32(0))
            #expect(try await store.database.collection("neediest").find().toArray().isEmpty)

            let alpha = try ServerName(validating: "alpha")
            _ = try await store.join(
                ServerHello(
                    name: alpha, id: "id", address: "a:1", zone: "z", version: "1", requestedQuota: 1000,
                    usage: ServerUsage(boot: "b", count: 0, used: 0, diskFree: 1000, files: 0)))
            var view = try Self.view()
            let bravo = try ServerName(validating: "bravo")
            view.counted.insert(bravo)
            var writes = try (1...9).map { try Self.write("f\($0)", n: 1 + $0 % 4, size: Int64($0)) }
            for i in 0..<5 { writes[i].replicas = [alpha, bravo] }
            writes[8].replicas = [try ServerName(validating: "delta")]
            _ = try await store.commit(writes, view: view)

            let row = try #require(try await health.findOne())
            let bounds = try #require(try await store.surplusBounds())
            #expect(row["minSurplus"]?.intValue == bounds.lowerBound)
            #expect(row["maxSurplus"]?.intValue == bounds.upperBound)
            let histogram = try await store.histogram()
            #expect(row["unreachable"]?.int64Value == histogram.unreachableFiles)
            let atRisk = histogram.levels.filter { $0.surplus < 0 }.reduce(0) { $0 + $1.files }
            #expect(row["filesAtRisk"]?.int64Value == atRisk && atRisk > 0)

            let brims: [Int64] = [9, 7]
            try await store.refreshViews(brims: brims, maxCopies: 16)
            let neediest = try await store.neediest(after: nil, limit: 99, brims: brims, maxCopies: 16)
            let neediestRows = try await store.database.collection("neediest").find().toArray()
            #expect(neediestRows.map { $0["_id"]?.int64Value } == neediest.map(\.id.rawValue))
            #expect(!neediest.isEmpty && neediestRows.allSatisfy { $0["name"] != nil && $0["surplus"] != nil })

            let richest = try await store.richest(on: alpha, minSurplus: .min, limit: 20)
            let richestRows = try await store.database.collection("richest").find(["server": "alpha"]).toArray()
            #expect(richestRows.map { $0["file"]?.int64Value } == richest.map(\.file.rawValue))
            #expect(!richest.isEmpty && richestRows.allSatisfy { $0["server"] == "alpha" })
        }
    }

    @Test func unreachableDatabaseIsUnavailable() async throws {
        var options = MongoClientOptions()
        options.serverSelectionTimeout = .milliseconds(300)
        let client = try MongoClient(uri: "mongodb://127.0.0.1:1/?replicaSet=none", options: options)
        let store = MongoMetadataStore(client: client)
        let error = await #expect(throws: BrimError.self) { _ = try await store.entry(.root) }
        #expect(error?.code == .unavailable && error?.retryable == true)
        await store.close()
        #expect(throws: BrimError.self) { try MongoMetadataStore.connect(uri: "nonsense") }
    }
}
