import BrimModel
import MongoDriver

/// One step that brings the documents from one schema version to the next.
///
/// A step may be broken off at any moment and is begun again by another master: what it does to a document that it has
/// done already must change nothing.
package struct Migration: Sendable {
    /// The version it starts from; it leads to the next one.
    package let from: Int64
    /// What it does, in a few words, for logs and people.
    package let name: String
    package let run: @Sendable (MigrationRun) async throws -> Void

    package init(from: Int64, name: String, run: @escaping @Sendable (MigrationRun) async throws -> Void) {
        self.from = from
        self.name = name
        self.run = run
    }
}

/// The version of the documents that a master writes, and the steps that lead there from all earlier ones.
package struct SchemaHistory: Sendable {
    package let version: Int64
    package let migrations: [Migration]

    package init(version: Int64, migrations: [Migration]) {
        self.version = version
        self.migrations = migrations
    }

    /// Of this program: there is only the first version so far.
    package static let current = SchemaHistory(version: Schema.version, migrations: [])

    /// The first step from a version. Throws `.unsupported` when it is not known here.
    func step(from version: Int64, of database: String) throws(BrimError) -> Migration {
        guard let step = migrations.first(where: { $0.from == version }) else {
            throw BrimError(
                .unsupported,
                "the database '\(database)' has schema version \(version), and this master knows no way from there to "
                    + "\(self.version)",
                advice: "Start a master of an earlier version first: it upgrades the database that far")
        }
        return step
    }
}
