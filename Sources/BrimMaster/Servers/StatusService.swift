import BrimMetadata
import BrimModel
import BrimPlacement
import BrimWire

/// Answers `brim status`. Sums per surplus and per server are counted when asked for, but at most one count runs at a time
/// and a slow one is not repeated for twenty times as long as it took; its age is told.
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

    private struct Sums: Sendable {
        var histogram: SurplusHistogram
        var trash: TrashTotals
        var reclaimable: [ServerName: Reclaimable]
    }

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
        let (sums, age) = try await sums()
        let histogram = sums.histogram
        let masters = masters()
        let bounds = try await store.surplusBounds()
        let drill = try await store.drill()
        let doubts = DrillWarning.text(drill, every: settings.drillEvery, since: since, now: clock.timestamp)
        return StatusReply(
            files: histogram.levels.reduce(histogram.unreachableFiles) { $0 + $1.files },
            bytes: histogram.levels.reduce(histogram.unreachableBytes) { $0 + $1.bytes },
            minSurplus: bounds?.lowerBound, maxSurplus: bounds?.upperBound,
            surplus: histogram.levels.map { .init(surplus: $0.surplus, files: $0.files, bytes: $0.bytes) },
            unreachable: histogram.unreachableFiles,
            trash: StatusReply.Trash(files: sums.trash.files, bytes: sums.trash.bytes), leader: masters.leader,
            masters: masters.all, copying: now.copying, atRest: now.atRest, ageSeconds: age,
            servers: try await servers(sums), warnings: await warnings() + [doubts].compactMap(\.self), drill: drill)
    }

    func servers() async throws -> [ServerStatus] { try await servers(try await sums().0) }

    private func servers(_ sums: Sums) async throws -> [ServerStatus] {
        var all: [ServerStatus] = []
        let heldBack = await heldBack()
        for record in await roster.records { all.append(try await status(of: record, sums, heldBack)) }
        return all
    }

    func server(_ name: ServerName) async throws -> ServerStatus {
        guard let record = await roster.record(name) else {
            throw BrimError(.notFound, "there is no server named \(name)", advice: "brim servers lists them")
        }
        return try await status(of: record, try await sums().0, await heldBack())
    }

    private func status(
        of record: ServerRecord, _ sums: Sums, _ heldBack: Set<ServerName>
    ) async throws -> ServerStatus {
        // The sums may be older than what the server said.
        let (used, sums) = (record.usage.used, sums.reclaimable[record.name] ?? Reclaimable())
        let trash = min(used, sums.trash)
        let spare = min(used - trash, sums.spare)
        return ServerStatus(
            name: record.name, address: record.address, state: record.shownState, zone: record.zone,
            quota: record.quota, used: used, essential: used - spare - trash, spare: spare, trash: trash,
            free: record.free, files: record.usage.files,
            maxSurplus: try await store.maxSurplus(on: record.name),
            load: record.load, heartbeat: record.heartbeat, version: record.version,
            fault: await roster.fault(record.name)?.reason, drain: await drains.status(of: record),
            heldBack: heldBack.contains(record.name))
    }

    private func sums() async throws -> (Sums, ageSeconds: Double) {
        let asked = clock.now
        return try await gate.exclusively { try await self.count(asked: asked) }
    }

    private func count(asked: ContinuousClock.Instant) async throws -> (Sums, ageSeconds: Double) {
        let now = clock.now
        if let cached {
            let age = now - cached.at
            if cached.at >= asked || (cached.cost > .milliseconds(50) && age < cached.cost * 20) {
                return (cached.sums, age.inSeconds)
            }
        }
        var sums = Sums(
            histogram: try await store.histogram(), trash: try await store.trashTotals(nil), reclaimable: [:])
        for record in await roster.records {
            sums.reclaimable[record.name] = try await store.reclaimable(on: record.name)
        }
        cached = (sums, now, clock.now - now)
        return (sums, 0)
    }
}
