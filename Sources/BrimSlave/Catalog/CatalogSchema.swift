import BrimModel
import GRDB

/// The tables of `catalog.sqlite` and how each version came from the one before.
enum CatalogSchema {
    static func migrator() -> DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1") { database in
            // The sums come last: a row is read without them where they are not wanted.
            try database.execute(
                sql: """
                    CREATE TABLE blobs (
                        blob BLOB NOT NULL PRIMARY KEY CHECK (length(blob) = 12),
                        state INTEGER NOT NULL, file INTEGER NOT NULL, parent INTEGER NOT NULL, name TEXT NOT NULL,
                        rev INTEGER NOT NULL, n INTEGER NOT NULL, attributes BLOB NOT NULL, size INTEGER NOT NULL,
                        checksum INTEGER NOT NULL, created INTEGER NOT NULL, sums BLOB NOT NULL);
                    CREATE INDEX pending ON blobs (created, blob) WHERE state = 0;
                    CREATE TABLE meta (key TEXT NOT NULL PRIMARY KEY, value INTEGER NOT NULL);
                    CREATE TABLE orders (sequence INTEGER NOT NULL PRIMARY KEY);
                    """)
        }
        migrator.registerMigration("2") { database in
            // When a blob's bytes were last known to be right: when it was written, else when it was last read whole. A
            // row that is entered without it is of a blob that was summed just now.
            try database.execute(
                sql: """
                    CREATE TABLE new (
                        blob BLOB NOT NULL PRIMARY KEY CHECK (length(blob) = 12),
                        state INTEGER NOT NULL, file INTEGER NOT NULL, parent INTEGER NOT NULL, name TEXT NOT NULL,
                        rev INTEGER NOT NULL, n INTEGER NOT NULL, attributes BLOB NOT NULL, size INTEGER NOT NULL,
                        checksum INTEGER NOT NULL, created INTEGER NOT NULL,
                        verified INTEGER NOT NULL DEFAULT (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)),
                        sums BLOB NOT NULL);
                    INSERT INTO new
                        SELECT blob, state, file, parent, name, rev, n, attributes, size, checksum, created, created, sums
                        FROM blobs;
                    DROP TABLE blobs;
                    ALTER TABLE new RENAME TO blobs;
                    CREATE INDEX pending ON blobs (created, blob) WHERE state = 0;
                    CREATE INDEX scrub ON blobs (verified);
                    """)
        }
        migrator.registerMigration("3") { database in
            // Orders are carried out in the order of their sequences: the last one says it all.
            try database.execute(
                sql: """
                    INSERT OR REPLACE INTO meta SELECT 'sequence', coalesce(max(sequence), 0) FROM orders;
                    DROP TABLE orders;
                    """)
        }
        return migrator
    }

    /// Of each connection; the kernel's cache has the rest.
    private static let cacheKibibytes = 512

    static func open(_ path: String) throws -> DatabasePool {
        var configuration = Configuration()
        configuration.label = "brim.catalog"
        configuration.maximumReaderCount = 4
        configuration.prepareDatabase {
            try $0.execute(sql: "PRAGMA synchronous = FULL; PRAGMA cache_size = -\(Self.cacheKibibytes)")
        }
        let pool = try DatabasePool(path: path, configuration: configuration)
        let migrator = migrator()
        guard try pool.read({ try !migrator.hasBeenSuperseded($0) }) else {
            throw BrimError(
                .unsupported, "\(path) was written by a newer version of brim",
                advice: "Use that version or a later one")
        }
        try migrator.migrate(pool)
        return pool
    }
}
