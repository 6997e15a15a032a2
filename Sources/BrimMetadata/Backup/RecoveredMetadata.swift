import BrimModel
import MongoDriver

/// A swarm's metadata as it was put together from what its slaves know. No copy counts yet: k and readable are of no meaning.
public struct RecoveredMetadata: Sendable {
    /// A file that was removed.
    public struct Removed: Sendable, Hashable {
        /// With the n that it had.
        public var entry: Entry
        /// Where it was, for people who want it back.
        public var path: String
        public init(entry: Entry, path: String) {
            self.entry = entry
            self.path = path
        }
    }

    /// A version that a file had before.
    public struct Former: Sendable, Hashable {
        /// The file as it is now, or was when it was removed.
        public var file: Entry
        /// With the n that it had.
        public var content: FileContent
        public var modified: Timestamp
        public init(file: Entry, content: FileContent, modified: Timestamp) {
            self.file = file
            self.content = content
            self.modified = modified
        }
    }

    /// The swarm's id.
    public var swarm: String
    /// With the root; each in a directory that is among them.
    public var live: [Entry]
    public var removed: [Removed]
    public var former: [Former]
    public var servers: [ServerRecord]
    /// The greatest number of an entry, and the latest term, that any slave has heard of.
    public var lastID: FileID
    public var term: Int64
    /// Of what the live entries are known.
    public var asOf: Timestamp

    public init(
        swarm: String, live: [Entry], removed: [Removed], former: [Former], servers: [ServerRecord], lastID: FileID,
        term: Int64, asOf: Timestamp
    ) {
        self.swarm = swarm
        self.live = live
        self.removed = removed
        self.former = former
        self.servers = servers
        self.lastID = lastID
        self.term = term
        self.asOf = asOf
    }
}

extension MongoMetadataStore {
    private static let rebuildBatch = 1000

    /// Throws unless a database can be filled: `.notEmpty`, `.conflict` while a master uses it.
    public func requireEmpty() async throws {
        try await translatingErrors("looking whether the database is empty") { try await requireFillable() }
    }

    /// Fills a database that holds nothing of worth with recovered metadata, while no master uses it. Removed files and
    /// former versions count as removed now. Throws `.notEmpty`, `.conflict` while a master runs.
    public func rebuild(from metadata: RecoveredMetadata, passwordProof: String) async throws {
        try await translatingErrors("rebuilding the database") {
            try await fill(.recovery) { [self] in
                let now = clock()
                let lastID = try await enterFiles(metadata, now)
                let restored = RestoredDocuments(now: now, asOf: metadata.asOf)
                try await insert(metadata.servers.map(ServerDocument.recovered), into: "servers")
                try await insert(
                    [
                        ["_id": "files", "value": .int64(lastID.rawValue + RestoredDocuments.margin)],
                        ["_id": "directoryMoves", "value": 0],
                    ], into: "counters")
                try await insert(
                    [
                        ["_id": "schemaVersion", "value": .int64(history.version)],
                        [
                            "_id": "swarm", "swarm": .string(metadata.swarm), "passwordProof": .string(passwordProof),
                            "created": .date(now),
                        ], restored.mark,
                    ], into: "settings")
                return restored.lease(["term": .int64(metadata.term)])
            }
        }
    }

    /// Gives the greatest number used: former versions have numbers of their own.
    private func enterFiles(_ metadata: RecoveredMetadata, _ now: Timestamp) async throws -> FileID {
        for batch in metadata.live.chunks(of: Self.rebuildBatch) {
            try await insert(
                batch.map { Documents.live($0.uncounted, changed: now) }, into: "files")
        }
        for batch in metadata.removed.chunks(of: Self.rebuildBatch) {
            try await insert(batch.map { Documents.recovered($0, at: now) }, into: "files")
        }
        var last = metadata.lastID.rawValue
        for batch in metadata.former.chunks(of: Self.rebuildBatch) {
            let documents = batch.map { former -> BSONDocument in
                last += 1
                return Documents.recovered(former, id: FileID(last), at: now)
            }
            try await insert(documents, into: "files")
        }
        return FileID(last)
    }
}

extension Entry {
    /// As long as no server has told what it has. Who chose n is not known any more: it stays as it is.
    fileprivate var uncounted: Entry {
        var entry = self
        entry.content?.policy = PolicyName.explicit
        entry.content?.k = 0
        entry.content?.readable = false
        return entry
    }
}

extension Documents {
    private static func discarded(at: Timestamp, path: String?, n: Int) -> BSONValue {
        var fields: BSONDocument = ["at": .date(at), "atNanos": .int64(Int64(at.nanoseconds))]
        if let path { fields.append("path", .string(path)) }
        fields.append("n", .int(n))
        fields.append("policy", .string(PolicyName.explicit))
        return .document(fields)
    }

    /// A removed file, as if it had been removed now.
    fileprivate static func recovered(_ removed: RecoveredMetadata.Removed, at: Timestamp) -> BSONDocument {
        var entry = removed.entry.uncounted
        let n = entry.content?.n ?? 1
        entry.content?.n = Trash.n(at: at)
        var document = live(entry, changed: at)
        document["state"] = "trash"
        document["policy"] = "trash"
        document.append("discarded", discarded(at: at, path: removed.path, n: n))
        return document
    }

    /// A former version, as if it had been overwritten now.
    fileprivate static func recovered(
        _ former: RecoveredMetadata.Former, id: FileID, at: Timestamp
    ) -> BSONDocument {
        var entry = former.file
        entry.id = id
        entry.modified = former.modified
        entry.attributes = [:]
        entry.content = former.content
        entry = entry.uncounted
        entry.content?.n = Trash.n(at: at)
        var document = live(entry, changed: at)
        document["state"] = "old"
        document["policy"] = "trash"
        document.append("of", .id(former.file.id))
        document.append("discarded", discarded(at: at, path: nil, n: former.content.n))
        return document
    }
}

extension ServerDocument {
    /// One that is down until it joins.
    fileprivate static func recovered(_ server: ServerRecord) -> BSONDocument {
        let usage = server.usage
        var document: BSONDocument = [
            "_id": .server(server.name), "id": .string(server.id), "address": .string(server.address),
            "zone": .string(server.zone), "requestedZone": .string(server.requestedZone),
            "version": .string(server.version), "state": "down", "quota": .int64(server.quota),
            "requestedQuota": .int64(server.requestedQuota), "load": load(server.load), "boot": .string(usage.boot),
            "count": .int64(usage.count), "used": .int64(usage.used), "reserved": .int64(usage.reserved),
            "writing": .int64(usage.writing), "diskFree": .int64(usage.diskFree), "files": .int64(usage.files),
            "free": .int64(max(0, min(server.quota - usage.used, usage.diskFree))),
        ]
        document.append(time: server.heartbeat, as: "heartbeat")
        return document
    }
}
