import BrimMetadata
import BrimModel
import Foundation
import Logging
import MongoDriver

/// Fills a database with the documents of a swarm.
struct Filler {
    /// Of each server, in bytes: more than all that is stored.
    static let quota: Int64 = 1 << 50
    private static let batch = 2000

    let swarm: SampleSwarm
    let uri: String
    let database: String
    let logger: Logger

    /// Collections, servers that are up, and all files. Indexes are made when all documents are there, as MongoDB makes them
    /// faster then.
    func fill(proof: String) async throws {
        let store = try MongoMetadataStore.connect(uri: uri, database: database, logger: logger)
        _ = try await store.prepare(passwordProof: proof)
        for name in swarm.servers {
            _ = try await store.join(
                ServerHello(
                    name: name, id: Pulse.id(of: name), address: Pulse.address, zone: "zone", version: "1",
                    requestedQuota: Self.quota, usage: Pulse.usage))
            _ = try await store.setState(name, from: .down, to: .up, term: 0)
        }
        _ = try await store.publishView(counted: swarm.servers, readable: swarm.servers, up: swarm.servers, term: 0)
        let client = try MongoClient(uri: uri, options: Self.patient, logger: logger)
        try await fill(client.database(database))
        _ = try await store.prepare(passwordProof: proof)
        await client.close()
        await store.close()
    }

    private static let patient = MongoClientOptions(poolSize: 4, socketTimeout: .seconds(3600))

    private func fill(_ database: MongoDatabase) async throws {
        let files = database.collection("files")
        let indexes = try await files.listIndexes()
        for index in indexes.compactMap({ $0["name"]?.stringValue }) where index != "_id_" {
            try await files.dropIndex(index)
        }
        try await files.insertMany(swarm.directoryDocuments)
        try await withThrowingTaskGroup(of: Void.self) { group in
            let swarm = swarm
            for worker in 0..<4 {
                group.addTask {
                    for start in stride(from: worker * Self.batch, to: swarm.files, by: 4 * Self.batch) {
                        let end = min(start + Self.batch, swarm.files)
                        try await files.insertMany((start..<end).map(swarm.document), ordered: false)
                    }
                }
            }
            try await group.waitForAll()
        }
        _ = try await database.collection("counters").updateOne(
            ["_id": "files"], ["$set": ["value": .int64(Int64(swarm.lastID))]])
        let definitions = indexes.filter { $0["name"]?.stringValue != "_id_" }
        _ = try await database.runCommand(["createIndexes": "files", "indexes": .documents(definitions)])
    }

    /// What a file takes in MongoDB.
    func measureRoom(_ figures: inout Figures) async throws {
        let client = try MongoClient(uri: uri, options: Self.patient, logger: logger)
        _ = try await client.database("admin").runCommand(["fsync": 1])
        let stats = try await client.database(database).runCommand(["collStats": "files"])
        await client.close()
        func perFile(_ field: String) -> Double? {
            stats[field].flatMap { $0.doubleValue ?? $0.int64Value.map(Double.init) }.map { $0 / Double(swarm.files) }
        }
        figures[.dataPerFile] = perFile("size")
        figures[.storagePerFile] = perFile("storageSize")
        figures[.indexesPerFile] = perFile("totalIndexSize")
    }
}
