import BrimMetadata
import BrimModel
import BrimPlacement

/// Publishes the view that copies are counted with, as the roster would have it, and does what follows when it changes.
actor ViewPublisher {
    /// How long somebody may still name a forgotten server: longer than a write may take (`WriteDesk.lifetime`).
    private static let memorySeconds: Int64 = 24 * 3600

    private let store: any MetadataStore
    private let roster: Roster
    private let views: any Views
    private let ledger: Ledger
    private let recounter: Recounter
    private let breaker: EvictionGuard
    private let term: Int64
    private let clock: any BrimClock
    private let gate = AsyncGate()
    /// The view in force; nil when it is not known, since the answer to a publication was lost.
    private var published: ServerView?
    /// The last one that is known to have been in force.
    private var lastPublished: ServerView?
    /// Servers whose copies began or ceased to count since, perhaps, and were not recounted.
    private var uncounted: Set<ServerName> = []
    /// Ids of those being forgotten that no file names any more.
    private var struck: [ServerName: String] = [:]
    /// When each was forgotten that somebody may still name as a holder.
    private var forgotten: [ServerName: Timestamp] = [:]
    /// Of these, names that a new server wants; and since when no view in force calls them forgotten.
    private var wanted: Set<ServerName> = []
    private var released: [ServerName: ContinuousClock.Instant] = [:]
    private var shownBrims: [Int64]?

    init(
        store: any MetadataStore, roster: Roster, views: any Views, ledger: Ledger, recounter: Recounter,
        breaker: EvictionGuard, term: Int64, clock: any BrimClock = SystemClock()
    ) {
        self.store = store
        self.roster = roster
        self.views = views
        self.ledger = ledger
        self.recounter = recounter
        self.breaker = breaker
        self.term = term
        self.clock = clock
    }

    /// Publishes the view if it is not what is published already. When this returns, files whose copies count otherwise
    /// by it are about to be recounted.
    func publish() async throws {
        try await gate.exclusively { try await self.publishNow() }
    }

    // MARK: - Who is forgotten

    /// From the next view on no update of a file names this server.
    func strike(_ name: ServerName, id: String) { struck[name] = id }

    /// It is not forgotten after all.
    func unstrike(_ name: ServerName) { struck[name] = nil }

    /// Its document is gone.
    func forgot(_ name: ServerName) {
        forgotten[name] = clock.timestamp
        struck[name] = nil
        wanted.remove(name)
        released[name] = nil
    }

    /// Lets a new server have the name of a forgotten one; answers how long that takes yet. Who counts with a view that
    /// calls the name forgotten takes it off the files, so that the view has to change first, and nobody may use an
    /// older one any more.
    func release(_ name: ServerName) async throws -> Duration {
        guard forgotten[name] != nil, await roster.record(name) == nil else { return .zero }
        guard let since = released[name] else {
            wanted.insert(name)
            try await publish()
            released[name] = clock.now
            return ViewKeeper.maxAge
        }
        return max(.zero, ViewKeeper.maxAge - (clock.now - since))
    }

    /// Takes up who was forgotten lately.
    func recallForgotten() async throws {
        let since = Timestamp(seconds: clock.timestamp.seconds - Self.memorySeconds, nanoseconds: 0)
        let servers = try await store.forgotten(since: since)
        forgotten.merge(servers.map { ($0.name, $0.at) }) { max($0, $1) }
        for server in servers where struck[server.name] == server.id { struck[server.name] = nil }
    }

    // MARK: - Details

    private func publishNow() async throws {
        let members = await roster.members
        let records = members.values.map(\.record)
        let counted = Set(records.filter(\.isCounted).map(\.name))
        let readable = Set(records.filter { $0.state != .down }.map(\.name))
        let up = Set(members.values.filter { $0.isReceiving && $0.isReconciled }.map(\.record.name))
        // Whoever has the name of a forgotten server now is another one.
        let gone = Set(forgotten.keys.filter { members[$0] == nil && !wanted.contains($0) })
            .union(struck.filter { (members[$0]?.record.id ?? $1) == $1 }.keys)
        if let published, published.counted == counted, published.readable == readable, published.up == up,
            published.forgotten == gone
        {
            return
        }
        // Whatever becomes of it, copies may be counted with it from now on.
        if let lastPublished {
            uncounted.formUnion(lastPublished.counted.symmetricDifference(counted))
            uncounted.formUnion(lastPublished.readable.symmetricDifference(readable))
        }
        published = nil
        let began = clock.now
        let view = try await store.publishView(
            counted: counted.sorted(), readable: readable.sorted(), up: up.sorted(), forgotten: gone.sorted(),
            term: term)
        published = view
        lastPublished = view
        await views.take(view, readAt: began)
        await follow(view)
    }

    /// Does what follows from a change of the view. Not from the judgement that led to it: of one whose answer was lost
    /// only the document tells.
    private func follow(_ view: ServerView) async {
        let servers = uncounted.sorted()
        guard !servers.isEmpty else { return }
        uncounted = []
        breaker.explainAll()
        for server in servers where await roster.record(server) != nil {
            if !view.readable.contains(server) {
                await roster.setReconciled(server, boot: nil)
                ledger.decide { _ = $0.lost(server) }
            }
            // At once, and again when nobody can count with an older view any more.
            for delay in [Duration.zero, ViewKeeper.maxAge] {
                await recounter.add(server, rising: view.counted.contains(server), after: delay)
            }
        }
    }

    /// The views that people look at hold the servers' sizes as constants.
    func refreshShown(maxCopies: Int) async throws {
        let brims = ledger.decide { $0.countedBrims }
        guard brims != shownBrims else { return }
        try await store.refreshViews(brims: brims, maxCopies: maxCopies)
        shownBrims = brims
    }
}
