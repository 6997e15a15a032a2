import BrimMetadata
import BrimModel
import BrimTestKit
import Logging
import MongoDriver

/// Stores for tests, each in a database of its own that is dropped afterwards.
enum TestStore {
    /// On `mongod`, else on the one that all tests share.
    static func withMongo<T>(
        on mongod: PrivateMongod? = nil, clock: @escaping @Sendable () -> Timestamp = { .now },
        _ body: (MongoMetadataStore) async throws -> T
    ) async throws -> T {
        try await withEmptyMongo(on: mongod, clock: clock) { store in
            _ = try await store.prepare(passwordProof: "proof")
            return try await body(store)
        }
    }

    /// As above, but nothing is in the database yet.
    static func withEmptyMongo<T>(
        on mongod: PrivateMongod? = nil, clock: @escaping @Sendable () -> Timestamp = { .now },
        _ body: (MongoMetadataStore) async throws -> T
    ) async throws -> T {
        let mongod = if let mongod { mongod } else { try await PrivateMongod.shared() }
        let name = PrivateMongod.freshDatabaseName("meta")
        var options = MongoClientOptions(applicationName: name)
        options.poolSize = 8
        // A hundred thousand documents take minutes where three such tests run at once.
        options.socketTimeout = .seconds(600)
        let store = MongoMetadataStore(
            client: try MongoClient(uri: mongod.uri, options: options),
            database: name,
            logger: Logger(label: "test"), clock: clock)
        do {
            let result = try await body(store)
            try await store.database.drop()
            await store.close()
            return result
        } catch {
            try? await store.database.drop()
            await store.close()
            throw error
        }
    }
}
