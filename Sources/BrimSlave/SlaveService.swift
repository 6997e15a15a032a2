import BrimModel
import BrimWire
import Logging
import ServiceLifecycle

/// The daemon that stores blobs in one directory of a server. Several may run in one process, each on a directory of
/// its own.
public final class SlaveService: Service {
    private let configuration: SlaveConfiguration
    private let logger: Logger
    private let started = Latch<Running>()

    private struct Running: Sendable {
        var node: SlaveNode
        var server: BrimServer
        var membership: Membership
    }

    public init(configuration: SlaveConfiguration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
    }

    /// The port it listens on; waits until it does. Throws what `run` throws when it cannot start.
    public var boundPort: Int { get async throws { try await started.get().server.boundPort } }

    /// Its routes; waits until it has started. Throws what `run` throws when it cannot start.
    var endpoints: [String] { get async throws { try await started.get().server.endpoints } }

    /// The name under which it has joined its swarm; waits for the first join. Throws what `run` throws when it cannot.
    public var joinedName: ServerName { get async throws { try await started.get().membership.joined.get() } }

    /// The space it uses, as it counts it itself; waits until it is counted.
    public var usage: ServerUsage { get async throws { try await started.get().node.quota.usage() } }

    /// Serves until a graceful shutdown; then says goodbye, and finishes what is under way, within 10 s.
    ///
    /// Throws at once: `.conflict` when another slave holds the directory, `.unsupported` for data of a newer version,
    /// `.invalid` for data of another server or swarm, `.exists` when the name given is another's, `.unauthorized` for a
    /// wrong password, `.unavailable` when it cannot listen, `.io`.
    public func run() async throws {
        let io = BlockingIO(threads: configuration.diskThreads)
        let peers = PeerClient(logger: logger)
        let result: Result<Void, any Error>
        do {
            try await serve(io, peers)
            result = .success(())
        } catch {
            started.set(.failure(error))
            result = .failure(error)
        }
        started.set(.failure(BrimError(.unavailable, "the slave has ended")))
        await peers.shutdown()
        try await io.shutdown()
        try result.get()
    }

    private func serve(_ io: BlockingIO, _ peers: PeerClient) async throws {
        let configuration = configuration
        let health = DiskHealth(logger: logger)
        let (directory, catalog) = try await io.run {
            let directory = try DataDirectory(path: configuration.dataDirectory, name: configuration.name)
            return (directory, try Catalog(path: directory.catalog, health: health))
        }
        let result: Result<Void, any Error>
        do {
            try await serve(io, peers, directory, catalog, health)
            result = .success(())
        } catch {
            result = .failure(error)
        }
        try await io.run {
            // Before it, nobody else may have the catalog.
            defer { directory.unlock() }
            try catalog.close()
        }
        try result.get()
    }

    private func serve(
        _ io: BlockingIO, _ peers: PeerClient, _ directory: DataDirectory, _ catalog: Catalog, _ health: DiskHealth
    ) async throws {
        let store = BlobStore(directory: directory, io: io, health: health)
        let findings = try await Reconciliation(store: store, catalog: catalog, logger: logger).run()
        let asked = configuration.quota.bytes(ofDisk: try POSIX.space(directory.path).total)
        let identity = directory.identity
        // The same --quota as last time leaves what a master has set since.
        let quota = identity.quotaAsked == asked ? identity.quota ?? asked : asked
        let name = try configuration.name ?? identity.name ?? HostName.serverName(host: HostName.current)
        let node = SlaveNode(
            configuration: configuration, logger: logger, directory: directory, health: health, catalog: catalog,
            store: store,
            quota: Quota(
                QuotaBook(quota: quota, stored: findings.stored, files: findings.files), directory: directory.path,
                health: health),
            peers: peers, name: name)
        node.outbox.lost(findings.lost)
        node.outbox.lost(findings.damaged, damage: "the file had another size when the slave started")
        try await serve(node, quotaAsked: asked)
    }

    private func serve(_ node: SlaveNode, quotaAsked: Int64) async throws {
        let position = try await node.catalog.position()
        let completions = Completions(node: node)
        let pulls = Pulls(node: node, completions: completions)
        let desk = OrderDesk(node: node, pulls: pulls, book: OrderBook(position))
        let listening = Latch<BrimServer>()
        let reporter = Reporter(node: node)
        let scrubber = Scrubber(node: node)
        let membership = Membership(
            node: node, desk: desk, reporter: reporter, scrubber: scrubber, quotaAsked: quotaAsked,
            port: { try await listening.get().boundPort })
        let (namespace, logger) = (node.directory.namespace, logger)
        let replica = try await node.store.io.run { try NamespaceReplica(directory: namespace, logger: logger) }
        let router = brimRouter(keys: configuration.keys, logger: logger)
        let loops: [any BackgroundLoop] = [
            reporter, node.outbox, PendingLoop(node: node, membership: membership, completions: completions),
            node.confirmations, node.commits, completions, pulls, scrubber, node.reads,
            NamespaceFollower(node: node, replica: replica, joined: membership.joined),
        ]
        let workers = [membership.worker] + loops.map(\.worker)
        SlaveRoutes(node: node, desk: desk, membership: membership, workers: workers).add(to: router)
        ReplicaRoutes(node: node, replica: replica).add(to: router)
        RecoveryRoutes(node: node, replica: replica).add(to: router)
        let listen = configuration.listen
        let server = BrimServer(
            label: "slave", host: listen?.host ?? "0.0.0.0", port: listen?.port ?? defaultSlavePort,
            fallbackPorts: listen == nil, router: router, logger: logger)
        listening.set(.success(server))
        started.set(.success(Running(node: node, server: server, membership: membership)))
        let services: [any Service] = loops.map { loop in
            if let commits = loop as? Commits { EventLoopService(commits) } else { loop }
        }
        // Ended in the opposite order: first this server says goodbye, so that masters send nobody here any more; then
        // nothing more is taken; then what is under way is finished.
        var group = ServiceGroupConfiguration(services: services + [server, membership], logger: logger)
        group.maximumGracefulShutdownDuration = .seconds(10)
        try await ServiceGroup(configuration: group).run()
    }
}
