import BrimMetadata
import BrimModel
import BrimPlacement
import BrimWire
import Logging

/// What the services of a leader share with those of every master.
struct MasterParts: Sendable {
    let store: any MetadataStore
    /// The swarm's id.
    let swarm: String
    let slaves: any SlaveLink
    /// nil: there are no rebuild drills.
    let drills: (any DrillLink)?
    let keys: SwarmKeys
    let settings: LiveSettings
    let breaker: EvictionGuard
    let views: ViewKeeper
    let namespace: NamespaceService
    /// Whether files are given the n that policies say by themselves.
    let hasPolicies: Bool
    let ids: BlobIDSource
    /// The leader's URL, and all masters.
    let masters: @Sendable () -> (leader: String?, all: [MasterStatus])
    /// What people should know of them.
    let warnings: @Sendable () async -> [String]
    let clock: any BrimClock
    let logger: Logger
}

/// The services that only the leader has, in one of its terms: they watch servers, promise and make room, order copies. They
/// begin with what is stored, and nothing of them outlives the term.
struct Leadership: Sendable {
    let mandate: Mandate
    /// Knows of each server first hand.
    let roster: Roster
    let membership: Membership
    let admin: ServerAdmin
    let forgetter: Forgetter
    let reconciler: Reconciler
    let losses: Losses
    let desk: OrderDesk
    let dispatcher: CopyDispatcher
    let writes: WriteDesk
    let room: RoomKeeper
    let status: StatusService
    let why: WhyService
    let plan: PlanService
    let drill: RebuildDrill?
    let reads: ReadLedger
    /// To be run after `begin`.
    let loops: [any BackgroundLoop]
    private let judge: ServerJudge
    let ledger: Ledger
    private let parts: MasterParts
    /// Rung when copies, room or what is wanted changed.
    private let changed: Bell
    /// Rung when something was removed.
    private let removed: Bell

    init(_ mandate: Mandate, _ parts: MasterParts) {
        let (store, settings, breaker) = (parts.store, parts.settings, parts.breaker)
        let (clock, logger) = (parts.clock, parts.logger)
        let (changed, removed) = (Bell(clock: clock), Bell(clock: clock))
        let views = LeaderViews(keeper: parts.views, mandate: mandate)
        let slaves = LeaderSlaves(base: parts.slaves, mandate: mandate)
        var limits = PlannerLimits()
        limits.maxCopies = settings.maxCopies
        let ledger = Ledger(Planner(floor: settings.floor, limits: limits), roomier: changed)
        let roster = Roster(ledger: ledger, settings: settings)
        let desk = OrderDesk(term: mandate.term, roster: roster, ledger: ledger, slaves: slaves)
        let giveUp = GiveUp(
            store: store, views: views, desk: desk, ledger: ledger, roster: roster, breaker: breaker, clock: clock,
            logger: logger)
        let rate = CopyRate()
        let dispatcher = CopyDispatcher(
            store: store, views: views, roster: roster, ledger: ledger, desk: desk, giveUp: giveUp, bell: changed,
            rate: rate, clock: clock, logger: logger)
        let replicator = Replicator(
            store: store, ledger: ledger, dispatcher: dispatcher, giveUp: giveUp, settings: settings,
            breaker: breaker, bell: changed, clock: clock, logger: logger)
        let reconciler = Reconciler(
            store: store, views: views, desk: desk, logger: logger, changed: changed, breaker: breaker, clock: clock)
        let recounter = Recounter(store: store, views: views, changed: changed, clock: clock, logger: logger)
        let drains = DrainProgress(store: store, roster: roster, settings: settings, clock: clock, logger: logger)
        let documents = ServerDocuments(store: store, roster: roster)
        let publisher = ViewPublisher(
            store: store, roster: roster, views: views, ledger: ledger, recounter: recounter, breaker: breaker,
            term: mandate.term, clock: clock)
        let judge = ServerJudge(
            documents: documents, publisher: publisher, ledger: ledger, recounter: recounter, settings: settings,
            breaker: breaker, term: mandate.term, bells: [changed, removed], clock: clock, logger: logger)
        let membership = Membership(
            documents: documents, judge: judge, publisher: publisher, ledger: ledger, reconciler: reconciler,
            settings: settings, breaker: breaker, swarm: parts.swarm, term: mandate.term, changed: changed,
            removed: removed, clock: clock, logger: logger)
        admin = ServerAdmin(
            documents: documents, judge: judge, publisher: publisher, drains: drains, slaves: slaves, breaker: breaker,
            changed: changed, logger: logger)
        forgetter = Forgetter(
            documents: documents, judge: judge, publisher: publisher, views: views, ledger: ledger, changed: changed,
            clock: clock, logger: logger)
        let versions = VersionWorker(store: store, views: views, changed: changed, clock: clock, logger: logger)
        let room = RoomKeeper(
            store: store, roster: roster, ledger: ledger, giveUp: giveUp, versions: versions, slaves: slaves,
            settings: settings, clock: clock)
        writes = WriteDesk(
            namespace: parts.namespace, store: store, roster: roster, room: room, keys: parts.keys, settings: settings,
            ids: parts.ids, clock: clock)
        status = StatusService(
            store: store, roster: roster, drains: drains, settings: settings, clock: clock, masters: parts.masters,
            heldBack: { await judge.heldBack },
            warnings: {
                [breaker.warning].compactMap { $0 } + (await judge.warnings) + (await membership.warnings)
                    + (await parts.warnings())
            },
            progress: { await replicator.progress })
        why = WhyService(
            store: store, views: views, namespace: parts.namespace, roster: roster, ledger: ledger, breaker: breaker)
        plan = PlanService(
            store: store, views: views, roster: roster, namespace: parts.namespace, settings: settings, rate: rate)
        let drill = parts.drills.map {
            RebuildDrill(store: store, slaves: $0, roster: roster, settings: settings, clock: clock, logger: logger)
        }
        self.drill = drill
        let tasks: [any BackgroundLoop] = [
            recounter, drains, replicator, judge, forgetter,
            DeletionWorker(
                store: store, roster: roster, desk: desk, bell: removed, freed: changed, clock: clock, logger: logger),
            versions, EventTrimmer(store: store, clock: clock, logger: logger),
            GrowthRecorder(store: store, clock: clock, logger: logger),
        ]
        reads = ReadLedger(store: store, clock: clock, logger: logger)
        let policies = PolicyWorker(
            store: store, views: views, policies: parts.namespace.policies, breaker: breaker, changed: changed,
            clock: clock, logger: logger)
        let introductions = Introductions(
            roster: roster, slaves: slaves, masters: { parts.masters().all.filter(\.live).map(\.url) }, clock: clock,
            logger: logger)
        loops =
            tasks + [drill].compactMap(\.self) + (parts.hasPolicies ? [policies, reads] : []) + [introductions]
        self.mandate = mandate
        self.membership = membership
        self.judge = judge
        self.roster = roster
        self.reconciler = reconciler
        losses = Losses(store: store, views: views, logger: logger, changed: changed, clock: clock)
        self.desk = desk
        self.dispatcher = dispatcher
        self.room = room
        self.ledger = ledger
        self.parts = parts
        self.changed = changed
        self.removed = removed
    }

    /// Takes up what is known of the servers; their grace begins now.
    func begin() async throws {
        try await parts.store.claimServers(term: mandate.term)
        try await judge.begin()
        await settingsChanged(parts.settings.current)
    }

    func settingsChanged(_ new: SwarmSettings) async {
        ledger.decide { planner in
            planner.floor = new.floor
            planner.limits.maxCopies = new.maxCopies
        }
        await roster.share()
        changed.ring()
    }

    /// Something was done here or at another master.
    func take(_ notice: MasterNotice) {
        for request in notice.ended { room.ended(request) }
        if notice.explainsAll { parts.breaker.explainAll() }
        if notice.explained > 0 { parts.breaker.explain(bytes: notice.explained) }
        if notice.removed { removed.ring() }
        if notice.changed { changed.ring() }
    }
}
