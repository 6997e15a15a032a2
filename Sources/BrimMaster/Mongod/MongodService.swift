import BrimModel
import BrimWire
import Foundation
import Logging
import ServiceLifecycle

/// One member of the replica set that a swarm runs itself: a mongod, which it starts again when it dies, and what makes a
/// replica set of it and the others.
public final class MongodService: Service {
    public struct Configuration: Sendable {
        /// Where it listens.
        public var listen: HostPort
        /// Which of the members it is.
        public var own: HostPort
        public var members: MongodMembers
        /// The same as that of a master whose own mongod is to become this member.
        public var dataDirectory: URL
        /// The mongod to start; nil: looked for on PATH and in the cache directory.
        public var mongodPath: String?
        /// Memory for MongoDB's cache, in bytes; at least 256 MiB.
        public var cache: Int64
        /// Whether the other members are lost for good: the replica set goes on with this one alone, and takes others in anew.
        public var isSoleSurvivor: Bool

        public init(
            listen: HostPort, own: HostPort, members: MongodMembers, dataDirectory: URL, mongodPath: String? = nil,
            cache: Int64, isSoleSurvivor: Bool = false
        ) {
            self.listen = listen
            self.own = own
            self.members = members
            self.dataDirectory = dataDirectory
            self.mongodPath = mongodPath
            self.cache = cache
            self.isSoleSurvivor = isSoleSurvivor
        }
    }

    private let configuration: Configuration
    private let logger: Logger

    public init(configuration: Configuration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
    }

    /// Runs until cancelled or shut down gracefully, and ends mongod. Throws when it cannot start: `.conflict` when a master or
    /// another member has the data directory, or the data is of another member.
    public func run() async throws {
        let lock = try DirectoryLock(configuration.dataDirectory)
        defer { lock.unlock() }
        let supervisor = MongodSupervisor(
            executable: try MongodLocator.locate(explicit: configuration.mongodPath),
            directory: configuration.dataDirectory.appendingPathComponent("mongodb"),
            part: .member(configuration), logger: logger)
        do {
            if try await unlessStopped(logger, { try await supervisor.start() }) != nil {
                try await serve(supervisor)
            }
        } catch {
            await supervisor.stop()
            throw error
        }
        await supervisor.stop()
    }

    private func serve(_ supervisor: MongodSupervisor) async throws {
        let keeper = ReplicaSetKeeper(members: configuration.members, own: configuration.own, logger: logger)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await supervisor.run() }
            await cancelWhenGracefulShutdown { await keeper.run() }
            await supervisor.stop()
            try await group.waitForAll()
        }
    }
}
