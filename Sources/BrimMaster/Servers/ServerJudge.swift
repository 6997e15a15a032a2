import BrimMetadata
import BrimModel
import BrimPlacement
import BrimWire
import Logging
import ServiceLifecycle

/// Judges servers by what they say and by their silence (`ServerWatch`), and has each judgement entered.
actor ServerJudge: BackgroundLoop {
    nonisolated let worker = Worker("membership", unit: "looks at servers")

    private let documents: ServerDocuments
    private let publisher: ViewPublisher
    private let ledger: Ledger
    private let recounter: Recounter
    private let settings: LiveSettings
    private let breaker: EvictionGuard
    /// Rung when a judgement was entered.
    private let bells: [Bell]
    private let clock: any BrimClock
    private let logger: Logger
    private var watch: ServerWatch
    /// Servers about which a judgement is being entered, each as often as there are.
    private var judged: [ServerName: Int] = [:]

    init(
        documents: ServerDocuments, publisher: ViewPublisher, ledger: Ledger, recounter: Recounter,
        settings: LiveSettings, breaker: EvictionGuard, bells: [Bell], clock: any BrimClock = SystemClock(),
        logger: Logger
    ) {
        self.documents = documents
        self.publisher = publisher
        self.ledger = ledger
        self.recounter = recounter
        self.settings = settings
        self.breaker = breaker
        self.bells = bells
        self.clock = clock
        self.logger = logger
        watch = ServerWatch(suspectAfter: settings.suspectAfter, downAfter: settings.downAfter)
    }

    private var roster: Roster { documents.roster }

    /// Takes up what the database knows of the servers; their grace begins now.
    func begin() async throws {
        let records = try await documents.read()
        try await publisher.recallForgotten()
        breaker.count(records)
        // What the master before had begun goes on, unless it was stopped.
        if !breaker.isOpen { breaker.explainAll() }
        for record in records {
            watch.add(record.name, state: record.state, at: clock.now)
            if record.state == .up { await roster.setReconciled(record.name, boot: record.usage.boot) }
            // The master before may have ended between giving a copy up and having it deleted.
            await roster.doubt(record.name)
        }
        try await publisher.publish()
        for record in records { await recounter.add(record.name, rising: false, after: ViewKeeper.maxAge) }
    }

    func run() async throws {
        repeat {
            do {
                try await look()
                worker.did(1)
                worker.rests(atMost: tick)
            } catch {
                worker.failed(error, again: tick)
                logger.debug("servers cannot be watched", metadata: ["error": "\(error)"])
            }
        } while await clock.pause(tick)
    }

    /// How often servers are looked at.
    private var tick: Duration { min(.seconds(1), settings.suspectAfter / 4) }

    /// One look at all servers. Until one succeeds silence does not count any more.
    func look() async throws {
        watch.setTimes(suspectAfter: settings.suspectAfter, downAfter: settings.downAfter)
        do {
            try await readServers()
            breaker.count(await roster.records)
            watch.hearing(true, at: clock.now)
            for transition in watch.tick(at: clock.now) { try await apply(transition) }
            // One that failed before, or a judgement that was entered although nobody was told so.
            try await publisher.publish()
            try await publisher.refreshShown(maxCopies: settings.maxCopies)
        } catch {
            watch.hearing(false, at: clock.now)
            throw error
        }
    }

    // MARK: - What it is told

    /// A server joined, or joined again.
    func joined(_ server: ServerName, state: ServerState) async throws {
        watch.add(server, state: state, at: clock.now)
        try await heard(server, at: clock.now)
    }

    /// A server spoke at `time`.
    func heard(_ server: ServerName, at time: ContinuousClock.Instant) async throws {
        if let transition = watch.heard(server, at: time) { try await apply(transition) }
    }

    func goodbye(_ server: ServerName) async throws {
        if let transition = watch.goodbye(server, at: clock.now) { try await apply(transition) }
    }

    /// Its complete report was taken in.
    func reconciled(_ server: ServerName) async throws {
        if let transition = watch.reconciled(server, at: clock.now) { try await apply(transition) }
    }

    /// A person says of a server that is silent that it is really gone.
    func confirmed(_ server: ServerName) {
        if watch.state(server) != .up { watch.confirmed(server) }
    }

    func forget(_ server: ServerName) { watch.forget(server) }

    // MARK: - What it knows

    func waitsToBeSteady(_ server: ServerName) -> Bool { watch.waitsToBeSteady(server) }

    /// Servers that are silent, and not called down because others fell silent with them.
    var heldBack: Set<ServerName> { Set(watch.heldBack) }

    /// What people should know of the servers as a whole.
    var warnings: [String] {
        let held = watch.heldBack
        guard !held.isEmpty else { return [] }
        return [
            "\(held.map(\.rawValue).joined(separator: ", ")) fell silent together: none of them is called down until "
                + "\(DurationText.format(settings.downAfter * ServerWatch.massPatience)) have passed"
        ]
    }

    // MARK: - Judgements

    /// Has a judgement entered, unless a later one has made it void, and does what follows from it.
    private func apply(_ change: ServerWatch.Transition) async throws {
        let name = change.server
        judged[name, default: 0] += 1
        defer { judged[name] = judged[name].flatMap { $0 > 1 ? $0 - 1 : nil } }
        guard let change = try await documents.exclusively({ try await self.enter(change, $0, $1) }) else {
            logger.debug("a judgement is void", metadata: ["server.name": "\(name)", "to": "\(change.to)"])
            return
        }
        logger.info(
            "server \(change.to)",
            metadata: ["server.name": "\(change.server)", "from": "\(change.from)", "why": "\(change.why)"])
        try await publisher.publish()
        for bell in bells { bell.ring() }
    }

    /// Enters what is thought of a server now; while this waited its turn that may have become something else than when
    /// `change` was decided. Returns what was entered; nil when there is nothing to enter, or somebody else has judged.
    private func enter(
        _ change: ServerWatch.Transition, _ store: any MetadataStore, _ roster: Roster
    ) async throws -> ServerWatch.Transition? {
        guard let from = await roster.record(change.server)?.state, let to = watch.state(change.server), from != to
        else { return nil }
        var entered = change
        (entered.from, entered.to) = (from, to)
        do {
            guard try await store.setState(change.server, from: from, to: to) else {
                let records = try await store.servers()
                await roster.take(records)
                watchAnew(change.server, records.first { $0.name == change.server }?.state)
                return nil
            }
        } catch {
            // What is not written must not be believed, or the next judgement would start from it.
            watchAnew(change.server, from)
            throw error
        }
        await roster.setState(change.server, to)
        // Before another judgement: a report that is taken in after this one is news.
        if to == .down {
            await roster.setReconciled(change.server, boot: nil)
            ledger.decide { _ = $0.lost(change.server) }
        }
        return entered
    }

    /// What is thought of it is void. One without a document is let go with the next look.
    private func watchAnew(_ server: ServerName, _ state: ServerState?) {
        if let state { watch.restate(server, state, at: clock.now) }
    }

    /// Reads the documents. Servers that are new here are watched from now on; so are those of which the documents say
    /// something else than was thought: the answer to a judgement was lost, or somebody else has judged.
    private func readServers() async throws {
        for record in try await documents.read()
        where judged[record.name] == nil && watch.state(record.name) != record.state {
            watchAnew(record.name, record.state)
        }
        let members = await roster.members
        let gone = watch.servers.keys.filter { members[$0] == nil }
        guard !gone.isEmpty else { return }
        // Somebody else has forgotten them, or the answer that they are forgotten was lost.
        try await publisher.recallForgotten()
        for server in gone { watch.forget(server) }
    }
}
