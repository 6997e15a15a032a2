import BrimMetadata
import BrimModel
import BrimPlacement
import BrimWire

/// Answers `brim status`. Sums per surplus are counted when asked for, but at most one count runs at a time and a slow
/// one is not repeated for twenty times as long as it took; its age is told.
actor StatusService {
    private let store: any MetadataStore
    private let roster: Roster
    let progress: @Sendable () async -> (copying: Int, atRest: Bool)
    private let leader: @Sendable () async -> String?
    private let drains: DrainProgress
    private let heldBack: @Sendable () async -> Set<ServerName>
    private var cached: (histogram: SurplusHistogram, at: ContinuousClock.Instant, cost: Duration)?
    private let clock: any BrimClock
    private let gate = AsyncGate()

    init(
        store: any MetadataStore, roster: Roster, drains: DrainProgress, clock: any BrimClock = SystemClock(),
        leader: @escaping @Sendable () async -> String?,
        heldBack: @escaping @Sendable () async -> Set<ServerName>,
        progress: @escaping @Sendable () async -> (copying: Int, atRest: Bool)
    ) {
        self.store = store
        self.roster = roster
        self.leader = leader
        self.drains = drains
        self.heldBack = heldBack
        self.progress = progress
        self.clock = clock
    }

    func status() async throws -> StatusReply {
        let now = await progress()
        let (histogram, age) = try await histogram()
        let bounds = try await store.surplusBounds()
        return StatusReply(
            files: histogram.levels.reduce(histogram.unreachableFiles) { $0 + $1.files },
            bytes: histogram.levels.reduce(histogram.unreachableBytes) { $0 + $1.bytes },
            minSurplus: bounds?.lowerBound, maxSurplus: bounds?.upperBound,
            surplus: histogram.levels.map { .init(surplus: $0.surplus, files: $0.files, bytes: $0.bytes) },
            unreachable: histogram.unreachableFiles, leader: await leader(), copying: now.copying, atRest: now.atRest,
            ageSeconds: age, servers: try await servers())
    }

    func servers() async throws -> [ServerStatus] {
        var all: [ServerStatus] = []
        let heldBack = await heldBack()
        for record in await roster.records { all.append(try await status(of: record, heldBack)) }
        return all
    }

    func server(_ name: ServerName) async throws -> ServerStatus {
        guard let record = await roster.record(name) else {
            throw BrimError(.notFound, "there is no server named \(name)", advice: "brim servers lists them")
        }
        return try await status(of: record, await heldBack())
    }

    private func status(of record: ServerRecord, _ heldBack: Set<ServerName>) async throws -> ServerStatus {
        let richest = try await store.richest(on: record.name, minSurplus: .min, limit: 1).first
        return ServerStatus(
            name: record.name, address: record.address, state: record.shownState, zone: record.zone,
            quota: record.quota,
            used: record.usage.used, free: record.free, files: record.usage.files, maxSurplus: richest?.surplus,
            load: record.load, heartbeat: record.heartbeat, version: record.version,
            fault: await roster.fault(record.name)?.reason, drain: await drains.status(of: record),
            heldBack: heldBack.contains(record.name))
    }

    private func histogram() async throws -> (SurplusHistogram, ageSeconds: Double) {
        let asked = clock.now
        return try await gate.exclusively { try await self.count(asked: asked) }
    }

    private func count(asked: ContinuousClock.Instant) async throws -> (SurplusHistogram, ageSeconds: Double) {
        let now = clock.now
        if let cached {
            let age = now - cached.at
            if cached.at >= asked || (cached.cost > .milliseconds(50) && age < cached.cost * 20) {
                return (cached.histogram, age.inSeconds)
            }
        }
        let histogram = try await store.histogram()
        cached = (histogram, now, clock.now - now)
        return (histogram, 0)
    }
}
