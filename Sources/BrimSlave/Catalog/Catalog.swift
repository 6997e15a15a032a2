import BrimModel
import BrimWire
import Foundation
import GRDB

/// The list of blobs on this slave, in SQLite. Every change is durable when its call returns.
final class Catalog: Sendable {
    let pool: DatabasePool
    let committer: Committer
    /// What can be served without asking the database.
    let small = SmallBlobs()

    /// Opens or makes the catalog. Blocks. Throws `.unsupported` for one of a newer version, `.io`.
    init(path: String, health: DiskHealth) throws {
        do {
            pool = try CatalogSchema.open(path)
        } catch let error as DatabaseError {
            throw BrimError(
                .io, "the catalog \(path) cannot be opened: \(error)",
                advice: "Set it aside: it is rebuilt from the blobs at the next start")
        }
        committer = Committer(pool: pool, health: health)
    }

    /// Blocks; nothing may be under way.
    func close() throws { try pool.close() }

    /// Transactions made so far.
    var transactions: Int { committer.transactions }

    func insert(_ row: CatalogRow, sums: [UInt32]) async throws {
        try await committer.commit { try row.insert(into: $0, sums: sums) }
    }

    /// Enters small blobs, all or none: each has one block at most, so that its sum is the blob's.
    func insert(small rows: [CatalogRow]) async throws {
        try await committer.commit { database in
            for row in rows { try row.insert(into: database, sums: row.size > 0 ? [row.checksum.crc32c] : []) }
        }
    }

    /// Marks blobs as confirmed, with what metadata says of them where it is told. Answers those that are not here. Those
    /// of which something else `isOpen` at that moment stay as they are.
    func confirm(
        _ items: [(blob: BlobID, label: BlobLabel?)],
        unless isOpen: @escaping @Sendable (BlobID) -> Bool = { _ in false }
    ) async throws -> [BlobID] {
        guard !items.isEmpty else { return [] }
        return try await committer.commit { database in
            let confirm = try database.cachedStatement(sql: "UPDATE blobs SET state = 1 WHERE blob = ?")
            let rename = try database.cachedStatement(
                sql: """
                    UPDATE blobs SET file = ?, parent = ?, name = ?, rev = ?, n = ?, attributes = ?
                    WHERE blob = ? AND rev <= ?
                    """)
            var missing: [BlobID] = []
            for (blob, label) in items where !isOpen(blob) {
                try confirm.execute(arguments: [Data(blob.bytes)])
                if database.changesCount == 0 {
                    missing.append(blob)
                } else if let label {
                    try rename.execute(
                        arguments: [
                            label.file.rawValue, label.parent.rawValue, label.name.text, label.rev, label.n,
                            try label.encodedAttributes(), Data(blob.bytes), label.rev,
                        ])
                }
            }
            return missing
        }
    }

    /// Takes blobs off the list, or only those of them that are pending. Answers those that were on it, with their sizes.
    func remove(_ blobs: [BlobID], onlyPending: Bool = false) async throws -> [BlobID: Int64] {
        guard !blobs.isEmpty else { return [:] }
        let removed = try await committer.commit { try Self.remove(blobs, onlyPending: onlyPending, from: $0) }
        small.forget(removed.keys)
        return removed
    }

    private static func remove(
        _ blobs: [BlobID], onlyPending: Bool = false, from database: Database
    ) throws -> [BlobID: Int64] {
        var removed: [BlobID: Int64] = [:]
        let condition = onlyPending ? "AND state = 0" : ""
        let statement = try database.cachedStatement(
            sql: "DELETE FROM blobs WHERE blob = ? \(condition) RETURNING size")
        for blob in blobs {
            if let size = try Int64.fetchOne(statement, arguments: [Data(blob.bytes)]) { removed[blob] = size }
        }
        return removed
    }

    func row(_ blob: BlobID) async throws -> CatalogRow? {
        try await pool.read { try Self.row(blob, in: $0) }
    }

    /// A row and the sums of those of its blocks that `blocks`, given the size, names.
    func row(
        _ blob: BlobID, blocks: @Sendable @escaping (Int64) -> Range<Int>
    ) async throws -> (row: CatalogRow, sums: [UInt32])? {
        let removals = small.removals
        let found = try await pool.read { database -> (row: CatalogRow, sums: [UInt32])? in
            guard let row = try Self.row(blob, in: database) else { return nil }
            if row.size <= Limits.blockBytes { return (row, row.size > 0 ? [row.checksum.crc32c] : []) }
            let wanted = blocks(row.size)
            let statement = try database.cachedStatement(sql: "SELECT substr(sums, ?, ?) FROM blobs WHERE blob = ?")
            let bytes = try Data.fetchOne(
                statement, arguments: [wanted.lowerBound * 4 + 1, wanted.count * 4, Data(blob.bytes)])
            return (row, BlockSums.decode(bytes ?? Data()))
        }
        if let found { small.note(found.row, unlessRemovedSince: removals) }
        return found
    }

    private static func row(_ blob: BlobID, in database: Database) throws -> CatalogRow? {
        let statement = try database.cachedStatement(sql: "SELECT \(CatalogRow.columns) FROM blobs WHERE blob = ?")
        return try Row.fetchOne(statement, arguments: [Data(blob.bytes)]).map { try CatalogRow(row: $0) }
    }

    /// Which of these are on the list.
    func known(_ blobs: [BlobID]) async throws -> [BlobID: CatalogRow] {
        try await pool.read { database in
            var known: [BlobID: CatalogRow] = [:]
            for blob in blobs { known[blob] = try Self.row(blob, in: database) }
            return known
        }
    }

    /// Size and sum of those of these that are on the list.
    func facts(_ blobs: [BlobID]) async throws -> [BlobID: SmallBlobs.Facts] {
        try await pool.read { database in
            let statement = try database.cachedStatement(sql: "SELECT size, checksum FROM blobs WHERE blob = ?")
            var facts: [BlobID: SmallBlobs.Facts] = [:]
            for blob in blobs {
                guard let row = try Row.fetchOne(statement, arguments: [Data(blob.bytes)]),
                    let sum = UInt32(exactly: row["checksum"] as Int64)
                else { continue }
                facts[blob] = SmallBlobs.Facts(size: row["size"], checksum: Checksum(crc32c: sum))
            }
            return facts
        }
    }

    /// Up to `limit` rows in order of their ids, after one of them, and the orders that had been carried out by then.
    func page(after: BlobID?, limit: Int) async throws -> (rows: [CatalogRow], position: OrderPosition) {
        try await pool.read { database in
            let rows = try Row.fetchAll(
                database,
                sql: "SELECT \(CatalogRow.columns) FROM blobs WHERE blob > ? ORDER BY blob LIMIT ?",
                arguments: [Data(after?.bytes ?? []), limit])
            return (try rows.map { try CatalogRow(row: $0) }, try Self.position(in: database))
        }
    }

    /// Rows looked through for one page of those of certain files: there is no index of files.
    private static let scanned = 50_000

    /// Rows that are labelled with numbers of these entries, in order of their ids after one of them: at most `limit`, and
    /// perhaps fewer or none although there are more. `next` is nil when there are not.
    func page(
        of files: ClosedRange<Int64>, after: BlobID?, limit: Int, scanned: Int = Catalog.scanned
    ) async throws -> (rows: [CatalogRow], next: BlobID?) {
        try await pool.read { database in
            let start = Data(after?.bytes ?? [])
            let end = try Data.fetchOne(
                database, sql: "SELECT blob FROM blobs WHERE blob > ? ORDER BY blob LIMIT 1 OFFSET ?",
                arguments: [start, scanned - 1])
            let rows = try Row.fetchAll(
                database,
                sql: """
                    SELECT \(CatalogRow.columns) FROM blobs
                    WHERE blob > ? AND blob <= ? AND file BETWEEN ? AND ? ORDER BY blob LIMIT ?
                    """,
                arguments: [
                    start, end ?? Data(repeating: 0xff, count: 12), files.lowerBound, files.upperBound, limit,
                ]
            ).map { try CatalogRow(row: $0) }
            return (rows, rows.count == limit ? rows.last?.blob : end.flatMap { BlobID(bytes: $0) })
        }
    }

    /// Those of these blobs that are pending, and the orders that had been carried out by then.
    func pending(_ blobs: [BlobID]) async throws -> (rows: [CatalogRow], position: OrderPosition) {
        try await pool.read { database in
            let rows = try blobs.compactMap { try Self.row($0, in: database) }
            return (rows.filter { $0.state == .pending }, try Self.position(in: database))
        }
    }

    /// Up to `limit` blobs pending since before a time (milliseconds since 1970), oldest first, after a row.
    func pending(
        before: Int64, after: CatalogRow?, limit: Int
    ) async throws -> [CatalogRow] {
        try await pool.read { database in
            try Row.fetchAll(
                database,
                sql: """
                    SELECT \(CatalogRow.columns) FROM blobs
                    WHERE state = 0 AND created < ? AND (created, blob) > (?, ?)
                    ORDER BY created, blob LIMIT ?
                    """,
                arguments: [before, after?.created ?? Int64.min, Data(after?.blob.bytes ?? []), limit]
            ).map { try CatalogRow(row: $0) }
        }
    }

    /// The size of every blob.
    func sizes() async throws -> [BlobID: Int64] {
        try await pool.read { database in
            var sizes: [BlobID: Int64] = [:]
            let rows = try Row.fetchCursor(database, sql: "SELECT blob, size FROM blobs")
            while let row = try rows.next() {
                if let blob = BlobID(bytes: row["blob"] as Data) { sizes[blob] = row["size"] }
            }
            return sizes
        }
    }

    /// Which orders have been carried out.
    func position() async throws -> OrderPosition { try await pool.read { try Self.position(in: $0) } }

    private static func position(in database: Database) throws -> OrderPosition {
        func value(_ key: String) throws -> Int64 {
            let statement = try database.cachedStatement(sql: "SELECT value FROM meta WHERE key = ?")
            return try Int64.fetchOne(statement, arguments: [key]) ?? 0
        }
        return OrderPosition(term: try value("term"), sequence: try value("sequence"))
    }

    /// Remembers the orders up to a position as carried out and takes the blobs they give up off the list, all at once.
    /// Answers those that were on it, with their sizes.
    func carryOut(evicting blobs: [BlobID], reaching position: OrderPosition) async throws -> [BlobID: Int64] {
        let removed = try await committer.commit { database in
            let remember = try database.cachedStatement(sql: "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)")
            try remember.execute(arguments: ["term", position.term])
            try remember.execute(arguments: ["sequence", position.sequence])
            return try Self.remove(blobs, from: database)
        }
        small.forget(removed.keys)
        return removed
    }
}
