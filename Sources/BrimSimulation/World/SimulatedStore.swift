import BrimMetadata
import BrimModel
import BrimPlacement
import BrimTestKit

/// One master's connection to the database. Changes are judged where they take effect.
struct SimulatedStore: MetadataStore {
    let world: World
    let process: Process
    var judge: Judge { Judge(world: world) }

    init(world: World, process: Process) {
        self.world = world
        self.process = process
    }

    func call<Value: Sendable>(
        _ name: StaticString, _ body: @Sendable (isolated InMemoryMetadataStore) throws -> Value
    ) async throws -> Value {
        do {
            let value = try await world.database.call(by: process, body)
            world.note(process.name, name)
            return value
        } catch {
            world.note(process.name, name, 1, "\(error)")
            throw error
        }
    }

    func prepare(passwordProof: String) async throws -> String {
        try await call("prepare") { try $0.prepare(passwordProof: passwordProof) }
    }

    func close() async {}

    func endStalledTransactions(after idle: Duration) async throws -> Int { 0 }
}

// MARK: - Changes

extension SimulatedStore {
    func changePosition() async throws -> ChangePosition { try await call("changePosition") { $0.changePosition() } }

    func entries(after: FileID?, limit: Int) async throws -> [Entry] {
        try await call("entries after") { $0.entries(after: after, limit: limit) }
    }

    /// Nothing that is simulated listens.
    func follow(
        after position: ChangePosition, quiet: Duration, _ take: @escaping @Sendable (ChangeStep) -> Bool
    ) async throws {
        throw BrimError(.unsupported, "the simulation follows no changes")
    }
}

// MARK: - Drills

extension SimulatedStore {
    func sample(at chance: Double, limit: Int) async throws -> NamespaceSample {
        try await call("sample at") { $0.sample(at: chance, limit: limit) }
    }

    func sample(_ range: NumberRange) async throws -> NamespaceSample { try await call("sample") { $0.sample(range) } }

    func drill() async throws -> DrillReport? { try await call("drill read") { $0.drill() } }

    func keep(_ drill: DrillReport) async throws { try await call("drill kept") { $0.keep(drill) } }
}

// MARK: - Policies

extension SimulatedStore {
    func entries(_ ids: [FileID]) async throws -> [FileID: Entry] {
        try await call("entries by id") { $0.entries(ids) }
    }

    func choose(_ changes: [PolicyChange], view: ServerView) async throws -> Int {
        try await call("choose") { store in
            let changed = store.choose(changes, view: view)
            judge.changed(store)
            return changed
        }
    }

    func rules() async throws -> StoredRules { try await call("rules") { $0.rules() } }

    func setRules(_ text: String, ifRevision revision: Int64?) async throws -> StoredRules {
        try await call("setRules") { try $0.setRules(text, ifRevision: revision) }
    }

    func policyPass() async throws -> PolicyPass? { try await call("policyPass") { $0.policyPass() } }

    func beginPolicyPass() async throws -> PolicyPass { try await call("beginPolicyPass") { $0.beginPolicyPass() } }

    func note(_ pass: PolicyPass) async throws -> Bool { try await call("note pass") { $0.note(pass) } }

    func addReads(_ reads: [BlobID: Double], at: Timestamp, due: Timestamp) async throws {
        try await call("addReads") { $0.addReads(reads, at: at, due: due) }
    }

    func filesWithReadsDue(by time: Timestamp, limit: Int) async throws -> [Entry] {
        try await call("filesWithReadsDue") { $0.filesWithReadsDue(by: time, limit: limit) }
    }

    func settleReads(_ files: [SettledReads]) async throws { try await call("settleReads") { $0.settleReads(files) } }
}

// MARK: - Namespace

extension SimulatedStore {
    func resolve(_ path: BrimPath) async throws -> [Entry] { try await call("resolve") { $0.resolve(path) } }

    func entry(_ id: FileID) async throws -> Entry? { try await call("entry") { $0.entry(id) } }

    func entry(at place: EntryPlace) async throws -> Entry? { try await call("entry at") { $0.entry(at: place) } }

    func entries(in directory: FileID, names: [EntryName]) async throws -> [EntryName: Entry] {
        try await call("entries") { $0.entries(in: directory, names: names) }
    }

    func list(_ directory: FileID, after: EntryName?, limit: Int) async throws -> [Entry] {
        try await call("list") { $0.list(directory, after: after, limit: limit) }
    }

    func outcome(of request: String) async throws -> RequestOutcome? {
        try await call("outcome") { $0.outcome(of: request) }
    }

    func refuse(_ request: String, with error: BrimError) async throws -> RequestOutcome {
        try await call("refuse") { $0.refuse(request, with: error) }
    }

    func create(_ entry: NewEntry) async throws -> Entry { try await call("create") { try $0.create(entry) } }

    func commit(_ writes: [BlobCommit], view: ServerView) async throws -> [Result<CommitOutcome, BrimError>] {
        try await call("commit") { store in
            let outcomes = store.commit(writes, view: view)
            judge.committed(writes, outcomes)
            judge.changed(store)
            return outcomes
        }
    }

    func rename(
        _ id: FileID, from: EntryPlace, to: EntryPlace, path: String, replace: Bool, view: ServerView, request: String?
    ) async throws -> Entry {
        try await call("rename") { store in
            let entry = try store.rename(
                id, from: from, to: to, path: path, replace: replace, view: view, request: request)
            judge.changed(store)
            return entry
        }
    }

    func remove(
        _ removals: [Removal], now: Bool, view: ServerView, request: String?
    ) async throws -> [BrimError?] {
        try await call("remove") { store in
            let failures = try store.remove(removals, now: now, view: view, request: request)
            judge.changed(store)
            return failures
        }
    }

    func update(
        _ id: FileID, _ change: EntryChange, ifRev rev: Int64?, view: ServerView
    ) async throws -> Entry {
        try await call("update") { try $0.update(id, change, ifRev: rev, view: view) }
    }

    func catchUp() async throws { try await call("catchUp") { $0.catchUp() } }

    func summarize(_ directories: [FileID]) async throws -> DirectorySummary {
        try await call("summarize") { $0.summarize(directories) }
    }
}

// MARK: - Servers

extension SimulatedStore {
    func servers() async throws -> [ServerRecord] {
        var records = try await call("servers") { try $0.servers() }
        if world.flaw == .drainIgnored { for index in records.indices { records[index].drain = nil } }
        return records
    }

    func join(_ hello: ServerHello) async throws -> ServerRecord { try await call("join") { try $0.join(hello) } }

    func noteHeartbeat(
        _ name: ServerName, id: String, usage: ServerUsage, load: ServerLoad, at: Timestamp
    ) async throws {
        try await call("heartbeat") { try $0.noteHeartbeat(name, id: id, usage: usage, load: load, at: at) }
    }

    func setState(_ name: ServerName, from: ServerState, to: ServerState, term: Int64) async throws -> Bool {
        try await call("setState") { try $0.setState(name, from: from, to: to, term: term) }
    }

    func setQuota(_ name: ServerName, _ quota: Int64) async throws {
        try await call("setQuota") { try $0.setQuota(name, quota) }
    }

    func noteReport(_ name: ServerName, at: Timestamp) async throws {
        try await call("noteReport") { try $0.noteReport(name, at: at) }
    }

    func view() async throws -> ServerView { try await call("view") { $0.view() } }

    func publishView(
        counted: [ServerName], readable: [ServerName], up: [ServerName], forgotten: [ServerName], term: Int64
    ) async throws -> ServerView {
        try await call("publishView") { store in
            let named = world.flaw == .forgottenNamed ? [] : forgotten
            let view = try store.publishView(
                counted: counted, readable: readable, up: up, forgotten: named, term: term)
            judge.published(view)
            return view
        }
    }
}

// MARK: - Replicas

extension SimulatedStore {
    func neediest(after: NeedyPosition?, limit: Int, brims: [Int64], maxCopies: Int) async throws -> [Entry] {
        try await call("neediest") { store in
            let needy = store.neediest(after: after, limit: limit, brims: brims, maxCopies: maxCopies)
            guard world.flaw == .trashCopied, after == nil else { return needy }
            return store.removedFiles(.below("/"), after: nil, limit: limit).map { file in
                var entry = file.entry
                entry.content?.n = file.formerN + 1
                return entry
            } + needy
        }
    }

    func refreshViews(brims: [Int64], maxCopies: Int) async throws {
        try await call("refreshViews") { $0.refreshViews(brims: brims, maxCopies: maxCopies) }
    }

    func richest(on server: ServerName, minSurplus: Int, limit: Int) async throws -> [Victim] {
        if world.flaw == .neverExchanges { return [] }
        // One that lies to the planner too, which would else not ask for what it must not have.
        let isLie = world.flaw == .giveUpUnconditional
        let victims = try await call("richest") {
            $0.richest(on: server, minSurplus: isLie ? .min : minSurplus, limit: limit)
        }
        guard isLie else { return victims }
        return victims.map { victim in
            var victim = victim
            victim.surplus += 3
            return victim
        }
    }

    func maxSurplus(on server: ServerName) async throws -> Int? {
        try await call("maxSurplus") { $0.maxSurplus(on: server) }
    }

    func reclaimable(on server: ServerName) async throws -> Reclaimable {
        try await call("reclaimable") { $0.reclaimable(on: server) }
    }

    func surplusBounds() async throws -> ClosedRange<Int>? { try await call("bounds") { $0.surplusBounds() } }

    func histogram() async throws -> SurplusHistogram { try await call("histogram") { $0.histogram() } }

    func fragileFiles(view: ServerView, limit: Int) async throws -> [FailureBudget.Group] {
        try await call("fragileFiles") { $0.fragileFiles(view: view, limit: limit) }
    }

    func foresee(_ event: ForeseenEvent, view: ServerView) async throws -> [ForeseenChange] {
        try await call("foresee") { $0.foresee(event, view: view) }
    }

    func sampleFiles(_ count: Int?) async throws -> [SampledFile] {
        try await call("sampleFiles") { $0.sampleFiles(count) }
    }

    func noteGrowth(_ sample: Growth.Sample) async throws { try await call("noteGrowth") { $0.noteGrowth(sample) } }

    func growth() async throws -> [Growth.Sample] { try await call("growth") { $0.growth() } }

    func addReplicas(_ changes: [ReplicaChange], view: ServerView) async throws -> [Bool] {
        try await call("addReplicas") { $0.addReplicas(changes, view: view) }
    }

    func giveUp(_ changes: [ReplicaChange], minSurplus: [Int], view: ServerView) async throws -> [Bool] {
        try await call("giveUp") { store in
            let before = judge.owners(changes, store)
            var (bounds, believed) = (minSurplus, view)
            if world.flaw == .giveUpUnconditional {
                bounds = minSurplus.map { _ in .min }
                believed.up = Set(world.machines.value.keys)
            }
            let answers = try store.giveUp(changes, minSurplus: bounds, view: believed)
            for (index, isGone) in answers.enumerated() where isGone {
                judge.gaveUp(changes[index], before[changes[index].blob], view: view)
            }
            judge.changed(store)
            return answers
        }
    }

    func loseReplicas(_ changes: [ReplicaChange], view: ServerView) async throws {
        if world.flaw == .lossesIgnored { return }
        try await call("loseReplicas") { store in
            store.loseReplicas(changes, view: view)
            judge.changed(store)
        }
    }

    func recount(
        _ server: ServerName, from progress: RecountProgress, rising: Bool, limit: Int, view: ServerView
    ) async throws -> RecountProgress {
        if world.flaw == .recountForgotten {
            return RecountProgress(epoch: view.epoch, after: progress.after, finished: true)
        }
        return try await call("recount") {
            try $0.recount(server, from: progress, rising: rising, limit: limit, view: view)
        }
    }

    func adopt(_ changes: [ReplicaChange], view: ServerView) async throws -> [Bool] {
        try await call("adopt") { $0.adopt(changes, view: view) }
    }

    func owners(of blobs: [BlobID]) async throws -> [BlobID: BlobOwner] {
        try await call("owners") { $0.owners(of: blobs) }
    }

    func files(withBlobs blobs: [BlobID]) async throws -> [BlobID: Entry] {
        try await call("files") { $0.files(withBlobs: blobs) }
    }

    func blobs(on server: ServerName, after: BlobID?, through: BlobID?, limit: Int) async throws -> [ReplicaChange] {
        try await call("blobs") { $0.blobs(on: server, after: after, through: through, limit: limit) }
    }

    func record(_ events: [FileEvent]) async throws { try await call("record") { $0.record(events) } }
}

// MARK: - Deletions

extension SimulatedStore {
    func pendingDeletions(on server: ServerName, limit: Int) async throws -> [BlobID] {
        if world.flaw == .deletionsForgotten { return [] }
        return try await call("pendingDeletions") { $0.pendingDeletions(on: server, limit: limit) }
    }

    func deletionsDone(on server: ServerName, _ blobs: [BlobID]) async throws {
        try await call("deletionsDone") { $0.deletionsDone(on: server, blobs) }
    }

    func deletionsDue(on server: ServerName, _ blobs: [BlobID]) async throws {
        guard !blobs.isEmpty else { return }
        try await call("deletionsDue") { $0.deletionsDue(on: server, blobs) }
    }

    func tombstoned(_ blobs: [BlobID]) async throws -> Set<BlobID> {
        try await call("tombstoned") { $0.tombstoned(blobs) }
    }

    func unknownBlobsUntil() async throws -> Timestamp? {
        try await call("unknownBlobsUntil") { $0.unknownBlobsUntil() }
    }

    func abandon(_ blobs: [BlobID]) async throws -> Set<BlobID> {
        try await call("abandon") { $0.abandon(blobs) }
    }

    func trimTombstones(before: Timestamp) async throws {
        try await call("trimTombstones") { $0.trimTombstones(before: before) }
    }
}
