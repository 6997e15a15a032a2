import BrimMetadata
import BrimModel
import BrimPlacement
import BrimWire

/// Answers `brim status`. Sums per surplus and per server are counted when asked for, but at most one count runs at a time
/// and a slow one is not repeated for twenty times as long as it took; its age is told. In a large swarm nobody waits for one: the
/// last sums are told while the next ones are counted, and before the first of a leader what was last noted of the growth.
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
    /// The count under way, or the last one.
    private var counting: Latch<Sums>?

    private struct Sums: Sendable {
        var histogram: SurplusHistogram
        var trash: TrashTotals
        var reclaimable: [ServerName: Reclaimable] = [:]
        var maxSurplus: [ServerName: Int] = [:]
        var budget = FailureBudget(one: nil, two: nil)
        var growth: Growth?
        /// What is known of all files while they are counted for the first time.
        var last: Growth.Sample?

        init(histogram: SurplusHistogram, trash: TrashTotals) {
            self.histogram = histogram
            self.trash = trash
        }

        init(last: Growth.Sample) {
            self.init(histogram: SurplusHistogram(), trash: TrashTotals())
            self.last = last
        }

        var files: Int64 { last?.files ?? histogram.files + histogram.unreachableFiles }
        var bytes: Int64 { last?.bytes ?? histogram.bytes + histogram.unreachableBytes }
        var doubt: String? {
            last.map {
                "the files are counted for the first time since this master leads: their number is that of \($0.at), and "
                    + "nothing is told yet of surplus, spare copies and trash"
            }
        }
    }

    /// A count that takes longer is not made each time that somebody asks, and with so many files nobody waits for it.
    private static let slow = Duration.milliseconds(500)
    private static let many: Int64 = 100_000
    /// Files with little surplus that are looked at to say which losses are the worst.
    private static let fragile = 100_000
    /// How long the first count is waited for.
    private static let patience = Duration.seconds(3)

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
            bytes: sums.bytes,
            minSurplus: bounds?.lowerBound, maxSurplus: bounds?.upperBound,
            surplus: histogram.levels.map { .init(surplus: $0.surplus, files: $0.files, bytes: $0.bytes) },
            unreachable: histogram.unreachableFiles,
            trash: StatusReply.Trash(files: sums.trash.files, bytes: sums.trash.bytes), leader: masters.leader,
            masters: masters.all, copying: now.copying, atRest: now.atRest, ageSeconds: age,
            servers: await servers(sums), warnings: await warnings() + [doubts, sums.doubt].compactMap(\.self),
            drill: drill,
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
        // Not in turn: those who wait for the first count do so side by side.
        let last = cached == nil ? try await beforeFirst() : nil
        let (sums, age) =
            if let last { last } else { try await gate.exclusively { try await self.count(asked: asked) } }
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

    /// Waits for the first count; nil once it is made. Of many files for no longer than `patience`: then this is what was last
    /// noted of them, while the count goes on.
    private func beforeFirst() async throws -> (Sums, ageSeconds: Double)? {
        let counting = renew()
        if let last = try await store.growth().last, last.files >= Self.many,
            try await !counting.isSet(within: Self.patience)
        {
            return (Sums(last: last), Double(max(0, clock.timestamp.seconds - last.at.seconds)))
        }
        _ = try await counting.get()
        return nil
    }

    /// Begins a count unless one is under way; it goes on when nobody waits for it any more. After one that failed the next one
    /// who asks has it tried again.
    @discardableResult
    private func renew() -> Latch<Sums> {
        if let counting, !counting.isSet { return counting }
        let begun = Latch<Sums>()
        counting = begun
        Task {
            do {
                begun.set(.success(try await countAnew()))
            } catch {
                begun.set(.failure(error))
            }
        }
        return begun
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
        // All else is told without it.
        if let groups = try await unlessTooLong({ try await store.fragileFiles(view: view, limit: Self.fragile) }) {
            sums.budget = FailureBudget(servers: view.readable.sorted(), groups: groups)
        }
        let present = Growth.Sample(sums.histogram, at: clock.timestamp)
        sums.growth = Growth(
            samples: try await store.growth() + [present],
            capacity: records.filter(\.isCounted).reduce(0) { $0 + settings.headroom.brim(ofQuota: $1.quota) })
        cached = (sums, began, clock.now - began)
        return sums
    }

    /// nil for what takes longer than the database gives it.
    private func unlessTooLong<Value>(_ body: () async throws -> Value) async throws -> Value? {
        do {
            return try await body()
        } catch let error as BrimError where error.code == .timeout {
            return nil
        }
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
