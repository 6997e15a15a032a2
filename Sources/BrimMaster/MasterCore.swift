import BrimMetadata
import BrimModel
import BrimPlacement
import BrimWire
import Logging
import ServiceLifecycle

/// The services of a master and how they hang together, without the server that opens them to the network: a simulation
/// runs them in a time of its own. What only the leader has is in `Leadership`, which comes and goes with the lease.
package struct MasterCore: Sendable {
    /// Who a master is to others.
    package struct Identity: Sendable {
        /// Names this start of it: no other has it.
        var id: String
        /// Names it in the lease: no other that runs has it.
        var holder: String
        var version: String
        /// Where it is reached; waits until that is known.
        var url: @Sendable () async throws -> String
        /// How long its lease lasts.
        var lease: Duration

        package init(
            id: String, holder: String, version: String, lease: Duration,
            url: @escaping @Sendable () async throws -> String
        ) {
            self.id = id
            self.holder = holder
            self.version = version
            self.lease = lease
            self.url = url
        }
    }

    let store: any MetadataStore
    /// The id of the swarm.
    let swarm: String
    /// Where this master is reached; waits until that is known.
    let url: @Sendable () async throws -> String
    let views: ViewKeeper
    let rosters: Rosters
    let namespace: NamespaceService
    let reads: ReadDesk
    let commits: CommitDesk
    let settings: SettingsKeeper
    let policy: PolicyService
    let breaker: EvictionGuard
    let leader: LeaseKeeper
    let registry: MasterRegistry
    let notices: LeaderNotices
    let masters: any MasterPeers
    let clock: SwarmClock
    let logger: Logger
    /// Answers while nobody leads.
    let lonelyStatus: StatusService
    /// To be run, in this order; those of a leader run within the last.
    package let loops: [any BackgroundLoop]

    /// Prepares the database. `random` makes ids unique among all masters. Of `settings` those in `given` are stored, if
    /// they are others than at the last start; nil: those that are not the usual ones. Without `drills` there are none, and without
    /// `policies` (those of this master alone, which may be none) neither rules nor passes over all files.
    package init(
        settings start: SwarmSettings, given: Set<SwarmSetting>? = nil, keys: SwarmKeys, identity: Identity,
        store: any MetadataStore, slaves: any SlaveLink, drills: (any DrillLink)? = nil, masters: any MasterPeers,
        policies own: [any ReplicationPolicy]? = nil,
        clock: SwarmClock = SwarmClock(),
        random: any RandomNumberGenerator & Sendable = SystemRandomNumberGenerator(), logger: Logger
    ) async throws {
        let registry = MasterRegistry(
            store: store, id: identity.id, version: identity.version, url: identity.url, clock: clock, logger: logger)
        let swarm = try await store.prepare(passwordProof: keys.proof)
        try await registry.begin()
        let (stored, current) = try await SettingsKeeper.begin(store, given: start.texts(of: given))
        let settings = LiveSettings(current)
        let breaker = EvictionGuard(store: store, settings: current, clock: clock, logger: logger)
        try await breaker.follow(stored.values[SettingsKeeper.breaker])
        // Nothing is planned with what is only read.
        let roster = Roster(ledger: Ledger(Planner(floor: settings.floor)), settings: settings)
        // Before anyone is answered: readers, and slaves that keep a copy of where the swarm is, would be told of no server.
        await roster.follow(try await store.servers())
        let views = ViewKeeper(store: store, clock: clock, logger: logger)
        let committer = Committer(store: store, views: views)
        let policies = Policies(own: own ?? [], settings: settings)
        let rules = RulesKeeper(store: store, policies: policies, clock: clock, logger: logger)
        if own != nil { try await rules.read() }
        let namespace = NamespaceService(store: store, views: views, policies: policies, clock: clock)
        let name = LeaderName()
        let policy = PolicyService(
            store: store, namespace: namespace, policies: policies, rules: rules,
            program: own?.lazy.compactMap { $0 as? PolicyProgram }.first, settings: settings, clock: clock)
        let warnings: @Sendable () async -> [String] = { registry.warnings + (await policy.warnings) }
        let parts = MasterParts(
            store: store, swarm: swarm, slaves: slaves, drills: drills, keys: keys, settings: settings,
            breaker: breaker, views: views, namespace: namespace, hasPolicies: own != nil,
            ids: BlobIDSource(clock: clock, random: random),
            masters: { (name.value, registry.masters(leader: name.value)) }, warnings: warnings,
            clock: clock, logger: logger)
        let leader = LeaseKeeper(
            store: store, holder: identity.holder, duration: identity.lease, url: identity.url, name: name,
            clock: clock, logger: logger
        ) { Leadership($0, parts) }
        let notices = LeaderNotices(leader: leader, masters: masters, clock: clock, logger: logger)
        let keeper = SettingsKeeper(
            store: store, settings: settings, stored: stored, guardian: breaker, clock: clock, logger: logger
        ) { await leader.leadership?.settingsChanged($0) }
        let rosters = Rosters(stored: roster, leader: leader)
        reads = ReadDesk(namespace: namespace, rosters: rosters, keys: keys, clock: clock)
        commits = CommitDesk(
            committer: committer, store: store, policies: policies, keys: keys, notices: notices, clock: clock)
        lonelyStatus = StatusService(
            store: store, roster: roster,
            drains: DrainProgress(store: store, roster: roster, settings: settings, clock: clock, logger: logger),
            settings: settings, clock: clock, masters: parts.masters, heldBack: { [] },
            warnings: {
                [breaker.warning].compactMap { $0 } + (await warnings())
                    + ["no leading master answers: servers are shown as last known"]
            },
            progress: { (0, false) })
        loops =
            [
                views, committer, keeper, registry, notices,
                RosterReader(store: store, roster: roster, clock: clock, logger: logger), leader,
            ] + (own == nil ? [] : [rules]) + (own ?? []).compactMap { $0 as? any BackgroundLoop }
        self.settings = keeper
        self.policy = policy
        self.breaker = breaker
        self.rosters = rosters
        self.store = store
        self.swarm = swarm
        url = identity.url
        self.views = views
        self.namespace = namespace
        self.leader = leader
        self.registry = registry
        self.notices = notices
        self.masters = masters
        self.clock = clock
        self.logger = logger
    }

    /// Has copies compared with their checksums, whichever master is asked.
    func verifyService(_ slaves: SlaveCaller) -> VerifyService {
        VerifyService(
            namespace: namespace, rosters: rosters, slaves: slaves,
            losses: Losses(store: store, views: views, logger: logger, changed: Bell(clock: clock), clock: clock),
            notices: notices)
    }

    /// Whether this master leads now.
    package var leads: Bool { leader.leadership != nil }
}
