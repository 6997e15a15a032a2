import BrimModel
import MongoDriver

/// What a backup came to.
public struct BackupSummary: Sendable, Equatable {
    public var header: BackupHeader
    /// Of the backup.
    public var bytes: Int64
    public init(header: BackupHeader, bytes: Int64) {
        self.header = header
        self.bytes = bytes
    }
}

/// What tells one swarm's backups from another's: derived from its password.
public struct BackupKey: Sendable {
    let bytes: [UInt8]
    let passwordProof: String

    /// - Parameters:
    ///   - bytes: the key of the seal, 32 bytes.
    ///   - passwordProof: as given to `prepare`.
    public init(_ bytes: [UInt8], passwordProof: String) {
        self.bytes = bytes
        self.passwordProof = passwordProof
    }
}

extension MongoMetadataStore {
    /// Of a page; each document has 16 MiB at most, and MongoDB answers with no more than that at a time.
    private static let backupPage = 1000

    /// Collections that are in a backup, in this order. Not the masters: those of then are not those of later.
    static let backedUp = Schema.collections.map(\.name).filter { $0 != "masters" }

    /// Writes all metadata as of one moment, while masters run, to `sink`, which is given bytes as they come.
    ///
    /// `version` is that of the program. Throws `.notFound` when no swarm is in the database, `.denied` for another
    /// password, `.conflict` for a database that was not filled to the end, and what `sink` throws.
    public func backUp(
        with key: BackupKey, version: String, to sink: @escaping @Sendable ([UInt8]) async throws -> Void
    ) async throws -> BackupSummary {
        try await translatingErrors("reading the metadata") {
            try await MaintenanceLock.requireFree(in: collections.leases)
            try await UnfinishedWork.requireNone(in: collections.settings)
            var reads = SnapshotReads(database)
            let header = try await header(key, version, &reads)
            let writer = try BackupWriter(key: key.bytes, sink: sink)
            try await writer.begin(header)
            for (collection, documents) in header.counts {
                try await writer.begin(collection: collection)
                let found = try await copy(collection, &reads, to: writer)
                guard found == documents else {
                    throw BrimError(
                        .corrupt,
                        "'\(collection)' has \(documents) documents, of which only \(found) can be read in order",
                        advice: "Is the _id of one of another type than that of the others?")
                }
                logger.info("backed up", metadata: ["collection": "\(collection)", "documents": "\(found)"])
            }
            try await writer.end()
            return BackupSummary(header: header, bytes: writer.written)
        }
    }

    private func header(
        _ key: BackupKey, _ version: String, _ reads: inout SnapshotReads
    ) async throws -> BackupHeader {
        let settings = try await reads.page(of: "settings", after: nil, limit: Self.backupPage)
        func setting(_ id: String) -> BSONDocument? { settings.first { $0["_id"] == .string(id) } }
        guard let swarm = setting("swarm"), let schema = setting("schemaVersion"), let moment = reads.time else {
            throw BrimError(
                .notFound, "the database '\(database.name)' holds no swarm",
                advice: "Look at --database and at the URI, or at --data")
        }
        guard try swarm.string("passwordProof") == key.passwordProof else {
            throw Refusal.otherPassword(database: database.name)
        }
        let schemaVersion = try schema.int64("value")
        guard schemaVersion <= history.version else {
            throw BrimError(
                .unsupported,
                "the database '\(database.name)' has schema version \(schemaVersion), this program knows "
                    + "\(history.version)", advice: "Use the version of brim that its masters have")
        }
        var counts: [(String, Int64)] = []
        for collection in Self.backedUp { counts.append((collection, try await reads.count(collection))) }
        return BackupHeader(
            swarm: try swarm.string("swarm"), database: database.name,
            time: Timestamp(seconds: Int64(moment.seconds), nanoseconds: 0), schemaVersion: schemaVersion,
            version: version, counts: counts, passwordProof: key.passwordProof)
    }

    private func copy(
        _ collection: String, _ reads: inout SnapshotReads, to writer: BackupWriter
    ) async throws -> Int64 {
        var after: BSONValue?
        var count: Int64 = 0
        while true {
            let page = try await reads.page(of: collection, after: after, limit: Self.backupPage)
            guard let last = page.last?["_id"] else { return count }
            for document in page { try await writer.add(document) }
            count += Int64(page.count)
            after = last
            try Task.checkCancellation()
        }
    }
}
