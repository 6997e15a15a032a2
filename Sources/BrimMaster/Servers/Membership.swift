import BrimMetadata
import BrimModel
import BrimPlacement
import BrimWire
import Logging
import ServiceLifecycle

/// Who is in the swarm and how they are: joins, heartbeats, reports and silence; publishes the view that copies are
/// counted with, and has files recounted when it changes.
actor Membership: BackgroundLoop {
    nonisolated let worker = Worker("membership", unit: "looks at servers")

    let store: any MetadataStore
    let roster: Roster
    let views: any Views
    let ledger: Ledger
    private let reconciler: Reconciler
    let recounter: Recounter
    private let settings: LiveSettings
    let breaker: EvictionGuard
    private let swarm: String
    private let term: Int64
    private let slaves: any SlaveLink
    let changed: Bell
    let removed: Bell
    let clock: any BrimClock
    let logger: Logger
    var watch: ServerWatch
    /// The start of each slave whose complete report was reconciled.
    var reconciledBoot: [ServerName: String] = [:]
    /// When a page of a slave's report last came in.
    var reporting: [ServerName: ContinuousClock.Instant] = [:]
    private var reports = ReportProgress()
    /// The view in force; nil when it is not known, since the answer to a publication was lost.
    private var published: ServerView?
    /// The last one that is known to have been in force.
    private var lastPublished: ServerView?
    /// Servers whose copies began or ceased to count since, perhaps, and were not recounted.
    private var uncounted: Set<ServerName> = []
    private var shownBrims: [Int64]?
    /// Servers about which a judgement is being entered, each as often as there are.
    private var judged: [ServerName: Int] = [:]
    /// A document that is read or changed is taken into the roster before another is: no old one replaces a newer.
    let documents = AsyncGate()
    private let publishing = AsyncGate()
    /// One server is struck off at a time.
    let forgetting = AsyncGate()
    let drains: DrainProgress
    /// When each was forgotten that somebody may still name as a holder.
    var forgotten: [ServerName: Timestamp] = [:]
    /// Being forgotten, and no file names them any more.
    var struck: Set<ServerName> = []

    init(
        store: any MetadataStore, roster: Roster, views: any Views, ledger: Ledger, reconciler: Reconciler,
        recounter: Recounter, drains: DrainProgress, settings: LiveSettings, breaker: EvictionGuard, swarm: String,
        term: Int64,
        slaves: any SlaveLink, changed: Bell, removed: Bell, clock: any BrimClock = SystemClock(), logger: Logger
    ) {
        self.store = store
        self.roster = roster
        self.views = views
        self.ledger = ledger
        self.reconciler = reconciler
        self.recounter = recounter
        self.drains = drains
        self.settings = settings
        self.breaker = breaker
        self.swarm = swarm
        self.term = term
        self.slaves = slaves
        self.changed = changed
        self.removed = removed
        self.clock = clock
        self.logger = logger
        watch = ServerWatch(suspectAfter: settings.suspectAfter, downAfter: settings.downAfter)
    }

    /// Takes up what the database knows of the servers; their grace begins now.
    func begin() async throws {
        let records = try await store.servers()
        await roster.take(records)
        try await recallForgotten()
        breaker.count(records)
        // What the master before had begun goes on, unless it was stopped.
        if !breaker.isOpen { breaker.explainAll() }
        for record in records {
            watch.add(record.name, state: record.state, at: clock.now)
            if record.state == .up { reconciledBoot[record.name] = record.usage.boot }
            // The master before may have ended between giving a copy up and having it deleted.
            await roster.doubt(record.name)
        }
        try await publish()
        for record in records { await recounter.add(record.name, rising: false, after: ViewKeeper.maxAge) }
    }

    func run() async throws {
        while !Task.isShuttingDownGracefully, !Task.isCancelled {
            let times = settings.current
            let tick = min(Duration.seconds(1), times.suspectAfter / 4)
            watch.setTimes(suspectAfter: times.suspectAfter, downAfter: times.downAfter)
            do {
                try await readServers()
                breaker.count(await roster.records)
                watch.hearing(true, at: clock.now)
                for transition in watch.tick(at: clock.now) { try await apply(transition) }
                // One that failed before, or a judgement that was entered although nobody was told so.
                try await publish()
                await share()
                try await refreshViews()
                worker.did(1)
                worker.rests(atMost: tick)
            } catch {
                worker.failed(error, again: tick)
                watch.hearing(false, at: clock.now)
                logger.debug("servers cannot be watched", metadata: ["error": "\(error)"])
            }
            try? await cancelWhenGracefulShutdown { try await self.clock.sleep(for: tick) }
        }
    }

    // MARK: - What slaves say

    func join(_ request: JoinRequest, masterHost: String?) async throws -> JoinReply {
        if let theirs = request.swarm, theirs != swarm {
            throw BrimError(
                .denied, "the data of \(request.name) belongs to another swarm",
                advice: "Give the slave an empty --data directory, or connect it to its own master")
        }
        guard request.quota > 0 else { throw BrimError(.invalid, "the quota of \(request.name) is 0") }
        let hello = ServerHello(
            name: request.name, id: request.id, address: request.address, zone: request.zone,
            version: request.version, requestedQuota: request.quota, usage: request.usage)
        reporting[request.name] = clock.now
        let isNew = await roster.record(request.name) == nil
        let record = try await documents.exclusively { [store, roster] in
            let record = try await store.join(hello)
            await roster.take(record)
            return record
        }
        await roster.note(
            request.name, usage: request.usage, load: record.load, at: clock.timestamp, masterHost: masterHost)
        ledger.decide { _ = $0.lost(request.name) }
        watch.add(request.name, state: record.state, at: clock.now)
        if let transition = watch.heard(request.name, at: clock.now) { try await apply(transition) }
        try await publish()
        await share()
        if isNew { breaker.explainAll() }
        logger.info(
            isNew ? "a new server joins" : "a server joins again",
            metadata: ["server.name": "\(request.name)", "server.address": "\(request.address)"])
        return JoinReply(
            swarm: swarm, quota: record.quota, heartbeatMilliseconds: settings.heartbeat.wholeMilliseconds, term: term)
    }

    func heartbeat(_ request: HeartbeatRequest, masterHost: String?) async throws -> HeartbeatReply {
        let known = try await known(request.name, id: request.id)
        try await store.noteHeartbeat(
            request.name, id: request.id, usage: request.usage, load: request.load, at: clock.timestamp)
        await roster.note(
            request.name, usage: request.usage, load: request.load, at: clock.timestamp, masterHost: masterHost)
        let isFaultNews = await roster.note(request.name, fault: request.fault)
        if isFaultNews { try await faultChanged(request.name, request.fault) }
        // Who cannot read what it has is as good as silent.
        let isReadable = request.fault?.isReadable ?? true
        if isReadable, let transition = watch.heard(request.name, at: clock.now) { try await apply(transition) }
        // The planner learns of one server here; of all, load and quotas too, with each reading of the documents.
        if ledger.decide({ $0.heard(request.usage, from: request.name) }) { changed.ring() }
        let record = await roster.record(request.name) ?? known
        return HeartbeatReply(
            state: record.state, quota: record.quota,
            report: isReadable ? await wantsReport(record, request.usage.boot) : false,
            heartbeatMilliseconds: settings.heartbeat.wholeMilliseconds, scrub: ScrubPolicy(settings.current))
    }

    func goodbye(_ request: BlobList) async throws {
        _ = try await known(request.name, id: request.id)
        logger.info("a server says goodbye", metadata: ["server.name": "\(request.name)"])
        ledger.decide { _ = $0.lost(request.name) }
        if let transition = watch.goodbye(request.name, at: clock.now) { try await apply(transition) }
    }

    func report(_ page: ReportPage) async throws -> ReportReply {
        let record = try await known(page.name, id: page.id)
        guard record.forget == nil else { throw Refusal.beingForgotten(page.name) }
        reporting[page.name] = clock.now
        try reports.take(page)
        if page.after == nil { await roster.trust(page.name) }
        let reply: ReportReply
        do {
            reply = try await reconciler.reconcile(page)
        } catch {
            reports.broke(page.name)
            throw error
        }
        if page.through == nil {
            try await store.noteReport(page.name, at: page.begun)
            reporting[page.name] = nil
            reconciledBoot[page.name] = record.usage.boot
            logger.info(
                "a server is reconciled",
                metadata: ["server.name": "\(page.name)", "missing": "\(reply.check.count)"])
            if let transition = watch.reconciled(page.name, at: clock.now) { try await apply(transition) }
            try await publish()
            removed.ring()
            changed.ring()
        }
        return reply
    }

    /// The server of this name, if it has this id too. Throws `.notFound`: the slave then joins again; `.forgotten`: it
    /// cannot, and ends.
    func known(_ name: ServerName, id: String) async throws -> ServerRecord {
        guard let record = await roster.record(name), record.id == id else {
            if try await store.isForgotten(id: id) { throw Refusal.serverForgotten(name) }
            throw BrimError(.notFound, "no server named \(name) with this id has joined", advice: "Join first")
        }
        return record
    }

    // MARK: - What people ask

    /// What people should know of the servers as a whole.
    var warnings: [String] {
        let held = watch.heldBack
        guard !held.isEmpty else { return [] }
        return [
            "\(held.map(\.rawValue).joined(separator: ", ")) fell silent together: none of them is called down until "
                + "\(DurationText.format(settings.downAfter * ServerWatch.massPatience)) have passed"
        ]
    }

    /// Settings have changed: what depends on them is decided anew.
    func settingsChanged() async {
        await share()
        changed.ring()
    }

    /// Sets a quota; returns when MongoDB and, unless it is away, the slave have it.
    func setQuota(_ name: ServerName, _ quota: Int64) async throws {
        guard quota > 0 else {
            throw BrimError(.invalid, "a quota of \(quota) bytes", advice: "Give a size of at least 1 byte")
        }
        let peer = try await roster.peer(name)
        try await documents.exclusively { [store, roster] in
            try await store.setQuota(name, quota)
            await roster.setQuota(name, quota)
        }
        if await roster.record(name)?.state != .down {
            let usage = try await slaves.setQuota(peer, quota)
            await roster.note(name, usage: usage)
        }
        await share()
        breaker.explainAll()
        logger.info("quota set", metadata: ["server.name": "\(name)", "quota": "\(quota)"])
        changed.ring()
    }

    // MARK: - Details

    private func wantsReport(_ record: ServerRecord, _ boot: String) async -> Bool {
        let doubtful = await roster.isDoubtful(record.name)
        let isTakenIn = record.state != .down || watch.waitsToBeSteady(record.name)
        let reconciled = reconciledBoot[record.name] == boot && isTakenIn
        let recent = reporting[record.name].map { clock.now - $0 < .seconds(10) } ?? false
        let stale = record.report.map { clock.timestamp.seconds - $0.seconds > 86_400 } ?? true
        return !recent && (!reconciled || stale || doubtful)
    }

    /// Has a judgement entered, unless a later one has made it void, and does what follows from it.
    private func apply(_ change: ServerWatch.Transition) async throws {
        let name = change.server
        judged[name, default: 0] += 1
        defer { judged[name] = judged[name].flatMap { $0 > 1 ? $0 - 1 : nil } }
        guard let change = try await documents.exclusively({ try await self.enter(change) }) else {
            logger.debug("a judgement is void", metadata: ["server.name": "\(name)", "to": "\(change.to)"])
            return
        }
        logger.info(
            "server \(change.to)",
            metadata: ["server.name": "\(change.server)", "from": "\(change.from)", "why": "\(change.why)"])
        if change.to == .down {
            reconciledBoot[change.server] = nil
            ledger.decide { _ = $0.lost(change.server) }
        }
        if (change.to == .down) != (change.from == .down) { breaker.explainAll() }
        try await publish()
        await share()
        changed.ring()
        removed.ring()
    }

    /// Has the files of a server counted anew that counts, or does not count, from now on: at once, and again when nobody
    /// can count with an older view any more.
    func recount(_ server: ServerName, rising: Bool) async {
        await recounter.add(server, rising: rising, after: .zero)
        await recounter.add(server, rising: rising, after: ViewKeeper.maxAge)
    }

    /// Enters what is thought of a server now; while this waited its turn that may have become something else than when
    /// `change` was decided. Returns what was entered; nil when there is nothing to enter, or somebody else has judged.
    private func enter(_ change: ServerWatch.Transition) async throws -> ServerWatch.Transition? {
        guard let from = await roster.record(change.server)?.state, let to = watch.state(change.server), from != to
        else { return nil }
        var entered = change
        (entered.from, entered.to) = (from, to)
        do {
            if try await store.setState(change.server, from: from, to: to, term: term) {
                await roster.setState(change.server, to)
                return entered
            }
            let records = try await store.servers()
            await roster.take(records)
            watchAnew(change.server, records.first { $0.name == change.server }?.state)
            return nil
        } catch {
            // What is not written must not be believed, or the next judgement would start from it.
            watchAnew(change.server, from)
            throw error
        }
    }

    private func watchAnew(_ server: ServerName, _ state: ServerState?) {
        if let state { watch.restate(server, state, at: clock.now) } else { watch.forget(server) }
    }

    /// A disk has failed, or is well again: what depends on it is decided anew.
    private func faultChanged(_ name: ServerName, _ fault: ServerFault?) async throws {
        if let fault {
            logger.error(
                "the disk of a server is failing",
                metadata: ["server.name": "\(name)", "reason": "\(fault.reason)"])
        } else {
            logger.info("the disk of a server is well again", metadata: ["server.name": "\(name)"])
        }
        try await publish()
        await share()
        changed.ring()
    }

    /// Reads the documents. Servers that are new here are watched from now on; so are those of which the documents say
    /// something else than was thought: the answer to a judgement was lost, or somebody else has judged.
    private func readServers() async throws {
        let records = try await documents.exclusively { [store, roster] in
            let records = try await store.servers()
            await roster.take(records)
            return records
        }
        for record in records where judged[record.name] == nil && watch.state(record.name) != record.state {
            watchAnew(record.name, record.state)
        }
    }

    func publish() async throws {
        try await publishing.exclusively { try await self.publishNow() }
    }

    /// Publishes the view if it is not what is published already.
    private func publishNow() async throws {
        let records = await roster.records
        let counted = records.filter(\.isCounted).map(\.name)
        let readable = records.filter { $0.state != .down }.map(\.name)
        let up = await roster.receiving.filter { reconciledBoot[$0.name] == $0.usage.boot }.map(\.name)
        // Whoever has the name of a forgotten server now is another one.
        let names = Set(records.map(\.name))
        let forgotten = struck.union(forgotten.keys.filter { !names.contains($0) }).sorted()
        if let published, published.counted == Set(counted), published.readable == Set(readable),
            published.up == Set(up), published.forgotten == Set(forgotten)
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
            counted: counted, readable: readable, up: up, forgotten: forgotten, term: term)
        published = view
        lastPublished = view
        await views.take(view, readAt: began)
        await followView(view)
    }

    /// Does what follows from a change of the view. Not from the judgement that led to it: of one whose answer was lost
    /// only the document tells.
    private func followView(_ view: ServerView) async {
        let servers = uncounted.sorted()
        uncounted = []
        for server in servers where await roster.record(server) != nil {
            let rising = view.counted.contains(server)
            if !view.readable.contains(server) {
                reconciledBoot[server] = nil
                ledger.decide { _ = $0.lost(server) }
            }
            await recount(server, rising: rising)
        }
    }

    /// The views that people look at hold the servers' sizes as constants.
    private func refreshViews() async throws {
        let brims = ledger.decide { $0.countedBrims }
        guard brims != shownBrims else { return }
        try await store.refreshViews(brims: brims, maxCopies: settings.maxCopies)
        shownBrims = brims
    }

    /// Tells the planner what the roster knows.
    func share() async {
        let snapshots = await roster.snapshots(headroom: settings.headroom)
        ledger.decide { $0.update(servers: snapshots) }
    }
}
