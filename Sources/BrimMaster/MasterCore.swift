import BrimMetadata
import BrimModel
import BrimPlacement
import BrimWire
import Logging
import ServiceLifecycle

/// The services of a master and how they hang together, without the server that opens them to the network: a simulation
/// runs them in a time of its own.
package struct MasterCore: Sendable {
    let store: any MetadataStore
    let views: ViewKeeper
    private let judge: ServerJudge
    let membership: Membership
    let admin: ServerAdmin
    let forgetter: Forgetter
    let reconciler: Reconciler
    let desk: OrderDesk
    let dispatcher: CopyDispatcher
    let namespace: NamespaceService
    let reads: ReadDesk
    let writes: WriteDesk
    let room: RoomKeeper
    let status: StatusService
    let settings: SettingsKeeper
    let breaker: EvictionGuard
    let why: WhyService
    let roster: Roster
    /// Rung when copies, room or what is wanted changed.
    let changed: Bell
    /// Rung when something was removed.
    let removed: Bell
    /// To be run, in this order, after `begin`.
    package let loops: [any BackgroundLoop]

    /// Prepares the database and begins a term. `holder` names this master in the lease, `random` makes its ids unique,
    /// `leader` is the URL under which it is shown. Of `settings` those in `given` are stored, if they are others than at
    /// the last start; nil: those that are not the usual ones.
    package init(
        settings start: SwarmSettings, given: Set<SwarmSetting>? = nil, keys: SwarmKeys, holder: String,
        store: any MetadataStore, slaves: any SlaveLink,
        clock: any BrimClock = SystemClock(),
        random: any RandomNumberGenerator & Sendable = SystemRandomNumberGenerator(),
        leader: @escaping @Sendable () async -> String?, logger: Logger
    ) async throws {
        let swarm = try await store.prepare(passwordProof: keys.proof)
        let (stored, current) = try await SettingsKeeper.begin(store, given: start.texts(of: given))
        let settings = LiveSettings(current)
        let term = try await store.beginTerm(holder: holder)
        let (changed, removed) = (Bell(clock: clock), Bell(clock: clock))
        var limits = PlannerLimits()
        limits.maxCopies = settings.maxCopies
        let breaker = EvictionGuard(store: store, settings: current, clock: clock, logger: logger)
        try await breaker.follow(stored.values[SettingsKeeper.breaker])
        let ledger = Ledger(Planner(floor: settings.floor, limits: limits))
        let roster = Roster(ledger: ledger, settings: settings)
        let views = ViewKeeper(store: store, clock: clock, logger: logger)
        let desk = OrderDesk(term: term, roster: roster, ledger: ledger, slaves: slaves)
        let giveUp = GiveUp(
            store: store, views: views, desk: desk, ledger: ledger, roster: roster, breaker: breaker, clock: clock,
            logger: logger)
        let dispatcher = CopyDispatcher(
            store: store, views: views, roster: roster, ledger: ledger, desk: desk, giveUp: giveUp, bell: changed,
            clock: clock, logger: logger)
        let replicator = Replicator(
            store: store, ledger: ledger, dispatcher: dispatcher, giveUp: giveUp, settings: settings,
            breaker: breaker, bell: changed, clock: clock, logger: logger)
        let reconciler = Reconciler(
            store: store, views: views, logger: logger, changed: changed, breaker: breaker, clock: clock)
        let recounter = Recounter(store: store, views: views, changed: changed, clock: clock, logger: logger)
        let drains = DrainProgress(store: store, roster: roster, settings: settings, clock: clock, logger: logger)
        let documents = ServerDocuments(store: store, roster: roster)
        let publisher = ViewPublisher(
            store: store, roster: roster, views: views, ledger: ledger, recounter: recounter, breaker: breaker,
            term: term, clock: clock)
        let judge = ServerJudge(
            documents: documents, publisher: publisher, ledger: ledger, recounter: recounter, settings: settings,
            breaker: breaker, bells: [changed, removed], clock: clock, logger: logger)
        membership = Membership(
            documents: documents, judge: judge, publisher: publisher, ledger: ledger, reconciler: reconciler,
            settings: settings, breaker: breaker, swarm: swarm, term: term, changed: changed, removed: removed,
            clock: clock, logger: logger)
        admin = ServerAdmin(
            documents: documents, judge: judge, publisher: publisher, drains: drains, slaves: slaves, breaker: breaker,
            changed: changed, logger: logger)
        forgetter = Forgetter(
            documents: documents, judge: judge, publisher: publisher, views: views, ledger: ledger, changed: changed,
            clock: clock, logger: logger)
        let deletions = DeletionWorker(
            store: store, roster: roster, desk: desk, bell: removed, freed: changed, clock: clock, logger: logger)
        let versions = VersionWorker(store: store, views: views, changed: changed, clock: clock, logger: logger)
        let room = RoomKeeper(
            store: store, roster: roster, ledger: ledger, giveUp: giveUp, versions: versions, slaves: slaves,
            settings: settings, clock: clock)
        let committer = Committer(store: store, views: views)
        let namespace = NamespaceService(store: store, views: views, clock: clock)
        reads = ReadDesk(namespace: namespace, roster: roster, keys: keys, clock: clock)
        writes = WriteDesk(
            namespace: namespace, store: store, roster: roster, room: room, committer: committer, keys: keys,
            settings: settings, breaker: breaker, ids: BlobIDSource(clock: clock, random: random), changed: changed,
            clock: clock)
        status = StatusService(
            store: store, roster: roster, drains: drains, clock: clock, leader: leader,
            heldBack: { await judge.heldBack },
            warnings: { [breaker.warning].compactMap { $0 } + (await judge.warnings) },
            progress: { await replicator.progress })
        let keeper = SettingsKeeper(
            store: store, settings: settings, stored: stored, guardian: breaker, clock: clock, logger: logger
        ) { new in
            ledger.decide { planner in
                planner.floor = new.floor
                planner.limits.maxCopies = new.maxCopies
            }
            await roster.share()
            changed.ring()
        }
        let trimmer = EventTrimmer(store: store, clock: clock, logger: logger)
        why = WhyService(
            store: store, views: views, namespace: namespace, roster: roster, ledger: ledger, breaker: breaker)
        loops = [
            views, committer, recounter, deletions, versions, drains, trimmer, replicator, judge, keeper, forgetter,
        ]
        self.settings = keeper
        self.breaker = breaker
        self.roster = roster
        self.store = store
        self.views = views
        self.judge = judge
        self.reconciler = reconciler
        self.desk = desk
        self.dispatcher = dispatcher
        self.namespace = namespace
        self.room = room
        self.changed = changed
        self.removed = removed
    }

    /// Takes up what is known of the servers.
    package func begin() async throws { try await judge.begin() }
}
