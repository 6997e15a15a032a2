import BrimModel
import MongoDriver

extension MongoMetadataStore {
    /// Fills a database that holds nothing of worth, while no master uses it. Whatever breaks it off leaves a mark, so that
    /// no master takes the database for a whole one; the next attempt begins anew.
    ///
    /// `body` finds the collections empty, with their validators and indexes, and no lease of leadership. Throws `.notEmpty`,
    /// `.conflict` while a master runs, `.unavailable` while somebody else does the same.
    func fill(
        _ work: UnfinishedWork, _ body: @escaping @Sendable () async throws -> BSONDocument
    ) async throws {
        try await requireFillable()
        let purpose = work == .restore ? "a restore" : "a recovery"
        try await MaintenanceLock.hold(in: collections.leases, purpose: purpose) { [self] lock in
            // Once more: who came first may have been done in the meantime.
            try await requireFillable()
            try await work.begin(in: collections.settings, at: clock())
            try await clear()
            let lease = try await body()
            try await lock.renew()
            try await requireNoMaster()
            _ = try await collections.leases.insertOne(lease)
            try await UnfinishedWork.end(in: collections.settings)
        }
    }

    /// Throws as `fill` does, and changes nothing.
    func requireFillable() async throws {
        try await requireNoMaster()
        if try await UnfinishedWork.isMarked(in: collections.settings) { return }
        let found: [(MongoCollection, BSONDocument, String)] = [
            (collections.files, ["_id": ["$ne": .id(.root)]], "files"), (collections.servers, [:], "servers"),
            (collections.forgotten, [:], "forgotten servers"), (collections.deletions, [:], "removed files"),
        ]
        for (collection, filter, what) in found where try await collection.findOne(filter) != nil {
            throw BrimError(
                .notEmpty, "the database '\(database.name)' is not empty: there are \(what) in it",
                advice: "Name another one with --database, or an empty directory with --data; or, if nothing in it is "
                    + "wanted any more, drop it first")
        }
    }

    private func requireNoMaster() async throws {
        guard let master = try await LiveMasters.first(in: collections) else { return }
        throw BrimError(
            .conflict, "\(master) uses the database '\(database.name)'",
            advice: "Stop all masters first; one that was killed counts as running for "
                + "\(MasterRecord.patience.components.seconds) seconds", retryable: false)
    }

    /// Whatever a first start of a master, or an attempt that was broken off, left.
    private func clear() async throws {
        for collection in Schema.collections.map(\.name) where !["leases", "settings"].contains(collection) {
            try await database.collection(collection).drop()
        }
        _ = try await collections.leases.deleteMany(["_id": ["$ne": "maintenance"]])
        _ = try await collections.settings.deleteMany(["_id": ["$ne": "unfinished"]])
        try await Schema.ensure(in: database)
    }

    /// Enters documents in batches.
    func insert(_ documents: [BSONDocument], into collection: String) async throws {
        guard !documents.isEmpty else { return }
        try await database.collection(collection).insertMany(documents, ordered: false)
    }
}
