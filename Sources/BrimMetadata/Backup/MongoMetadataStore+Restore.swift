import BrimModel
import MongoDriver

/// A backup that can be read from its beginning several times.
public struct BackupSource: Sendable {
    /// For messages.
    let name: String
    /// Begins at the beginning: what it gives reads up to so many bytes, none at the end.
    let open: @Sendable () throws -> (Int) throws -> [UInt8]

    public init(_ name: String, open: @escaping @Sendable () throws -> (Int) throws -> [UInt8]) {
        self.name = name
        self.open = open
    }
}

extension MongoMetadataStore {
    /// Documents entered at a time, and about how many bytes of them.
    private static let restoreBatch = (documents: 1000, bytes: 4 << 20)

    /// Reads a backup to its end. Throws `.corrupt` for one that is not whole, `.unsupported` for one of a newer version,
    /// `.denied` for one of a swarm with another password.
    @discardableResult
    public static func check(_ source: BackupSource, with key: BackupKey) throws -> BackupHeader {
        let reader = try reader(source, key)
        guard reader.header.schemaVersion <= Schema.version else {
            throw BrimError(
                .unsupported,
                "the backup \(source.name) has schema version \(reader.header.schemaVersion), this program knows "
                    + "\(Schema.version)", advice: "Restore it with the version of brim that made it, or a later one")
        }
        while try reader.next() != nil { continue }
        return reader.header
    }

    private static func reader(_ source: BackupSource, _ key: BackupKey) throws -> BackupReader {
        try BackupReader(
            source.name, key: key.bytes, passwordProof: key.passwordProof, source: try source.open())
    }

    /// Puts a backup back into a database that holds nothing of worth, while no master uses it. All of the backup is checked
    /// before anything is changed.
    ///
    /// Slaves have gone on since, so no copy counts until its server has told what it has (see `RestoredDocuments`). An older
    /// schema version is upgraded by the first master. Throws as `check` does, `.notEmpty`, `.conflict` while a master runs.
    public func restore(_ source: BackupSource, with key: BackupKey) async throws -> BackupHeader {
        try await translatingErrors("restoring the backup \(source.name)") {
            let header = try Self.check(source, with: key)
            try await fill(.restore) { [self] in try await enter(source, key) }
            return header
        }
    }

    /// Enters all documents; gives the lease of leadership that is to be entered last.
    private func enter(_ source: BackupSource, _ key: BackupKey) async throws -> BSONDocument {
        let reader = try Self.reader(source, key)
        let restored = RestoredDocuments(now: clock(), asOf: reader.header.time)
        var batch = (collection: "", documents: [BSONDocument](), bytes: 0)
        var lease: BSONDocument?
        while let (collection, document) = try reader.next() {
            if collection == "leases", document["_id"] == "leader" { lease = document }
            guard let document = try restored.document(document, of: collection) else { continue }
            if collection != batch.collection || batch.documents.count >= Self.restoreBatch.documents
                || batch.bytes >= Self.restoreBatch.bytes
            {
                try await insert(batch.documents, into: batch.collection)
                batch = (collection, [], 0)
            }
            batch.documents.append(document)
            batch.bytes += try document.bytes().count
            try Task.checkCancellation()
        }
        try await insert(batch.documents, into: batch.collection)
        try await insert([restored.mark], into: "settings")
        return restored.lease(lease)
    }
}
