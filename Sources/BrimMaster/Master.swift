import BrimMetadata
import BrimModel
import BrimPlacement
import BrimWire
import Hummingbird
import Logging
import ServiceLifecycle

/// The parts of a running master and how they hang together.
struct Master: Sendable {
    let server: BrimServer
    private let loops: [any BackgroundLoop]
    private let membership: Membership
    private let host: String
    private let leader: LeaderName
    private let logger: Logger

    /// Prepares the database, begins a term and takes up what is known of the servers.
    init(
        configuration: MasterConfiguration, store: any MetadataStore, peers: PeerClient, logger: Logger
    ) async throws {
        let keys = configuration.keys
        let subject = "master"
        let swarm = try await store.prepare(passwordProof: keys.proof)
        let (stored, current) = try await SettingsKeeper.begin(
            store, given: configuration.givenTexts)
        let settings = LiveSettings(current)
        let term = try await store.beginTerm(holder: configuration.listen.description)
        let (changed, removed) = (Bell(), Bell())
        let roster = Roster()
        var limits = PlannerLimits()
        limits.maxCopies = settings.maxCopies
        let breaker = EvictionGuard(store: store, settings: current, logger: logger)
        try await breaker.follow(stored.values[SettingsKeeper.breaker])
        let ledger = Ledger(Planner(floor: settings.floor, limits: limits))
        let views = ViewKeeper(store: store, logger: logger)
        let desk = OrderDesk(term: term, roster: roster, ledger: ledger, peers: peers, keys: keys, subject: subject)
        let giveUp = GiveUp(
            store: store, views: views, desk: desk, ledger: ledger, roster: roster, breaker: breaker, logger: logger)
        let dispatcher = CopyDispatcher(
            store: store, views: views, roster: roster, ledger: ledger, desk: desk, giveUp: giveUp, bell: changed,
            logger: logger)
        let replicator = Replicator(
            store: store, roster: roster, ledger: ledger, dispatcher: dispatcher, giveUp: giveUp, settings: settings,
            breaker: breaker, bell: changed, logger: logger)
        let reconciler = Reconciler(store: store, views: views, logger: logger, changed: changed, breaker: breaker)
        let recounter = Recounter(store: store, views: views, changed: changed, logger: logger)
        let slaves = SlaveCaller(peers: peers, keys: keys, subject: subject)
        let membership = Membership(
            store: store, roster: roster, views: views, ledger: ledger, reconciler: reconciler, recounter: recounter,
            settings: settings, breaker: breaker, swarm: swarm, term: term, slaves: slaves, changed: changed,
            removed: removed,
            logger: logger)
        let deletions = DeletionWorker(
            store: store, roster: roster, desk: desk, bell: removed, freed: changed, logger: logger)
        let room = RoomKeeper(
            store: store, roster: roster, ledger: ledger, giveUp: giveUp, slaves: slaves, settings: settings)
        let committer = Committer(store: store, views: views)
        let namespace = NamespaceService(store: store, views: views)
        let reads = ReadDesk(namespace: namespace, roster: roster, keys: keys)
        let writes = WriteDesk(
            namespace: namespace, store: store, roster: roster, room: room, committer: committer, keys: keys,
            settings: settings, breaker: breaker, ids: BlobIDSource(), changed: changed, removed: removed)
        let leader = LeaderName()
        let status = StatusService(
            store: store, roster: roster, leader: { leader.value },
            warnings: { [breaker.warning].compactMap { $0 } + (await membership.warnings) },
            progress: { await replicator.progress })
        let keeper = SettingsKeeper(
            store: store, settings: settings, stored: stored, guardian: breaker,
            logger: logger
        ) { new in
            ledger.decide { planner in
                planner.floor = new.floor
                planner.limits.maxCopies = new.maxCopies
            }
            await membership.settingsChanged()
        }
        let trimmer = EventTrimmer(store: store, logger: logger)
        loops = [views, committer, recounter, deletions, trimmer, replicator, membership, keeper]

        let router = brimRouter(keys: keys, logger: logger)
        FileRoutes(
            namespace: namespace, reads: reads, writes: writes, removed: removed, changed: changed, breaker: breaker
        )
        .add(to: router)
        NamespaceRoutes(namespace: namespace, reads: reads, writes: writes, removed: removed).add(to: router)
        ServerRoutes(status: status, membership: membership).add(to: router)
        NodeRoutes(
            store: store, membership: membership, reconciler: reconciler, dispatcher: dispatcher, writes: writes,
            room: room, changed: changed
        ).add(to: router)
        CareRoutes(
            verify: VerifyService(namespace: namespace, roster: roster, slaves: slaves, reconciler: reconciler),
            workers: WorkersService(own: loops.map(\.worker), roster: roster, slaves: slaves),
            why: WhyService(
                store: store, views: views, namespace: namespace, roster: roster, ledger: ledger, breaker: breaker),
            settings: keeper
        ).add(to: router)
        router.get("/readyz") { _, _ in
            _ = try await views.current()
            return "ready\n"
        }

        server = BrimServer(
            label: "master", host: configuration.listen.host, port: configuration.listen.port,
            fallbackPorts: configuration.fallbackPorts, router: router, failure: { try await views.untilLost() },
            logger: logger)
        host = configuration.listen.host
        self.membership = membership
        self.leader = leader
        self.logger = logger
    }

    /// Serves until shut down; `address` is told the URL once it listens.
    func run(address: Latch<String>) async throws {
        try await membership.begin()
        let announcement = Announcement(server: server, host: host, leader: leader, address: address, logger: logger)
        // Shut down in reverse: first no more requests, then the loops that they use.
        try await ServiceGroup(services: loops + [server, announcement], logger: logger).run()
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
