import BrimMetadata
import BrimModel
import BrimWire
import Foundation
import Logging

/// Where a swarm's metadata is, for tools that use the database without a master.
public struct MetadataPlace: Sendable {
    public enum Server: Sendable {
        /// A MongoDB replica set.
        case mongodb(uri: String)
        /// The data directory of a master with a mongod of its own, and the mongod to start where none runs (nil: looked for
        /// as a master does).
        case directory(URL, mongod: String?)
    }

    public var server: Server
    /// The database's name.
    public var database: String

    public init(_ server: Server, database: String) {
        self.server = server
        self.database = database
    }

    /// What is to be done may go on beside a master, or not.
    enum Use {
        case shared, alone
    }

    /// Does something with the database. The mongod of a master that runs is used as it is; where none runs, one is started
    /// for as long as this takes.
    ///
    /// Throws `.conflict` when a master has the data directory and this must be `alone`; `.notFound` when there is no
    /// database in it and this is `shared`; and what `body` throws.
    func withStore<Value: Sendable>(
        _ use: Use, logger: Logger, _ body: @escaping @Sendable (MongoMetadataStore) async throws -> Value
    ) async throws -> Value {
        switch server {
        case .mongodb(let uri): return try await withStore(at: uri, logger, body)
        case .directory(let directory, let mongod):
            let below = directory.appendingPathComponent("mongodb")
            guard use == .alone || FileManager.default.fileExists(atPath: below.path) else {
                throw BrimError(
                    .notFound, "no master has kept its data in \(directory.path)",
                    advice: "Name the --data directory of a master, or its database with --mongodb")
            }
            guard let lock = try Self.lock(directory) else {
                guard use == .shared else { throw Refusal.masterRuns(directory.path) }
                return try await withStore(at: try MongodSupervisor.uri(below), logger, body)
            }
            defer { lock.unlock() }
            return try await withOwnMongod(below, mongod, logger, body)
        }
    }

    /// nil while a master has the directory.
    private static func lock(_ directory: URL) throws -> DirectoryLock? {
        do {
            return try DirectoryLock(directory)
        } catch let error as BrimError where error.code == .conflict {
            return nil
        }
    }

    private func withOwnMongod<Value: Sendable>(
        _ directory: URL, _ mongod: String?, _ logger: Logger,
        _ body: @escaping @Sendable (MongoMetadataStore) async throws -> Value
    ) async throws -> Value {
        let supervisor = MongodSupervisor(
            executable: try MongodLocator.locate(explicit: mongod), directory: directory, logger: logger)
        do {
            let value = try await withStore(at: try await supervisor.start(), logger, body)
            await supervisor.stop()
            return value
        } catch {
            // Not cut short when the command is interrupted: mongod must not be left behind.
            await Task { await supervisor.stop() }.value
            throw error
        }
    }

    private func withStore<Value: Sendable>(
        at uri: String, _ logger: Logger, _ body: @escaping @Sendable (MongoMetadataStore) async throws -> Value
    ) async throws -> Value {
        let store = try MongoMetadataStore.connect(uri: uri, database: database, logger: logger)
        do {
            let value = try await body(store)
            await store.close()
            return value
        } catch {
            await store.close()
            throw error
        }
    }
}

extension Refusal {
    fileprivate static func masterRuns(_ directory: String) -> BrimError {
        BrimError(
            .conflict, "a master runs on the data directory \(directory)", advice: "Stop it first", retryable: false)
    }
}
