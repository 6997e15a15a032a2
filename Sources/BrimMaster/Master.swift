import BrimMetadata
import BrimModel
import BrimWire
import Hummingbird
import Logging
import ServiceLifecycle

/// A running master: its services, and the server that opens them to the network.
struct Master: Sendable {
    let server: BrimServer
    private let core: MasterCore
    private let feed: ChangeFeed
    private let host: String
    private let leader: LeaderName
    private let logger: Logger

    /// Prepares the database, begins a term and takes up what is known of the servers.
    init(
        configuration: MasterConfiguration, store: any MetadataStore, peers: PeerClient, logger: Logger
    ) async throws {
        let keys = configuration.keys
        let leader = LeaderName()
        let slaves = SlaveCaller(peers: peers, keys: keys, subject: "master")
        let core = try await MasterCore(
            settings: configuration.settings, given: configuration.given, keys: keys,
            holder: configuration.listen.description, store: store, slaves: slaves, leader: { leader.value },
            logger: logger)
        let router = brimRouter(keys: keys, logger: logger)
        FileRoutes(
            namespace: core.namespace, reads: core.reads, writes: core.writes, removed: core.removed,
            changed: core.changed, breaker: core.breaker
        ).add(to: router)
        NamespaceRoutes(namespace: core.namespace, reads: core.reads, writes: core.writes, changed: core.changed)
            .add(to: router)
        TrashRoutes(
            namespace: core.namespace, breaker: core.breaker, removed: core.removed, changed: core.changed
        ).add(to: router)
        ServerRoutes(status: core.status, membership: core.membership).add(to: router)
        NodeRoutes(core: core).add(to: router)
        let feed = ChangeFeed(store: store, logger: logger)
        FeedRoutes(store: store, feed: feed, roster: core.roster).add(to: router)
        CareRoutes(
            verify: VerifyService(
                namespace: core.namespace, roster: core.roster, slaves: slaves, reconciler: core.reconciler),
            workers: WorkersService(own: core.loops.map(\.worker) + [feed.worker], roster: core.roster, slaves: slaves),
            why: core.why, settings: core.settings
        ).add(to: router)
        let views = core.views
        router.get("/readyz") { _, _ in
            _ = try await views.current()
            return "ready\n"
        }

        server = BrimServer(
            label: "master", host: configuration.listen.host, port: configuration.listen.port,
            fallbackPorts: configuration.fallbackPorts, router: router, failure: { try await views.untilLost() },
            logger: logger)
        host = configuration.listen.host
        self.core = core
        self.feed = feed
        self.leader = leader
        self.logger = logger
    }

    /// Serves until shut down; `address` is told the URL once it listens.
    func run(address: Latch<String>) async throws {
        try await core.begin()
        let announcement = Announcement(server: server, host: host, leader: leader, address: address, logger: logger)
        // Shut down in reverse: first no more requests, then the loops that they use.
        try await ServiceGroup(services: core.loops + [feed, server, announcement], logger: logger).run()
    }
}

/// Tells where the master listens, once it does.
private struct Announcement: Service, CustomStringConvertible {
    /// For logs.
    var description: String { "announcement" }

    let server: BrimServer
    let host: String
    let leader: LeaderName
    let address: Latch<String>
    let logger: Logger

    func run() async throws {
        let port = try await server.boundPort
        let anywhere = host == "0.0.0.0" || host == "::"
        let url = "http://\(anywhere ? "127.0.0.1" : host):\(port)"
        leader.value = url
        logger.info("master is ready", metadata: ["master.url": "\(url)"])
        address.set(.success(url))
        try? await gracefulShutdown()
    }
}
