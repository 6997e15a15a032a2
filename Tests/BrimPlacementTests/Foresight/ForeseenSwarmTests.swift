import BrimModel
import BrimPlacement
import Testing

/// Where a swarm in numbers comes to rest.
@Suite struct ForeseenSwarmTests {
    private static func servers(_ count: Int, quota: Int64, brim: Int64? = nil) -> [ServerSnapshot] {
        (0..<count).map { server("s\($0)", quota: quota, brim: brim) }
    }

    @Test func spareRoomIsFilledLevelByLevel() throws {
        let servers = Self.servers(3, quota: 100)
        let names = servers.map(\.name)
        let parcels = (0..<10).map { number in
            ForeseenSwarm.Parcel(size: 10, n: 2, replicas: [names[number % 3], names[(number + 1) % 3]])
        }
        var swarm = ForeseenSwarm(servers: servers, parcels: parcels, floor: 0)
        #expect(swarm.minSurplus == 0)
        let settlement = swarm.settle()
        #expect(swarm.minSurplus == 1 && settlement.isAtRest)
        #expect(settlement.copied == 100 && settlement.givenUp == 0 && settlement.decisions == 10)
        #expect(settlement.received.values.reduce(0, +) == 100)
        for name in names { #expect(swarm.used(name) == 100) }
        var again = swarm
        #expect(again.settle().decisions == 0, "it is at rest")
    }

    /// Two files have lost a copy: room is made by giving up copies of the richest.
    @Test func theRichestGiveWayToTheNeediest() throws {
        let servers = Self.servers(3, quota: 60)
        let names = servers.map(\.name)
        let parcels =
            (0..<2).map { _ in ForeseenSwarm.Parcel(size: 10, n: 3, replicas: [names[0]]) }
            + (0..<4).map { _ in ForeseenSwarm.Parcel(size: 10, n: 1, replicas: names) }
        var swarm = ForeseenSwarm(servers: servers, parcels: parcels, floor: 0)
        #expect(swarm.minSurplus == -2)
        let settlement = swarm.settle()
        // Twelve wanted places are needed at the least, eighteen are there.
        #expect(swarm.minSurplus == 0)
        #expect(settlement.copied == 40 && settlement.givenUp == 0, "on two servers there was room")
        var tight = ForeseenSwarm(servers: Self.servers(3, quota: 50), parcels: parcels.dropLast(0), floor: 0)
        // The first server is above its quota at first.
        let made = tight.settle()
        #expect(tight.minSurplus == 0 && made.givenUp > 0)
        for name in names { #expect((tight.used(name) ?? 0) <= 50) }
    }

    @Test func whatCannotBeReadIsLeftOut() throws {
        let servers = Self.servers(2, quota: 100)
        let gone = name("gone")
        var swarm = ForeseenSwarm(
            servers: servers,
            parcels: [
                .init(size: 10, n: 2, replicas: [gone]), .init(size: 10, n: 2, replicas: [servers[0].name, gone]),
            ], floor: 0)
        #expect(swarm.minSurplus == -1)
        #expect(swarm.settle().copied == 10)
        #expect(swarm.minSurplus == 0)
        #expect(swarm.parcels.map { swarm.isReadable($0) } == [false, true])
    }

    /// Whatever servers said in earnest, and however often.
    @Test func theirLastWordsAreOfNoMeaning() throws {
        let silent = Self.servers(4, quota: 1000, brim: 980)
        let told = silent.map { server in
            ServerSnapshot(
                name: server.name, zone: server.zone, receives: true, readable: true, counted: true,
                quota: server.quota, brim: server.brim, usage: usage(5000, used: 700, writing: 300), load: ServerLoad())
        }
        let names = silent.map(\.name)
        let parcels = (0..<60).map { number in
            ForeseenSwarm.Parcel(
                size: 20, n: number < 30 ? 1 : 3,
                replicas: number < 30 ? Array(names.dropLast(number % 2)) : [names[number % 4]])
        }
        var (expected, swarm) = (
            ForeseenSwarm(servers: silent, parcels: parcels, floor: 0),
            ForeseenSwarm(servers: told, parcels: parcels, floor: 0)
        )
        let settlement = expected.settle()
        #expect(settlement.givenUp > 0 && settlement == swarm.settle())
        #expect(expected.minSurplus == swarm.minSurplus)
    }

    @Test func decisionsMayBeLimited() throws {
        let servers = Self.servers(3, quota: 1000)
        let parcels = (0..<20).map { _ in ForeseenSwarm.Parcel(size: 10, n: 1, replicas: [servers[0].name]) }
        var swarm = ForeseenSwarm(servers: servers, parcels: parcels, floor: 0)
        let settlement = swarm.settle(atMost: 7)
        #expect(settlement.decisions == 7 && !settlement.isAtRest)
        #expect(swarm.settle().isAtRest)
    }

    /// At the end nothing is left that the planner would do, and no server holds more than it may.
    @Test(arguments: 0..<40 as Range<UInt64>)
    func atRestNoStepIsLeft(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let quota = Int64.random(in: 200...2000, using: &random)
        let servers = Self.servers(Int.random(in: 2...8, using: &random), quota: quota, brim: quota - quota / 20)
        let names = servers.map(\.name)
        let parcels = (0..<Int.random(in: 1...120, using: &random)).map { _ in
            ForeseenSwarm.Parcel(
                size: Int64.random(in: 1...60, using: &random), n: Int.random(in: 1...4, using: &random),
                replicas: Array(names.shuffled(using: &random).prefix(Int.random(in: 1...names.count, using: &random))))
        }
        var swarm = ForeseenSwarm(servers: servers, parcels: parcels, floor: 0)
        let before = swarm.minSurplus
        let mayShrink = names.contains { (swarm.used($0) ?? 0) > quota - quota / 20 }
        let settlement = swarm.settle()
        #expect(settlement.isAtRest)
        if !mayShrink { #expect(swarm.minSurplus ?? 0 >= before ?? 0) }
        var planner = Planner(floor: 0)
        planner.update(
            servers: try servers.map { server in
                var server = server
                server.used = try #require(swarm.used(server.name))
                #expect(server.used <= quota || mayShrink)
                return server
            })
        for name in names {
            let held = swarm.parcels.filter { $0.replicas.contains(name) }.reduce(0) { $0 + $1.size }
            #expect(swarm.used(name) == held)
        }
        for (index, parcel) in swarm.parcels.enumerated() {
            #expect(Set(parcel.replicas).count == parcel.replicas.count)
            let file = Self.needy(index, parcel)
            switch planner.place(file) {
            case .copy(let plan): Issue.record("\(parcel) could go to \(plan.target)")
            case .makeRoom(let candidates):
                let plan = planner.makeRoom(for: file, on: candidates) { server in
                    swarm.parcels.enumerated().filter { $0.element.replicas.contains(server) }
                        .map { Self.victim($0.offset, $0.element) }.sorted { $0.surplus > $1.surplus }
                }
                #expect(plan == nil, "\(parcel) could have one more copy")
            case .wait, .capped: break
            }
        }
    }

    /// A sample stands for the whole: a hundred files taken for one come to the same end.
    @Test func aParcelIsAsManyFiles() throws {
        let servers = Self.servers(6, quota: 100_000)
        let names = servers.map(\.name)
        func swarm(_ each: Int64) -> ForeseenSwarm {
            let parcels = (0..<Int(6000 / each)).map { number in
                ForeseenSwarm.Parcel(
                    size: 20 * each, n: 2,
                    replicas: [names[number % 6], names[(number + 1 + number % 5) % 6]])
            }
            return ForeseenSwarm(servers: servers, parcels: parcels, floor: 0)
        }
        var (fine, coarse) = (swarm(10), swarm(100))
        let (few, many) = (coarse.settle(), fine.settle())
        #expect(fine.minSurplus == coarse.minSurplus && fine.minSurplus == 3)
        #expect(abs(few.copied - many.copied) <= many.copied / 20, "\(few.copied), \(many.copied)")
    }

    private static func needy(_ index: Int, _ parcel: ForeseenSwarm.Parcel) -> NeedyFile {
        NeedyFile(
            file: FileID(Int64(index)), blob: blob(Int64(index)), size: parcel.size,
            surplus: parcel.replicas.count - parcel.n, replicas: parcel.replicas)
    }

    private static func victim(_ index: Int, _ parcel: ForeseenSwarm.Parcel) -> Victim {
        Victim(
            file: FileID(Int64(index)), blob: blob(Int64(index)), size: parcel.size,
            surplus: parcel.replicas.count - parcel.n, replicas: parcel.replicas)
    }
}
