import BrimMetadata
import BrimModel
import BrimPlacement
import BrimWire
import Logging

/// What slaves say of themselves to the leader: joins, heartbeats, reports and goodbyes.
actor Membership {
    private let documents: ServerDocuments
    private let judge: ServerJudge
    private let publisher: ViewPublisher
    private let ledger: Ledger
    private let reconciler: Reconciler
    private let settings: LiveSettings
    private let breaker: EvictionGuard
    private let swarm: String
    private let term: Int64
    private let changed: Bell
    private let removed: Bell
    private let clock: any BrimClock
    private let logger: Logger
    /// When a page of a slave's report last came in.
    private var reporting: [ServerName: ContinuousClock.Instant] = [:]
    private var reports = ReportProgress()
    /// By how much the clocks of servers are ahead, where that is too much.
    private var wrongClocks: [ServerName: Duration] = [:]
    /// What servers hold that no file can use, by their last whole reports, and by those that are coming in.
    private var strange: [ServerName: Reconciler.Strange] = [:]
    private var strangeSoFar: [ServerName: Reconciler.Strange] = [:]

    init(
        documents: ServerDocuments, judge: ServerJudge, publisher: ViewPublisher, ledger: Ledger,
        reconciler: Reconciler, settings: LiveSettings, breaker: EvictionGuard, swarm: String, term: Int64,
        changed: Bell, removed: Bell, clock: any BrimClock = SystemClock(), logger: Logger
    ) {
        self.documents = documents
        self.judge = judge
        self.publisher = publisher
        self.ledger = ledger
        self.reconciler = reconciler
        self.settings = settings
        self.breaker = breaker
        self.swarm = swarm
        self.term = term
        self.changed = changed
        self.removed = removed
        self.clock = clock
        self.logger = logger
    }

    private var store: any MetadataStore { documents.store }
    private var roster: Roster { documents.roster }

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
        if try await !store.isForgotten(id: request.id) {
            let wait = try await publisher.release(request.name)
            guard wait <= .zero else { throw Refusal.nameJustFree(request.name, wait) }
        }
        reporting[request.name] = clock.now
        let isNew = await roster.record(request.name) == nil
        let record = try await documents.exclusively { store, roster in
            let record = try await store.join(hello)
            await roster.take(record)
            return record
        }
        await roster.note(
            request.name, usage: request.usage, load: record.load, at: clock.timestamp, masterHost: masterHost)
        ledger.decide { _ = $0.lost(request.name) }
        try await judge.joined(request.name, state: record.state)
        try await publisher.publish()
        if isNew { breaker.explainAll() }
        logger.info(
            isNew ? "a new server joins" : "a server joins again",
            metadata: ["server.name": "\(request.name)", "server.address": "\(request.address)"])
        return JoinReply(
            swarm: swarm, quota: record.quota, heartbeatMilliseconds: settings.heartbeat.wholeMilliseconds, term: term)
    }

    func heartbeat(_ request: HeartbeatRequest, masterHost: String?) async throws -> HeartbeatReply {
        let arrival = clock.now
        let known = try await known(request.name, id: request.id)
        try await store.noteHeartbeat(
            request.name, id: request.id, usage: request.usage, load: request.load, at: clock.timestamp)
        await roster.note(
            request.name, usage: request.usage, load: request.load, at: clock.timestamp, masterHost: masterHost)
        compareClock(of: request.name, request.time)
        let isFaultNews = await roster.note(request.name, fault: request.fault)
        if isFaultNews { try await faultChanged(request.name, request.fault) }
        // Who cannot read what it has is as good as silent.
        let isReadable = request.fault?.isReadable ?? true
        if isReadable { try await judge.heard(request.name, at: arrival) }
        // The planner learns of one server here; of all, load and quotas too, with each reading of the documents.
        ledger.decide { $0.heard(request.usage, from: request.name) }
        let record = await roster.record(request.name) ?? known
        return HeartbeatReply(
            state: record.state, quota: record.quota, report: isReadable ? await wantsReport(record) : false,
            heartbeatMilliseconds: settings.heartbeat.wholeMilliseconds, scrub: ScrubPolicy(settings.current))
    }

    func goodbye(_ request: BlobList) async throws {
        _ = try await known(request.name, id: request.id)
        logger.info("a server says goodbye", metadata: ["server.name": "\(request.name)"])
        ledger.decide { _ = $0.lost(request.name) }
        try await judge.goodbye(request.name)
    }

    func report(_ page: ReportPage) async throws -> ReportReply {
        let record = try await known(page.name, id: page.id)
        guard record.forget == nil else { throw Refusal.beingForgotten(page.name) }
        // It may have been on its way for long, and what came and went since under another leader is known to nobody.
        guard page.position.term == term else {
            throw BrimError(
                .conflict, "a list of \(page.name) from term \(page.position.term) says nothing in term \(term)",
                advice: "Begin the report anew")
        }
        reporting[page.name] = clock.now
        let begun = try reports.take(page, at: clock.timestamp)
        if page.after == nil {
            strangeSoFar[page.name] = nil
            await roster.trust(page.name)
        }
        let (reply, found): (ReportReply, Reconciler.Strange)
        do {
            (reply, found) = try await reconciler.reconcile(page)
        } catch {
            reports.broke(page.name)
            throw error
        }
        strangeSoFar[page.name, default: Reconciler.Strange()].add(found)
        if page.through == nil {
            strange[page.name] = strangeSoFar.removeValue(forKey: page.name)
            try await store.noteReport(page.name, at: begun)
            reporting[page.name] = nil
            await roster.setReconciled(page.name, boot: record.usage.boot)
            logger.info(
                "a server is reconciled",
                metadata: ["server.name": "\(page.name)", "missing": "\(reply.check.count)"])
            try await judge.reconciled(page.name)
            try await publisher.publish()
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

    /// What people should know of servers by what these said.
    var warnings: [String] {
        get async {
            await roster.members.keys.sorted().flatMap { name in
                [clockWarning(of: name), strangeWarning(of: name)].compactMap(\.self)
            }
        }
    }

    private func clockWarning(of name: ServerName) -> String? {
        wrongClocks[name].flatMap(MasterClocks.difference).map {
            "the clock of the server \(name) is \($0) the masters': set it, or tokens are refused there"
        }
    }

    private func strangeWarning(of name: ServerName) -> String? {
        guard let found = strange[name], found.blobs > 0 else { return nil }
        return "\(name) holds \(found.blobs) blobs (\(ByteCount.format(found.bytes))) that no file can use: they are "
            + "kept, and take room"
    }

    // MARK: - Details

    private func compareClock(of name: ServerName, _ time: Timestamp?) {
        guard let ahead = time?.since(clock.timestamp), let difference = MasterClocks.difference(ahead) else {
            wrongClocks[name] = nil
            return
        }
        if wrongClocks[name] == nil {
            logger.warning(
                "the clock of a server is wrong",
                metadata: ["server.name": "\(name)", "difference": "\(difference) the masters'"])
        }
        wrongClocks[name] = ahead
    }

    /// Whether a server should say what it has: its last report is old or not of this start, or doubt has come up since.
    private func wantsReport(_ record: ServerRecord) async -> Bool {
        let isDoubtful = await roster.isDoubtful(record.name)
        let waits = await judge.waitsToBeSteady(record.name)
        let isReconciled = await roster.isReconciled(record.name) && (record.state != .down || waits)
        let isRecent = reporting[record.name].map { clock.now - $0 < .seconds(10) } ?? false
        let isStale = record.report.map { clock.timestamp.seconds - $0.seconds > 86_400 } ?? true
        return record.forget == nil && !isRecent && (!isReconciled || isStale || isDoubtful)
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
        try await publisher.publish()
        changed.ring()
    }
}
