import BrimModel
import Foundation
import MongoDriver

/// A removed file or an old version, as it stands in MongoDB.
public struct DiscardedBlob: Sendable {
    public var blob: BlobID
    public var size: Int64
    public var checksum: Checksum
    /// Counted copies.
    public var k: Int
    public var replicas: [String]
}

extension Swarm {
    /// Has this look at the database elsewhere than where the swarm was begun.
    public func databaseMoved(to uri: String) { state.withLock { $0.databaseURI = uri } }

    /// The documents of files, read and changed behind the master's back.
    @discardableResult
    public func withFiles<Result>(_ body: (MongoCollection) async throws -> Result) async throws -> Result {
        try await withDatabase { try await body($0.collection("files")) }
    }

    /// The swarm's database, read and changed behind the master's back.
    @discardableResult
    public func withDatabase<Result>(_ body: (MongoDatabase) async throws -> Result) async throws -> Result {
        let client = try MongoClient(uri: try await databaseURI())
        do {
            let name = state.withLock { $0.database } ?? "brim"
            let result = try await body(client.database(name))
            await client.close()
            return result
        } catch {
            await client.close()
            throw error
        }
    }

    private func databaseURI() async throws -> String {
        if let moved = state.withLock({ $0.databaseURI }) { return moved }
        return switch options.database {
        case .shared: try await PrivateMongod.shared().uri
        case .at(let mongod): mongod.uri
        case .ownMongod: "mongodb://127.0.0.1:\(try ownMongodPort())/?directConnection=true"
        }
    }

    /// Everything in the trash. Throws while versions wait to get documents of their own.
    public func discarded() async throws -> [DiscardedBlob] {
        try await withFiles { files in
            guard try await files.findOne(["former.blob": ["$exists": true]]) == nil else {
                throw SwarmFailure("versions wait in the documents of their files")
            }
            let documents = try await files.find(
                ["state": ["$in": ["trash", "old"]], "discarded.at": ["$exists": true]]
            ).toArray()
            return try documents.map { document in
                guard let blob = document["blob"]?.objectIDValue.flatMap({ BlobID(bytes: $0.bytes) }),
                    let checksum = document["checksum"]?.stringValue.flatMap(Checksum.init),
                    let size = document["size"]?.int64Value, let k = document["k"]?.intValue,
                    let replicas = document["replicas"]?.arrayValue?.compactMap(\.stringValue)
                else { throw SwarmFailure("this is no document of a file: \(document)") }
                return DiscardedBlob(blob: blob, size: size, checksum: checksum, k: k, replicas: replicas)
            }
        }
    }

    /// Makes everything that was removed from a path, or was overwritten there before, older than it is.
    public func age(removedFrom path: String, byMinutes minutes: Int) async throws {
        let matched = try await withFiles { files in
            try await files.updateMany(
                ["state": "trash", "discarded.path": .string(path)],
                [
                    [
                        "$set": [
                            "n": ["$subtract": ["$n", .int(minutes)]],
                            "surplus": ["$add": ["$surplus", .int(minutes)]],
                            "discarded.at": [
                                "$dateSubtract": [
                                    "startDate": "$discarded.at", "unit": "minute", "amount": .int(minutes),
                                ]
                            ],
                        ]
                    ]
                ]
            ).matched
        }
        guard matched > 0 else { throw SwarmFailure("nothing that was removed from \(path) is in the trash") }
    }
}
