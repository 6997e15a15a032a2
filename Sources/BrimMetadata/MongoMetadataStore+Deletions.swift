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

    public func deletionsDue(on server: ServerName, _ blobs: [BlobID]) async throws {
        guard !blobs.isEmpty else { return }
        try await translatingErrors("noting deletions due on '\(server)'") {
            _ = try await collections.deletions.updateMany(
                ["_id": ["$in": .blobs(blobs)]], ["$addToSet": ["servers": .server(server)]])
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
        var abandoned: Set<BlobID> = []
        for wanted in wanted.chunks(of: 1000) {
            abandoned.formUnion(
                try await translatingErrors("abandoning \(wanted.count) blobs") {
                    let (collections, now, ids) = (collections, clock(), try await takeIDs(wanted.count))
                    return try await transaction { tx in
                        try Self.abandon(wanted, ids: ids, now: now, in: tx.on(collections.files))
                    }
                })
        }
        return abandoned
    }

    /// In a transaction, which sees all places where a blob can be at one moment: the unique index knows nothing of those
    /// that wait in `former`. What is committed meanwhile makes the same key, and one of the two fails.
    private static func abandon(
        _ wanted: [BlobID], ids: [FileID], now: Timestamp, in files: MongoTransactionCollection
    ) throws -> Set<BlobID> {
        let filter: BSONValue = ["$in": .blobs(wanted)]
        var abandoned: Set<BlobID> = []
        var inUse: Set<BlobID> = []
        for document in try files.find(["$or": [["blob": filter], ["former.blob": filter]]]) {
            let isAbandoned = document["parent"] == .id(Documents.nowhere)
            if isAbandoned { abandoned.insert(try document.blob("blob")) }
            inUse.insert(try document.blob("blob"))
            for version in Documents.formers(document) { inUse.insert(try version.blob("blob")) }
        }
        let free = zip(wanted, ids).filter { !inUse.contains($0.0) }
        try files.insertMany(free.map { Documents.abandoned($0, id: $1, at: now) })
        return abandoned.union(free.map(\.0)).intersection(wanted)
    }

    public func unknownBlobsUntil() async throws -> Timestamp? {
        try await translatingErrors("looking whether the database was restored") {
            try await collections.settings.findOne(RestoredDocuments.markID)?.time("at")
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
