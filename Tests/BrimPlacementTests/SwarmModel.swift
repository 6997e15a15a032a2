import BrimModel

@testable import BrimPlacement

/// A tiny swarm in memory: disks, metadata, orders on their way, and the planner in the middle, asked through the calls
/// that a replicator makes. Every change is checked; a broken rule throws `Violation`.
struct SwarmModel {
    struct Violation: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }

    struct File {
        let id: FileID
        let blob: BlobID
        let size: Int64
        var n: Int
        var replicas: Set<ServerName>
    }

    struct Server {
        let name: ServerName
        let zone: String
        var quota: Int64
        var state = ServerState.up
        var load = 0.0
        /// What is on disk.
        var blobs: [BlobID: Int64] = [:]
        /// Pulls under way.
        var reserved: [BlobID: Int64] = [:]
        /// Writes under way that have begun, by request.
        var writing: [String: Int64] = [:]
        var boot = 0
        var count: Int64 = 0
        var orders: [Order] = []
        /// Orders carried out whose answers are still on their way.
        var answers: [Answer] = []
        /// A usage was heard that includes orders not answered yet: until they are, sums may be wrong by these.
        var isAmbiguous = false
        /// Rises with what may make the slave refuse an order although the planner's sums were right.
        var disturbances = 0

        var used: Int64 { blobs.values.reduce(0, +) + (Array(reserved.values) + writing.values).reduce(0, +) }
    }

    struct Order {
        enum Work {
            case copy(CopyPlan)
            case evict(EvictionPlan)
        }
        let work: Work
        /// Those of its server when it was planned; nil: it may be refused.
        let disturbances: Int?
    }

    struct Answer {
        let work: Order.Work
        let isRefused: Bool
    }

    struct Write {
        let request: String
        let file: File
        let targets: [ServerName]
        /// As in `Order`, per target.
        let disturbances: [Int?]
        let until: ContinuousClock.Instant
    }

    /// Ways to break the planner, each of which the checks must notice.
    enum Flaw: CaseIterable {
        /// Gives up copies of files that end with less than the needy file.
        case bound
        /// Goes one below the floor.
        case floor
        /// Believes in holders that are not there.
        case lastCopy
        /// Gives up copies of files that are being copied.
        case busyVictims
        /// Forgets room promised to orders.
        case forgetsPromises
        /// Never makes room.
        case neverExchanges
        /// Never gives copies up for headroom.
        case neverRestores

        /// Words of the violation that it must lead to.
        var violation: String {
            switch self {
            case .bound, .floor: "is given up, "
            case .lastCopy: "the last copy"
            case .busyVictims: "while it is copied"
            case .forgetsPromises: "is refused"
            case .neverExchanges: "could be copied to"
            case .neverRestores: "could be restored"
            }
        }
    }

    var servers: [ServerName: Server] = [:]
    var files: [FileID: File] = [:]
    var writes: [Write] = []
    /// Pulls that were acknowledged and have not ended.
    var pulls: [CopyPlan] = []
    var planner: Planner
    var headroom: Headroom
    /// The floor that must hold.
    var floor: Int
    var random: SeededGenerator
    var flaw: Flaw?
    var clock = ContinuousClock.now
    var nextID: Int64 = 100
    let mostFiles: Int
    /// What happened, for the canary's report and to see that the model is not idle.
    var counts: [String: Int] = [:]

    init(seed: UInt64, flaw: Flaw? = nil) {
        random = SeededGenerator(seed: seed)
        floor = [0, 0, -1000, 1, -1][Int.random(in: 0..<5, using: &random)]
        headroom = [.share(0), .share(0.02), .share(0.2), .bytes(3)][Int.random(in: 0..<4, using: &random)]
        var limits = PlannerLimits()
        limits.maxCopies = [16, 16, 4, 3][Int.random(in: 0..<4, using: &random)]
        limits.maxTransfersPerTarget = [256, 2][Int.random(in: 0..<2, using: &random)]
        limits.maxBytesInFlightPerTarget = [256 << 20, 12][Int.random(in: 0..<2, using: &random)]
        limits.maxTransfersPerSource = [64, 2][Int.random(in: 0..<2, using: &random)]
        limits.smallPerTransfer = [16, 1][Int.random(in: 0..<2, using: &random)]
        mostFiles = Int.random(in: 3...30, using: &random)
        self.flaw = flaw
        planner = Planner(floor: flaw == .floor ? floor - 1 : floor, limits: limits)
        let zones = Int.random(in: 1...4, using: &random)
        for i in 0..<Int.random(in: 2...6, using: &random) {
            guard let name = ServerName(rawValue: "s\(i)") else { continue }
            let quota = Int64.random(in: 5...60, using: &random)
            servers[name] = Server(name: name, zone: "z\(i % zones)", quota: quota)
        }
    }

    mutating func count(_ what: String) { counts[what, default: 0] += 1 }

    // MARK: - Metadata

    var names: [ServerName] { servers.keys.sorted() }

    func isCounted(_ name: ServerName) -> Bool { servers[name].map { [.up, .suspect].contains($0.state) } ?? false }
    func isReadable(_ name: ServerName) -> Bool { servers[name].map { $0.state != .down } ?? false }
    func isUp(_ name: ServerName) -> Bool { servers[name]?.state == .up }
    func k(_ file: File) -> Int { file.replicas.count(where: isCounted) }
    func surplus(_ file: File) -> Int { k(file) - file.n }
    func isReadable(_ file: File) -> Bool { file.replicas.contains { isReadable($0) } }

    func needy(_ file: File) -> NeedyFile {
        NeedyFile(
            file: file.id, blob: file.blob, size: file.size, surplus: surplus(file), replicas: file.replicas.sorted())
    }

    /// As the store answers: readable, not capped by `brims` and `maxCopies`, fewest surplus first.
    func neediest() -> [NeedyFile] {
        let brims = planner.countedBrims
        return files.values
            .filter { file in
                let k = k(file)
                return isReadable(file) && k < min(planner.limits.maxCopies, brims.count) && file.size <= brims[k]
            }
            .map(needy).sorted { ($0.surplus, $0.size, $0.file) < ($1.surplus, $1.size, $1.file) }
    }

    /// As the store answers: copies on a server, most surplus first.
    func richest(on server: ServerName, minSurplus: Int) -> [Victim] {
        files.values.filter { $0.replicas.contains(server) && surplus($0) >= minSurplus }
            .map { file in
                var replicas = file.replicas.sorted()
                if flaw == .lastCopy { replicas = names }
                return Victim(
                    file: file.id, blob: file.blob, size: file.size, surplus: surplus(file), replicas: replicas)
            }
            .sorted { ($0.surplus, $0.file) > ($1.surplus, $1.file) }
    }

    /// The surpluses, copies on their way included, rising: what every exchange must raise lexicographically.
    func potential() -> [Int] {
        var coming: [FileID: Int] = [:]
        for server in servers.values {
            for case .copy(let plan) in server.orders.map(\.work) where server.state != .down {
                coming[plan.file.file, default: 0] += 1
            }
        }
        for plan in pulls where isCounted(plan.target) { coming[plan.file.file, default: 0] += 1 }
        return files.values.map { surplus($0) + (coming[$0.id] ?? 0) }.sorted()
    }

    // MARK: - What the planner hears

    func usage(_ server: Server) -> ServerUsage {
        ServerUsage(
            boot: "b\(server.boot)", count: server.count, used: server.used,
            reserved: (Array(server.reserved.values) + server.writing.values).reduce(0, +),
            writing: server.writing.values.reduce(0, +), diskFree: 1 << 40, files: Int64(server.blobs.count))
    }

    func snapshot(_ server: Server) -> ServerSnapshot {
        ServerSnapshot(
            name: server.name, zone: server.zone, receives: server.state == .up, readable: server.state != .down,
            counted: isCounted(server.name), quota: server.quota, brim: headroom.brim(ofQuota: server.quota),
            usage: usage(server), load: ServerLoad(cpu: server.load))
    }

    /// All heartbeats at once.
    mutating func hearAll() {
        planner.update(servers: names.compactMap { servers[$0].map(snapshot) })
        for name in names where isReadable(name) { hear(name) }
    }

    mutating func hear(_ name: ServerName) {
        guard let server = servers[name] else { return }
        planner.heard(usage(server), from: name)
        noteAmbiguity(of: name)
    }

    private mutating func noteAmbiguity(of name: ServerName) {
        guard var server = servers[name], !server.answers.isEmpty else { return }
        server.isAmbiguous = true
        server.disturbances += 1
        servers[name] = server
    }

    /// What to expect of an order planned now.
    mutating func disturbances(of name: ServerName) -> Int? {
        guard var server = servers[name] else { return nil }
        guard server.isAmbiguous else { return server.disturbances }
        server.disturbances += 1
        servers[name] = server
        return nil
    }
}
