import BrimModel

/// A swarm in numbers, on which the real ``Planner`` is let loose: each of its decisions is carried out at once, until no step
/// is left. This tells where a swarm comes to rest after something that has not happened yet.
///
/// Files that are alike may be one *parcel*: a sample of a large swarm's files stands for all of them.
public struct ForeseenSwarm: Sendable {
    /// Files that have their copies on the same servers, and the same n.
    public struct Parcel: Sendable, Hashable {
        /// Bytes of all of them together.
        public var size: Int64
        public var n: Int
        /// Servers that hold them; those that are not among the swarm's do not count.
        public var replicas: [ServerName]

        public init(size: Int64, n: Int, replicas: [ServerName]) {
            self.size = size
            self.n = n
            self.replicas = replicas
        }
    }

    /// How it came to rest.
    public struct Settlement: Sendable, Hashable {
        /// Bytes of the copies that were made, and of those given up.
        public var copied: Int64 = 0
        public var givenUp: Int64 = 0
        /// Bytes that each server received.
        public var received: [ServerName: Int64] = [:]
        /// Decisions of the planner that were carried out.
        public var decisions = 0
        /// Whether no step was left; false when the decisions allowed for were used up.
        public var isAtRest = false

        public init() {}

        /// Takes in what was done after it.
        public mutating func add(_ next: Settlement) {
            copied += next.copied
            givenUp += next.givenUp
            received.merge(next.received, uniquingKeysWith: +)
            decisions += next.decisions
            isAtRest = next.isAtRest
        }
    }

    public private(set) var parcels: [Parcel]
    /// The planner tells blobs apart by their ids.
    private let blobs: [BlobID]
    private var planner: Planner
    private var servers: [ServerName: ServerSnapshot]
    /// Of each server the parcels that it holds, by surplus.
    private var shelves: [ServerName: Shelf] = [:]
    /// Words of servers so far.
    private var words: Int64 = 0
    private let maxVictims: Int

    /// `used` of the servers is replaced by what the parcels take; give room that something else takes as less quota and brim.
    public init(servers: [ServerSnapshot], parcels: [Parcel], floor: Int, limits: PlannerLimits = PlannerLimits()) {
        self.parcels = parcels
        var generator = BlobIDGenerator()
        blobs = parcels.map { _ in generator.next(seconds: 0) }
        planner = Planner(floor: floor, limits: limits)
        maxVictims = limits.maxVictims
        self.servers = Dictionary(servers.map { ($0.name, $0) }) { first, _ in first }
        for name in self.servers.keys {
            shelves[name] = Shelf()
            self.servers[name]?.used = 0
            self.servers[name]?.writing = 0
            self.servers[name]?.usageBoot = "foreseen"
            self.servers[name]?.usageCount = 0
        }
        for index in parcels.indices { shelve(index) }
        for (name, shelf) in shelves { self.servers[name]?.used = shelf.bytes }
        planner.update(servers: Array(self.servers.values))
    }

    // MARK: - What it is like

    public func k(_ parcel: Parcel) -> Int { parcel.replicas.count { servers[$0]?.counted == true } }

    public func isReadable(_ parcel: Parcel) -> Bool { parcel.replicas.contains { servers[$0]?.readable == true } }

    private func surplus(_ index: Int) -> Int { k(parcels[index]) - parcels[index].n }

    /// min(k − n) over parcels that can be read; nil when there are none.
    public var minSurplus: Int? {
        parcels.lazy.filter { isReadable($0) }.map { k($0) - $0.n }.min()
    }

    public func used(_ server: ServerName) -> Int64? { servers[server]?.used }

    // MARK: - Coming to rest

    /// Lets the planner decide until nothing is left to be done, or `most` decisions were carried out.
    public mutating func settle(atMost most: Int = .max) -> Settlement {
        var settlement = Settlement()
        var last = -1
        while settlement.decisions != last {
            last = settlement.decisions
            restoreHeadroom(&settlement)
            var levels = levelled()
            while let (surplus, indices) = levels.popLowest() {
                guard settlement.decisions < most else { return settlement }
                for index in serve(indices, surplus, &settlement, most) { levels.add(index, at: surplus + 1) }
            }
        }
        settlement.isAtRest = true
        return settlement
    }

    /// Parcels by surplus, for one pass.
    private struct Levels {
        var byLevel: [Int: [Int]] = [:]

        mutating func add(_ index: Int, at surplus: Int) { byLevel[surplus, default: []].append(index) }

        mutating func popLowest() -> (surplus: Int, indices: [Int])? {
            guard let lowest = byLevel.keys.min(), let indices = byLevel.removeValue(forKey: lowest) else { return nil }
            return (lowest, indices)
        }
    }

    private func levelled() -> Levels {
        var levels = Levels()
        for index in parcels.indices where isReadable(parcels[index]) { levels.add(index, at: surplus(index)) }
        return levels
    }

    /// Gives one more copy to as many of a level's parcels as can have one, the smallest first, and returns these.
    private mutating func serve(
        _ indices: [Int], _ surplus: Int, _ settlement: inout Settlement, _ most: Int
    ) -> [Int] {
        var served: [Int] = []
        for index in indices.sorted(by: { (parcels[$0].size, $0) < (parcels[$1].size, $1) }) {
            guard settlement.decisions < most else { break }
            let file = needy(index)
            switch planner.place(file) {
            case .copy(let plan): carryOut(plan, &settlement)
            case .makeRoom(let candidates):
                // Asked first, as it takes far less than lists of what a thousand servers could give up.
                if isAtRest(surplus, from: file.size) { return served }
                let lists = Dictionary(candidates.map { ($0, richest(on: $0, for: file)) }) { first, _ in first }
                guard let plan = planner.makeRoom(for: file, on: candidates, richest: { lists[$0] ?? [] }) else {
                    continue
                }
                carryOut(plan, &settlement)
            case .wait, .capped: continue
            }
            served.append(index)
        }
        return served
    }

    private func isAtRest(_ surplus: Int, from size: Int64) -> Bool {
        let least = planner.leastVictimSurplus(for: surplus)
        return planner.atRest(level: surplus, smallest: size, givable: shelves.mapValues { $0.bytes(from: least) })
    }

    private func needy(_ index: Int) -> NeedyFile {
        NeedyFile(
            file: Self.id(index), blob: blobs[index], size: parcels[index].size, surplus: surplus(index),
            replicas: parcels[index].replicas)
    }

    private func victim(_ index: Int) -> Victim {
        Victim(
            file: Self.id(index), blob: blobs[index], size: parcels[index].size, surplus: surplus(index),
            replicas: parcels[index].replicas)
    }

    private func richest(on server: ServerName, for file: NeedyFile) -> [Victim] {
        richest(
            on: server, from: planner.leastVictimSurplus(for: file.surplus),
            bytes: planner.bytesToFree(for: file, on: server))
    }

    /// Most surplus first, as many as free so many bytes and all that have as much surplus as the last of these.
    private func richest(on server: ServerName, from least: Int, bytes: Int64) -> [Victim] {
        guard let shelf = shelves[server], bytes < .max else { return [] }
        return shelf.richest(from: least, bytes: bytes, atMost: maxVictims).map(victim)
    }

    private mutating func restoreHeadroom(_ settlement: inout Settlement) {
        for server in planner.aboveBrim {
            let least = planner.headroomVictimSurplus(on: server)
            let victims = richest(on: server, from: least, bytes: .max - 1)
            guard let plan = planner.restoreHeadroom(on: server, richest: victims) else { continue }
            giveUp(plan.victims, on: server, &settlement)
            tell(server)
            settlement.decisions += 1
        }
    }

    // MARK: - Steps

    private mutating func carryOut(_ plan: CopyPlan, _ settlement: inout Settlement) {
        giveUp(plan.victims, on: plan.target, &settlement)
        let index = Self.index(plan.file.file)
        unshelve(index)
        parcels[index].replicas.append(plan.target)
        shelve(index)
        tell(plan.target)
        settlement.copied += plan.file.size
        settlement.received[plan.target, default: 0] += plan.file.size
        settlement.decisions += 1
    }

    private mutating func giveUp(_ victims: [Victim], on server: ServerName, _ settlement: inout Settlement) {
        for victim in victims {
            let index = Self.index(victim.file)
            unshelve(index)
            parcels[index].replicas.removeAll { $0 == server }
            shelve(index)
            settlement.givenUp += victim.size
        }
    }

    /// What the server would say now.
    private mutating func tell(_ server: ServerName) {
        guard let known = servers[server], let shelf = shelves[server] else { return }
        words += 1
        let diskFree = known.diskFree == .max ? .max : known.diskFree - (shelf.bytes - known.used)
        servers[server]?.used = shelf.bytes
        servers[server]?.diskFree = diskFree
        planner.heard(
            ServerUsage(boot: "foreseen", count: words, used: shelf.bytes, diskFree: diskFree, files: 0), from: server)
    }

    private mutating func shelve(_ index: Int) {
        let (surplus, size) = (surplus(index), parcels[index].size)
        for server in parcels[index].replicas { shelves[server]?.put(index, surplus, size) }
    }

    private mutating func unshelve(_ index: Int) {
        let (surplus, size) = (surplus(index), parcels[index].size)
        for server in parcels[index].replicas { shelves[server]?.take(index, surplus, size) }
    }

    // MARK: - Names for the planner

    private static func id(_ index: Int) -> FileID { FileID(Int64(index)) }
    private static func index(_ file: FileID) -> Int { Int(file.rawValue) }
}

/// What a server holds, by surplus: whatever is asked for is found without a look at the rest.
private struct Shelf: Sendable {
    private struct Level: Sendable {
        var indices: [Int] = []
        /// Where in `indices` each is.
        var places: [Int: Int] = [:]
        var bytes: Int64 = 0

        mutating func put(_ index: Int, _ size: Int64) {
            bytes += size
            places[index] = indices.count
            indices.append(index)
        }

        mutating func take(_ index: Int, _ size: Int64) {
            guard let place = places.removeValue(forKey: index), let last = indices.popLast() else { return }
            bytes -= size
            guard last != index else { return }
            indices[place] = last
            places[last] = place
        }
    }

    private var levels: [Int: Level] = [:]
    private(set) var bytes: Int64 = 0

    mutating func put(_ index: Int, _ surplus: Int, _ size: Int64) {
        bytes += size
        levels[surplus, default: Level()].put(index, size)
    }

    mutating func take(_ index: Int, _ surplus: Int, _ size: Int64) {
        bytes -= size
        levels[surplus]?.take(index, size)
    }

    func bytes(from least: Int) -> Int64 {
        levels.reduce(0) { $1.key >= least ? $0 + $1.value.bytes : $0 }
    }

    func richest(from least: Int, bytes: Int64, atMost most: Int) -> [Int] {
        var (found, sum): ([Int], Int64) = ([], 0)
        for (_, level) in levels.filter({ $0.key >= least }).sorted(by: { $0.key > $1.key }) {
            found += level.indices
            sum += level.bytes
            if sum >= bytes || found.count >= most { break }
        }
        return found
    }
}
