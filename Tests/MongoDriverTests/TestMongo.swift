import BrimTestKit
import MongoDriver
import Synchronization
import Testing

/// The tests that need a server; they share one mongod, and each has a database of its own.
enum TestMongo {
    private static let client = Task {
        try MongoClient(uri: try await PrivateMongod.shared().uri, options: MongoClientOptions(poolSize: 8))
    }

    static func withDatabase(_ body: (MongoDatabase) async throws -> Void) async throws {
        let database = try await client.value.database(PrivateMongod.freshDatabaseName("driver"))
        do {
            try await body(database)
        } catch {
            try await database.drop()
            throw error
        }
        try await database.drop()
    }

    static func withCollection(_ body: (MongoCollection) async throws -> Void) async throws {
        try await withDatabase { try await body($0.collection("things")) }
    }

    /// A client of its own for tests of the pool; closed afterwards.
    static func withClient(
        _ options: MongoClientOptions, _ body: (MongoClient, MongoCollection) async throws -> Void
    ) async throws {
        let client = try MongoClient(uri: try await PrivateMongod.shared().uri, options: options)
        let database = client.database(PrivateMongod.freshDatabaseName("driver"))
        do {
            try await body(client, database.collection("things"))
        } catch {
            await client.close()
            throw error
        }
        await client.close()
        try await Self.client.value.database(database.name).drop()
    }
}

/// Expects a `MongoError` of this kind and gives it for a closer look.
@discardableResult
func expectError<T>(
    _ kind: MongoError.Kind, sourceLocation: SourceLocation = #_sourceLocation, _ body: () async throws -> T
) async -> MongoError? {
    do {
        _ = try await body()
        Issue.record("no error, but \(kind) was expected", sourceLocation: sourceLocation)
    } catch let error as MongoError {
        #expect(error.kind == kind, "\(error)", sourceLocation: sourceLocation)
        return error
    } catch {
        Issue.record(error, sourceLocation: sourceLocation)
    }
    return nil
}

/// Waits until `condition` holds, at most 20 s.
func wait(sourceLocation: SourceLocation = #_sourceLocation, until condition: () async -> Bool) async throws {
    let deadline = ContinuousClock.now + .seconds(20)
    while await !condition() {
        guard ContinuousClock.now < deadline else {
            Issue.record("waited in vain", sourceLocation: sourceLocation)
            return
        }
        try await Task.sleep(for: .milliseconds(5))
    }
}

/// A number that tasks and transaction bodies count up together.
final class Counter: Sendable {
    private let number = Atomic(0)

    var value: Int { number.load(ordering: .sequentiallyConsistent) }

    func increment() { number.add(1, ordering: .sequentiallyConsistent) }
}
