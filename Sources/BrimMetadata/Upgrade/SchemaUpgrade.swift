import BrimModel
import Logging
import MongoDriver

/// Brings an older database to the version of this program, before anything else is done with it.
struct SchemaUpgrade: Sendable {
    private static let id: BSONDocument = ["_id": "schemaVersion"]

    let database: MongoDatabase
    let collections: Collections
    let history: SchemaHistory
    let logger: Logger

    /// Returns when the documents are of this version, or when there are none yet. Throws `.unsupported` for a newer
    /// version or one from which no step leads here; `.unavailable`, to be tried again, while another master upgrades, or
    /// one of the older version still runs.
    func run() async throws {
        guard let found = try await version(), found < history.version else { return }
        // All that can be wrong with the way is found before the first step is done.
        for version in found..<history.version { _ = try history.step(from: version, of: database.name) }
        try await MaintenanceLock.hold(in: collections.leases, purpose: "an upgrade of its documents") { lock in
            try await requireNoMasters()
            while let version = try await version(), version < history.version {
                try await upgrade(from: version, lock)
            }
        }
    }

    /// nil for a database without one: it is new.
    private func version() async throws -> Int64? {
        guard let found = try await collections.settings.findOne(Self.id) else { return nil }
        let version = try found.int64("value")
        guard version > 0 else {
            throw BrimError(
                .corrupt, "the database '\(database.name)' has schema version \(version), which there never was",
                advice: "Was the document 'schemaVersion' in 'settings' changed by hand?")
        }
        guard version <= history.version else {
            throw BrimError(
                .unsupported,
                "the database '\(database.name)' has schema version \(version), this master knows \(history.version)",
                advice: "Start a master of the newer version")
        }
        return version
    }

    private func upgrade(from version: Int64, _ lock: MaintenanceLock) async throws {
        let step = try history.step(from: version, of: database.name)
        let metadata: Logger.Metadata = ["step": "\(step.name)", "from": "\(version)", "to": "\(version + 1)"]
        logger.notice("the database is upgraded", metadata: metadata)
        try await step.run(
            MigrationRun(
                database: database, settings: collections.settings, migration: step, lock: lock, logger: logger))
        try await lock.renew()
        _ = try await collections.settings.updateOne(
            Self.id.merging(["value": .int64(version)]), ["$set": ["value": .int64(version + 1)]])
        try await MigrationRun.forget(in: collections.settings)
        logger.notice("the database is upgraded: done", metadata: metadata)
    }

    /// A master that runs on an older database is of the older version, and does not know what is about to change.
    private func requireNoMasters() async throws {
        if let master = try await LiveMasters.first(in: collections) {
            throw BrimError(
                .unavailable,
                "the database '\(database.name)' is of an older schema version, and \(master) still runs on it",
                advice: "Stop all masters of the older version: the upgrade begins then")
        }
    }
}
