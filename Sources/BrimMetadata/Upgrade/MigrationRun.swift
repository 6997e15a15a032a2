import BrimModel
import Logging
import MongoDriver

/// A migration under way: where it is, kept in `settings` (`_id: "migration"`), so that who goes on with it need not begin
/// at the beginning.
package struct MigrationRun: Sendable {
    /// Documents changed at a time.
    private static let batch = 500
    private static let id: BSONDocument = ["_id": "migration"]

    package let database: MongoDatabase
    let settings: MongoCollection
    let migration: Migration
    let lock: MaintenanceLock
    let logger: Logger

    /// Changes all documents of a collection that fit, in order of their ids, in batches; goes on after the last batch that
    /// an earlier run of the same step has noted. `change` gives the writes for a batch.
    package func forEachBatch(
        of collection: String, where filter: BSONDocument = [:], _ change: ([BSONDocument]) throws -> [WriteModel]
    ) async throws {
        let documents = database.collection(collection)
        var (after, done) = try await position(in: collection)
        while true {
            var page: [BSONDocument] = [filter]
            if let after { page.append(["_id": ["$gt": after]]) }
            let found = try await documents.find(
                ["$and": .documents(page)],
                FindOptions(sort: ["_id": 1], limit: Self.batch, maxTime: MongoMetadataStore.timeLimit)
            ).toArray()
            guard let last = found.last?["_id"] else { return }
            // Nobody else may have begun in the meantime: what follows is written by the holder of the lock.
            try await lock.renew()
            let writes = try change(found)
            if !writes.isEmpty { _ = try await documents.bulkWrite(writes, ordered: false) }
            done += Int64(found.count)
            try await note(collection, after: last, done: done)
            after = last
        }
    }

    private func position(in collection: String) async throws -> (after: BSONValue?, done: Int64) {
        guard let found = try await settings.findOne(Self.id), found["name"] == .string(migration.name),
            found["from"]?.int64Value == migration.from, found["collection"] == .string(collection),
            let after = found["after"]
        else { return (nil, 0) }
        let done = found["documents"]?.int64Value ?? 0
        logger.notice(
            "an upgrade that was broken off goes on",
            metadata: ["step": "\(migration.name)", "collection": "\(collection)", "documents": "\(done)"])
        return (after, done)
    }

    private func note(_ collection: String, after: BSONValue, done: Int64) async throws {
        _ = try await settings.updateOne(
            Self.id,
            [
                "$set": [
                    "name": .string(migration.name), "from": .int64(migration.from),
                    "collection": .string(collection), "after": after, "documents": .int64(done),
                ]
            ], upsert: true)
        logger.info(
            "upgrading",
            metadata: ["step": "\(migration.name)", "collection": "\(collection)", "documents": "\(done)"])
    }

    /// Removes what is noted of a step that is done.
    static func forget(in settings: MongoCollection) async throws {
        _ = try await settings.deleteOne(id)
    }
}
