import BrimMetadata
import BrimModel
import BrimPlacement
import BrimWire

/// Answers `brim status`. Sums per surplus and per server are counted when asked for, but at most one count runs at a time
/// and a slow one is not repeated for twenty times as long as it took; its age is told. In a large swarm only who asks first waits for
/// one: others are told the last sums, while the next ones are counted.
actor StatusService {
    private let store: any MetadataStore
    private let roster: Roster
    let progress: @Sendable () async -> (copying: Int, atRest: Bool)
    private let warnings: @Sendable () async -> [String]
    /// The leader's URL, and all masters.
    private let masters: @Sendable () -> (leader: String?, all: [MasterStatus])
    private let drains: DrainProgress
    private let settings: LiveSettings
    /// When it began.
    private let since: Timestamp
    private let heldBack: @Sendable () async -> Set<ServerName>
    private var cached: (sums: Sums, at: ContinuousClock.Instant, cost: Duration)?
    private let clock: any BrimClock
    private let gate = AsyncGate()
    private var isRenewing = false

    private struct Sums: Sendable {
        var histogram: SurplusHistogram
        var trash: TrashTotals
        var reclaimable: [ServerName: Reclaimable] = [:]
        var maxSurplus: [ServerName: Int] = [:]
        var budget = FailureBudget(one: nil, two: nil)
        var growth: Growth?

        var files: Int64 { histogram.files + histogram.unreachableFiles }
    }

    /// A count that takes longer is not made each time that somebody asks, and with so many files nobody waits for it.
    private static let slow = Duration.milliseconds(500)
    private static let many: Int64 = 100_000
    /// Files with little surplus that are looked at to say which losses are the worst.
    private static let fragile = 100_000

    init(
        store: any MetadataStore, roster: Roster, drains: DrainProgress, settings: LiveSettings,
        clock: any BrimClock = SystemClock(),
        masters: @escaping @Sendable () -> (leader: String?, all: [MasterStatus]),
        heldBack: @escaping @Sendable () async -> Set<ServerName>,
        warnings: @escaping @Sendable () async -> [String] = { [] },
        progress: @escaping @Sendable () async -> (copying: Int, atRest: Bool)
    ) {
        self.store = store
        self.roster = roster
        self.masters = masters
        self.drains = drains
        self.settings = settings
        since = clock.timestamp
        self.heldBack = heldBack
        self.warnings = warnings
        self.progress = progress
        self.clock = clock
    }

    func status() async throws -> StatusReply {
        let now = await progress()
        let (sums, age, bounds) = try await sums()
        let histogram = sums.histogram
        let masters = masters()
        let drill = try await store.drill()
        let doubts = DrillWarning.text(drill, every: settings.drillEvery, since: since, now: clock.timestamp)
        return StatusReply(
            files: sums.files,
            bytes: histogram.bytes + histogram.unreachableBytes,
            minSurplus: bounds?.lowerBound, maxSurplus: bounds?.upperBound,
            surplus: histogram.levels.map { .init(surplus: $0.surplus, files: $0.files, bytes: $0.bytes) },
            unreachable: histogram.unreachableFiles,
            trash: StatusReply.Trash(files: sums.trash.files, bytes: sums.trash.bytes), leader: masters.leader,
            masters: masters.all, copying: now.copying, atRest: now.atRest, ageSeconds: age,
            servers: await servers(sums), warnings: await warnings() + [doubts].compactMap(\.self), drill: drill,
            failureBudget: .init(sums.budget), growth: sums.growth.map { .init($0) })
    }

    func servers() async throws -> [ServerStatus] { await servers(try await sums().0) }

    private func servers(_ sums: Sums) async -> [ServerStatus] {
        var all: [ServerStatus] = []
        let heldBack = await heldBack()
        for record in await roster.records { all.append(await status(of: record, sums, heldBack)) }
        return all
    }

    func server(_ name: ServerName) async throws -> ServerStatus {
        guard let record = await roster.record(name) else {
            throw BrimError(.notFound, "there is no server named \(name)", advice: "brim servers lists them")
        }
        return await status(of: record, try await sums().0, await heldBack())
    }

    private func status(
        of record: ServerRecord, _ sums: Sums, _ heldBack: Set<ServerName>
    ) async -> ServerStatus {
        // The sums may be older than what the server said.
        let (used, reclaimable) = (record.usage.used, sums.reclaimable[record.name] ?? Reclaimable())
        let trash = min(used, reclaimable.trash)
        let spare = min(used - trash, reclaimable.spare)
        return ServerStatus(
            name: record.name, address: record.address, state: record.shownState, zone: record.zone,
            quota: record.quota, used: used, essential: used - spare - trash, spare: spare, trash: trash,
            free: record.free, files: record.usage.files,
            maxSurplus: sums.maxSurplus[record.name],
            load: record.load, heartbeat: record.heartbeat, version: record.version,
            fault: await roster.fault(record.name)?.reason, drain: await drains.status(of: record),
            heldBack: heldBack.contains(record.name))
    }

    /// With the least and most surplus as they are now: the database is asked each time, or old sums would be told as if it
    /// answered.
    private func sums() async throws -> (Sums, ageSeconds: Double, bounds: ClosedRange<Int>?) {
        let asked = clock.now
        let (sums, age) = try await gate.exclusively { try await self.count(asked: asked) }
        return (sums, age, try await store.surplusBounds())
    }

    private func count(asked: ContinuousClock.Instant) async throws -> (Sums, ageSeconds: Double) {
        let now = clock.now
        if let cached {
            let age = now - cached.at
            let isOld = cached.cost <= Self.slow || age >= cached.cost * 20
            if cached.at >= asked || !isOld { return (cached.sums, age.inSeconds) }
            if cached.cost > Self.slow, cached.sums.files >= Self.many {
                renew()
                return (cached.sums, age.inSeconds)
            }
        }
        return (try await countAnew(), 0)
    }

    private func renew() {
        guard !isRenewing else { return }
        isRenewing = true
        Task {
            // When it fails the next one who asks has it tried again.
            _ = try? await countAnew()
            isRenewing = false
        }
    }

    private func countAnew() async throws -> Sums {
        let began = clock.now
        var sums = Sums(histogram: try await store.histogram(), trash: try await store.trashTotals(nil))
        let records = await roster.records
        for record in records {
            sums.reclaimable[record.name] = try await store.reclaimable(on: record.name)
            sums.maxSurplus[record.name] = try await store.maxSurplus(on: record.name)
        }
        let view = try await store.view()
        sums.budget = FailureBudget(
            servers: view.readable.sorted(), groups: try await store.fragileFiles(view: view, limit: Self.fragile))
        let present = Growth.Sample(sums.histogram, at: clock.timestamp)
        sums.growth = Growth(
            samples: try await store.growth() + [present],
            capacity: records.filter(\.isCounted).reduce(0) { $0 + settings.headroom.brim(ofQuota: $1.quota) })
        cached = (sums, began, clock.now - began)
        return sums
    }
}

extension StatusReply.FailureBudget {
    fileprivate init(_ budget: FailureBudget) {
        func told(_ loss: FailureBudget.Loss) -> Loss {
            Loss(
                servers: loss.servers, minSurplus: loss.minSurplus, filesLost: loss.filesLost, bytesLost: loss.bytesLost
            )
        }
        self.init(one: budget.one.map(told), two: budget.two.map(told))
    }
}

extension StatusReply.Growth {
    fileprivate init(_ growth: Growth) {
        self.init(bytesPerDay: growth.bytesPerDay, since: growth.since, exhausted: growth.exhausted)
    }
}
