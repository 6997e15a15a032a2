import BrimModel
import Foundation
import GRDB

/// When each blob was last known to hold the right bytes, in milliseconds since 1970.
extension Catalog {
    /// Up to `limit` blobs that were last verified before a time, those that wait longest first.
    func unverified(since before: Int64, limit: Int) async throws -> [CatalogRow] {
        try await pool.read { database in
            try Row.fetchAll(
                database,
                sql: """
                    SELECT \(CatalogRow.columns) FROM blobs INDEXED BY scrub
                    WHERE verified < ? ORDER BY verified LIMIT ?
                    """,
                arguments: [before, limit]
            ).map { try CatalogRow(row: $0) }
        }
    }

    /// When the blob that waits longest was last verified; nil when there is none.
    func oldestVerification() async throws -> Int64? {
        try await pool.read { try Int64.fetchOne($0, sql: "SELECT min(verified) FROM blobs") }
    }

    func lastVerified(_ blob: BlobID) async throws -> Int64? {
        try await pool.read {
            try Int64.fetchOne($0, sql: "SELECT verified FROM blobs WHERE blob = ?", arguments: [Data(blob.bytes)])
        }
    }

    /// Notes that blobs were read whole at a time, and were right.
    func noteVerified(_ blobs: [BlobID], at time: Int64) async throws {
        guard !blobs.isEmpty else { return }
        try await committer.commit { database in
            let statement = try database.cachedStatement(sql: "UPDATE blobs SET verified = ? WHERE blob = ?")
            for blob in blobs { try statement.execute(arguments: [time, Data(blob.bytes)]) }
        }
    }
}
