import BrimModel
import BrimWire
import Foundation
import GRDB

/// The tables of a copy of the namespace.
enum ReplicaSchema {
    /// Raised with each change of the tables; a file of another version is thrown away and made anew.
    static let version: Int64 = 2

    static func open(_ path: String) throws -> DatabasePool {
        var configuration = Configuration()
        configuration.label = "brim.namespace"
        configuration.maximumReaderCount = 4
        configuration.prepareDatabase {
            try $0.execute(sql: "PRAGMA synchronous = NORMAL; PRAGMA cache_size = -2048")
        }
        let pool = try DatabasePool(path: path, configuration: configuration)
        try pool.write { database in
            let found = try Int64.fetchOne(database, sql: "PRAGMA user_version") ?? 0
            if found == version { return }
            guard found == 0, try !database.tableExists("entries") else {
                throw BrimError(.unsupported, "\(path) has the version \(found), not \(version)")
            }
            try create(database)
        }
        return pool
    }

    private static func create(_ database: Database) throws {
        // Names are bytes. A directory may have an n. Two entries may have one place for a moment, while changes come in.
        try database.execute(
            sql: """
                CREATE TABLE entries (
                    id INTEGER PRIMARY KEY, parent INTEGER NOT NULL, name BLOB NOT NULL, type INTEGER NOT NULL,
                    rev INTEGER NOT NULL, mode INTEGER NOT NULL, created INTEGER NOT NULL,
                    createdNanos INTEGER NOT NULL, modified INTEGER NOT NULL, modifiedNanos INTEGER NOT NULL,
                    attributes BLOB, target TEXT, version INTEGER, blob BLOB, size INTEGER, checksum INTEGER,
                    n INTEGER, policy TEXT, replicas TEXT);
                CREATE INDEX place ON entries (parent, name);
                CREATE TABLE meta (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
                PRAGMA user_version = \(version);
                """)
    }

    // MARK: Meta

    static func set(_ key: String, _ value: String, in database: Database) throws {
        try database.cachedStatement(sql: "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)")
            .execute(arguments: [key, value])
    }

    static func text(_ key: String, in database: Database) throws -> String? {
        try String.fetchOne(
            try database.cachedStatement(sql: "SELECT value FROM meta WHERE key = ?"), arguments: [key])
    }

    /// nil in a new file. Throws `.corrupt` for what makes no sense.
    static func progress(_ database: Database) throws -> ReplicaDatabase.Progress? {
        guard let json = try text("progress", in: database) else { return nil }
        do {
            return try JSONDecoder().decode(ReplicaDatabase.Progress.self, from: Data(json.utf8))
        } catch {
            throw BrimError(.corrupt, "the progress of the namespace replica is not understood: \(error)")
        }
    }

    static func store(_ progress: ReplicaDatabase.Progress, in database: Database) throws {
        try set("progress", String(decoding: try JSONEncoder().encode(progress), as: UTF8.self), in: database)
    }
}

/// One entry as a row.
enum ReplicaRow {
    static let columns = """
        id, parent, name, type, rev, mode, created, createdNanos, modified, modifiedNanos, attributes, target, version, \
        blob, size, checksum, n, policy, replicas
        """
    private static let types: [EntryType] = [.file, .directory, .symlink]

    static func insert(_ entry: Entry, into database: Database) throws {
        let statement = try database.cachedStatement(
            sql: """
                INSERT OR REPLACE INTO entries (\(columns))
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """)
        let attributes = entry.attributes.isEmpty ? nil : try BrimJSON.encoder().encode(entry.attributes)
        let name = Data((entry.name?.text ?? "").utf8)
        let common: StatementArguments = [
            entry.id.rawValue, entry.parent?.rawValue ?? 0, name, types.firstIndex(of: entry.type), entry.rev,
            entry.mode, entry.created.seconds, entry.created.nanoseconds, entry.modified.seconds,
            entry.modified.nanoseconds, attributes, entry.target,
        ]
        try statement.execute(arguments: common + content(entry))
    }

    private static func content(_ entry: Entry) -> StatementArguments {
        guard let content = entry.content else { return [nil, nil, nil, nil, entry.copies, nil, nil] }
        let replicas = content.replicas.map(\.rawValue).joined(separator: ",")
        return [
            content.version, Data(content.blob.bytes), content.size, Int64(content.checksum.crc32c), content.n,
            content.policy, replicas,
        ]
    }

    /// k, readable and reads are not in it. Throws `.corrupt` for a row that no version of this program can have written.
    static func entry(_ row: Row) throws -> Entry {
        let type: Int = row["type"]
        let parent: Int64 = row["parent"]
        guard types.indices.contains(type) else { throw corrupt }
        return Entry(
            id: FileID(row["id"]), parent: parent == 0 ? nil : FileID(parent),
            name: parent == 0 ? nil : try EntryName(utf8: row["name"] as Data), type: types[type], mode: row["mode"],
            created: Timestamp(seconds: row["created"], nanoseconds: row["createdNanos"]),
            modified: Timestamp(seconds: row["modified"], nanoseconds: row["modifiedNanos"]), rev: row["rev"],
            attributes: try (row["attributes"] as Data?).map {
                try BrimJSON.decoder().decode([String: AttributeValue].self, from: $0)
            } ?? [:],
            content: types[type] == .file ? try content(row) : nil, target: row["target"],
            copies: types[type] == .directory ? row["n"] : nil)
    }

    private static func content(_ row: Row) throws -> FileContent {
        guard let version: Int64 = row["version"], let size: Int64 = row["size"], let n: Int = row["n"],
            let blob = (row["blob"] as Data?).flatMap({ BlobID(bytes: $0) }),
            let sum = (row["checksum"] as Int64?).flatMap({ UInt32(exactly: $0) }), let policy: String = row["policy"],
            let names: String = row["replicas"]
        else { throw corrupt }
        return FileContent(
            version: version, blob: blob, size: size, checksum: Checksum(crc32c: sum), n: n, k: 0, readable: false,
            replicas: names.split(separator: ",").compactMap { ServerName(rawValue: String($0)) }, policy: policy)
    }

    private static var corrupt: BrimError {
        BrimError(.corrupt, "the namespace replica holds a row that makes no sense")
    }
}
