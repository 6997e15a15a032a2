import BrimModel
import MongoDriver

extension MongoMetadataStore {
    public func pendingDeletions(on server: ServerName, limit: Int) async throws -> [BlobID] {
        guard limit > 0 else { return [] }
        return try await translatingErrors("reading what '\(server)' has to delete") {
            try await all(
                ["servers": .server(server)], in: collections.deletions,
                FindOptions(sort: ["_id": 1], limit: limit, projection: ["_id": 1])
            ).map { try $0.blob("_id") }
        }
    }

    public func deletionsDone(on server: ServerName, _ blobs: [BlobID]) async throws {
        try await translatingErrors("noting deletions on '\(server)'") {
            _ = try await collections.deletions.updateMany(
                ["_id": ["$in": .blobs(blobs)]], ["$pull": ["servers": .server(server)]])
        }
    }

    public func tombstoned(_ blobs: [BlobID]) async throws -> Set<BlobID> {
        try await translatingErrors("looking for tombstones") {
            let found = try await all(
                ["_id": ["$in": .blobs(blobs)]], in: collections.deletions, FindOptions(projection: ["_id": 1]))
            return Set(try found.map { try $0.blob("_id") })
        }
    }

    public func abandon(_ blobs: [BlobID]) async throws -> Set<BlobID> {
        let wanted = blobs.withoutRepeats
        guard !wanted.isEmpty else { return [] }
        return try await translatingErrors("abandoning \(wanted.count) blobs") {
            let now = clock()
            let documents = zip(wanted, try await takeIDs(wanted.count)).map {
                Documents.abandoned($0, id: $1, at: now)
            }
            do {
                _ = try await collections.files.insertMany(documents, ordered: false)
            } catch let error as MongoError where error.kind == .duplicateKey {
                // Those that are in use, or abandoned already, stay as they are.
            }
            let abandoned = try await all(
                ["blob": ["$in": .blobs(wanted)], "parent": .id(Documents.nowhere)], in: collections.files,
                FindOptions(projection: ["blob": 1]))
            return Set(try abandoned.map { try $0.blob("blob") })
        }
    }

    public func trimTombstones(before: Timestamp) async throws {
        try await translatingErrors("trimming tombstones") {
            let servers = try await servers()
            let reports = servers.compactMap(\.report)
            // A server that has not reported may hold anything.
            guard reports.count == servers.count else { return }
            let cutoff = BSONValue.date(reports.reduce(before, min))
            _ = try await collections.deletions.deleteMany([
                "at": ["$lt": cutoff], "servers": ["$nin": .servers(servers.map(\.name))],
            ])
            _ = try await collections.files.deleteMany([
                "state": "trash", "readable": false, "parent": .id(Documents.nowhere), "created": ["$lt": cutoff],
            ])
        }
    }
}
