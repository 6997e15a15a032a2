import BrimMetadata
import BrimModel
import BrimPlacement
import BrimWire

/// Answers `brim plan`: what something that might happen would do at once, counted in the metadata, and where the swarm would come
/// to rest after it, by letting the planner decide on a model of it (`ForeseenSwarm`).
struct PlanService: Sendable {
    /// Swarms of at most so many files are reckoned file by file, others by a sample.
    private static let mostFiles: Int64 = 20_000
    private static let sample = 10_000
    /// Directories whose files may be given another n.
    private static let mostDirectories = 100_000
    private static let mostServers = 1000
    /// How long the model may take to come to rest; others are served between so many decisions.
    private static let patience = Duration.seconds(20)
    private static let slice = 1000

    let store: any MetadataStore
    let views: any Views
    let roster: Roster
    let namespace: NamespaceService
    let settings: LiveSettings
    let rate: CopyRate

    /// Throws `.invalid` for what cannot happen, `.notFound` for servers and paths that are not there.
    func plan(_ request: PlanRequest) async throws -> PlanReply {
        let event = try await event(request)
        let added = try await servers(adding: request.add ?? [])
        let view = try await views.current()
        let histogram = try await store.histogram()
        let changes = event.isNothing ? [] : try await store.foresee(event, view: view)
        let after = Self.levels(histogram, changes)
        let (files, isWhole) = try await files(of: histogram)
        let model = try await model(files, isWhole ? nil : histogram, event, added)
        let (healed, settlement) = await Self.settled(model)
        let lost = changes.filter { $0.before != nil && $0.after == nil }
        return PlanReply(
            minSurplusNow: histogram.levels.map(\.surplus).min(), minSurplus: after.keys.min(),
            minSurplusHealed: healed, filesAtRisk: after.reduce(0) { $1.key < 0 ? $0 + $1.value : $0 },
            filesLost: lost.reduce(0) { $0 + $1.files }, bytesLost: lost.reduce(0) { $0 + $1.bytes },
            bytesToMove: settlement.copied, seconds: rate.bytesPerSecond.map { Double(settlement.copied) / $0 },
            estimated: !isWhole || !settlement.isAtRest)
    }

    // MARK: - The event

    private func event(_ request: PlanRequest) async throws -> ForeseenEvent {
        guard !(request.lose ?? []).isEmpty || !(request.add ?? []).isEmpty || request.copies != nil else {
            throw BrimError(
                .invalid, "a plan needs something that might happen",
                advice: "Name servers to lose, space to add, or another number of copies")
        }
        let known = Set(await roster.records.map(\.name))
        let unknown = (request.lose ?? []).filter { !known.contains($0) }
        guard unknown.isEmpty else {
            let names = unknown.map(\.rawValue).joined(separator: ", ")
            throw BrimError(.notFound, "there is no server named \(names)", advice: "brim servers lists them")
        }
        return ForeseenEvent(lost: Set(request.lose ?? []), copies: try await copies(request.copies))
    }

    private func copies(_ request: PlanRequest.Copies?) async throws -> ForeseenEvent.Copies? {
        guard let request else { return nil }
        try NamespaceService.checkCopies(request.n)
        let entry = try await namespace.entry(at: request.path)
        switch entry.type {
        case .file: return .init(files: [entry.id], n: request.n)
        case .symlink:
            throw BrimError(
                .invalid, "'\(request.path)' is a symbolic link, which has no copies", advice: "Name a file")
        case .directory: break
        }
        var directories: Set<FileID> = [entry.id]
        try await namespace.summarizeTree(entry.id) { sum in
            directories.formUnion(sum.subdirectories)
            guard directories.count <= Self.mostDirectories else {
                throw BrimError(
                    .invalid, "'\(request.path)' has more than \(Self.mostDirectories) directories below it",
                    advice: "Plan for parts of it")
            }
        }
        return .init(directories: directories, n: request.n)
    }

    /// Empty servers with these quotas, in zones of their own.
    private func servers(adding quotas: [Int64]) async throws -> [ServerSnapshot] {
        guard quotas.allSatisfy({ $0 > 0 }), quotas.count <= Self.mostServers else {
            throw BrimError(
                .invalid, "space is added as 1 to \(Self.mostServers) servers with a quota of 1 byte or more each")
        }
        let taken = Set(await roster.records.flatMap { [$0.name.rawValue, $0.zone] })
        let names = (1...).lazy.map { "new-\($0)" }.filter { !taken.contains($0) }
        let headroom = settings.headroom
        return try zip(quotas, names).map { quota, name in
            ServerSnapshot(
                name: try ServerName(validating: name), zone: name, quota: quota, brim: headroom.brim(ofQuota: quota),
                used: 0)
        }
    }

    /// Files by surplus right after the event.
    private static func levels(_ histogram: SurplusHistogram, _ changes: [ForeseenChange]) -> [Int: Int64] {
        var levels = Dictionary(histogram.levels.map { ($0.surplus, $0.files) }, uniquingKeysWith: +)
        for change in changes {
            if let before = change.before { levels[before, default: 0] -= change.files }
            if let after = change.after { levels[after, default: 0] += change.files }
        }
        // What changed between the two counts may be missing in one of them.
        return levels.filter { $0.value > 0 }
    }

    // MARK: - The model

    private func files(of histogram: SurplusHistogram) async throws -> (files: [SampledFile], isWhole: Bool) {
        if histogram.files <= Self.mostFiles { return (try await store.sampleFiles(nil), true) }
        return (try await store.sampleFiles(Self.sample), false)
    }

    /// Of a sample each file stands for as many as make up `all`.
    private func model(
        _ files: [SampledFile], _ all: SurplusHistogram?, _ event: ForeseenEvent, _ added: [ServerSnapshot]
    ) async throws -> ForeseenSwarm {
        let bytes = files.reduce(0.0) { $0 + Double($1.size) }
        let scale = all.map { Double($0.bytes) / max(1, bytes) } ?? 1
        let parcels = files.map { file in
            ForeseenSwarm.Parcel(
                size: all == nil ? file.size : Int64(Double(file.size) * scale),
                n: event.n(of: file.id, in: file.parent, now: file.n), replicas: file.replicas)
        }
        var held: [ServerName: Int64] = [:]
        for parcel in parcels { for name in parcel.replicas { held[name, default: 0] += parcel.size } }
        var servers = added
        for var server in await roster.snapshots where !event.lost.contains(server.name) {
            // What it holds besides these files stays: writes under way, files that nobody can read. Trash gives way at once.
            let trash = min(server.used, try await store.reclaimable(on: server.name).trash)
            var other = server.used - trash - held[server.name, default: 0]
            // What a server said may be older than what is counted; of a sample it is about as much as it holds.
            if all == nil { other = max(0, other) }
            server.quota -= other
            server.brim -= other
            if server.diskFree != .max { server.diskFree += trash }
            server.reconciled = true
            server.load = ServerLoad()
            servers.append(server)
        }
        var limits = PlannerLimits()
        limits.maxCopies = settings.maxCopies
        return ForeseenSwarm(servers: servers, parcels: parcels, floor: settings.floor, limits: limits)
    }

    private static func settled(_ model: ForeseenSwarm) async -> (minSurplus: Int?, ForeseenSwarm.Settlement) {
        var (model, total) = (model, ForeseenSwarm.Settlement())
        let end = ContinuousClock.now + patience
        while !total.isAtRest, ContinuousClock.now < end, !Task.isCancelled {
            total.add(model.settle(atMost: slice))
            await Task.yield()
        }
        return (model.minSurplus, total)
    }
}
