import BrimMetadata
import BrimModel
import BrimPlacement
import BrimWire
import Foundation
import Hummingbird
import Logging
import ServiceLifecycle

/// A master: serves the namespace, watches servers and runs replication. Holds no state of its own: its state is MongoDB.
public final class MasterService: Service {
    private let configuration: MasterConfiguration
    private let logger: Logger
    private let address = Latch<String>()

    public init(configuration: MasterConfiguration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
    }

    /// The URL it serves on, for clients on this machine; waits until it serves. Throws what it failed with, and
    /// `CancellationError` when the waiting task is cancelled.
    public var url: String {
        get async throws { try await address.get() }
    }

    /// Runs until cancelled or shut down gracefully, which may be before it serves; ends its mongod last. Throws when it
    /// cannot start: among others `.conflict` when another master with a mongod of its own holds the data directory.
    public func run() async throws {
        do {
            try await runAll()
        } catch {
            address.set(.failure(error))
            throw error
        }
        address.set(.failure(BrimError(.unavailable, "the master has stopped")))
    }

    private func runAll() async throws {
        if let mongodb = configuration.mongodb {
            return try await serve(mongodb: mongodb, holder: UUID().uuidString.lowercased())
        }
        let lock = try DirectoryLock(configuration.dataDirectory)
        defer { lock.unlock() }
        let supervisor = MongodSupervisor(
            executable: try MongodLocator.locate(explicit: configuration.mongodPath),
            directory: configuration.dataDirectory.appendingPathComponent("mongodb"), logger: logger)
        do {
            guard let uri = try await unlessStopped(logger, { try await supervisor.start() }) else {
                return await supervisor.stop()
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await supervisor.run() }
                do {
                    // The lock on the directory says that no other master of this name runs: a lease of this name is
                    // one of a former start, and need not be waited for.
                    try await serve(mongodb: uri, holder: "own mongod")
                } catch {
                    await supervisor.stop()
                    throw error
                }
                await supervisor.stop()
                try await group.waitForAll()
            }
        } catch {
            await supervisor.stop()
            throw error
        }
    }

    private func serve(mongodb: String, holder: String) async throws {
        let clock = SwarmClock()
        let store = try MongoMetadataStore.connect(
            uri: mongodb, database: configuration.database, logger: logger, clock: { clock.timestamp })
        let peers = PeerClient(logger: logger)
        do {
            let master = try await unlessStopped(logger) { [configuration, logger] in
                try await Self.onceDatabaseAnswers(logger, user: configuration.mongodbUserPatience) {
                    try await Master(
                        configuration: configuration, holder: holder, store: store, peers: peers, clock: clock,
                        logger: logger)
                }
            }
            try await master?.run(address: address)
        } catch {
            await peers.shutdown()
            await store.close()
            throw error
        }
        await peers.shutdown()
        await store.close()
    }

    /// Begins, and again until MongoDB is there: machines that start together come up in any order. `user`: how long MongoDB
    /// may refuse user and password, since it has not heard of them yet.
    private static func onceDatabaseAnswers<Value: Sendable>(
        _ logger: Logger, user patience: Duration, _ begin: @Sendable () async throws -> Value
    ) async throws -> Value {
        var told: ContinuousClock.Instant?
        let started = ContinuousClock.now
        while true {
            do {
                return try await begin()
            } catch let error as BrimError where [.unavailable, .timeout, .denied].contains(error.code) {
                let mayCome = error.code == .denied ? ContinuousClock.now - started < patience : error.retryable
                guard mayCome else { throw error }
                if told.map({ ContinuousClock.now - $0 > .seconds(60) }) ?? true {
                    told = .now
                    logger.warning("waiting for MongoDB", metadata: ["error": "\(error)"])
                }
                try await Task.sleep(for: .seconds(1))
            }
        }
    }
}
