import BrimModel
import Testing

@testable import BrimPlacement

@Suite struct PlaceTests {
    @Test func prefersAZoneWithoutACopyThenTheEmptiestByShare() {
        let planner = makePlanner(
            server("a", zone: "x"), server("b", zone: "x", used: 0), server("c", zone: "y", quota: 100, used: 50),
            server("d", zone: "z", quota: 1000, used: 100))
        #expect(planner.place(needy(1, on: "a")).target == "d")
        #expect(planner.place(needy(1, on: "a", "d")).target == "c")
        #expect(planner.place(needy(1, on: "a", "c", "d")).target == "b")
    }

    @Test func headroomIsForFilesAtRisk() {
        let planner = makePlanner(server("a"), server("b", quota: 10, brim: 8, used: 7))
        #expect(planner.place(needy(1, size: 2, surplus: -1, on: "a")).target == "b")
        #expect(planner.place(needy(1, size: 2, surplus: 0, on: "a")).candidates == ["b"])
        #expect(planner.place(needy(1, size: 1, surplus: 0, on: "a")).target == "b")
        #expect(planner.place(needy(1, size: 4, surplus: -1, on: "a")).candidates == ["b"])
    }

    @Test func emptyFilesFitBelowTheQuota() {
        let planner = makePlanner(
            server("a"), server("b", quota: 10, brim: 8, used: 10), server("c", quota: 10, used: 11))
        #expect(planner.place(needy(1, size: 0, surplus: 3, on: "a")).target == "b")
        #expect(planner.place(needy(1, size: 0, surplus: 3, on: "a", "b")).candidates == ["c"])
    }

    @Test func neverMoreThanTheDiskHasFree() {
        let planner = makePlanner(server("a"), server("b", diskFree: 4))
        #expect(planner.place(needy(1, size: 4, surplus: -1, on: "a")).target == "b")
        #expect(planner.place(needy(1, size: 5, surplus: -1, on: "a")).candidates == ["b"])
        #expect(planner.bytesToFree(for: needy(1, size: 5, surplus: -1, on: "a"), on: name("b")) == 1)
    }

    @Test func capped() {
        var limits = PlannerLimits()
        limits.maxCopies = 2
        let planner = makePlanner(limits: limits, server("a"), server("b", quota: 10, brim: 8), server("c"))
        #expect(planner.place(needy(1, on: "a", "b", "c")) == .capped)
        #expect(planner.place(needy(1, on: "a", "b")) == .capped, "as many as --max-copies")
        #expect(planner.place(needy(1, size: 101, on: "a")) == .capped)
        let two = self.two(brim: 8)
        #expect(two.place(needy(1, size: 9, surplus: 0, on: "a")) == .capped)
        #expect(two.place(needy(1, size: 9, surplus: -1, on: "a")).target == "b")
        #expect(two.place(needy(1, size: 11, surplus: -1, on: "a")) == .capped)
        #expect(two.bytesToFree(for: needy(1, size: 11, surplus: -1, on: "a"), on: name("b")) == .max)
    }

    private func two(brim: Int64) -> Planner { makePlanner(server("a"), server("b", quota: 10, brim: brim)) }

    @Test func notWhereItIsBeingGivenUp() {
        var planner = makePlanner(server("a"), server("b"))
        let eviction = EvictionPlan(server: name("b"), victims: [victim(1, on: "a", "b")])
        planner.ordered(eviction)
        #expect(planner.place(needy(1, on: "a")) == .wait)
        planner.forgetRound()
        #expect(planner.place(needy(1, on: "a")) == .wait)
        planner.failed(eviction)
        #expect(planner.place(needy(1, on: "a")).target == "b")
    }

    @Test func waitsForServersThatAreSilentForAWhile() {
        let silent = makePlanner(server("a"), server("b", receives: false))
        #expect(silent.place(needy(1, on: "a")) == .wait)
        let gone = makePlanner(server("a"), server("b", receives: false, readable: false))
        #expect(gone.place(needy(1, on: "a")) == .capped)
    }

    @Test func sourcesAreUpFirstThenLeastBusy() {
        let planner = makePlanner(
            server("a", receives: false), server("b", cpu: 0.9), server("c", cpu: 0.1),
            server("d", receives: false, readable: false), server("e"))
        let plan = planner.place(needy(1, on: "a", "b", "c", "d", "unknown")).plan
        #expect(plan?.sources.map(\.rawValue) == ["c", "b", "a"])
        #expect(plan?.target == name("e"))
        #expect(planner.place(needy(1, on: "d")) == .wait, "no source can be read")
    }

    @Test func limitsOfWhatIsUnderWay() throws {
        var limits = PlannerLimits()
        limits.maxTransfersPerTarget = 3
        limits.maxTransfersPerSource = 4
        limits.smallPerTransfer = 1
        limits.maxBytesInFlightPerTarget = 10
        var planner = makePlanner(limits: limits, server("a", quota: 1000), server("b", quota: 1000))
        func order(_ id: Int64, size: Int64) throws {
            planner.ordered(try #require(planner.place(needy(id, size: size, on: "a")).plan))
        }
        try order(1, size: 50)
        #expect(planner.place(needy(1, size: 50, on: "a")) == .wait, "one copy of a file at a time")
        #expect(planner.place(needy(2, on: "a")) == .wait, "bytes in flight")
        planner.completed(try #require(planner.underWay(FileID(1))))
        for id in 2...4 { try order(Int64(id), size: 3) }
        #expect(planner.place(needy(5, size: 1, on: "a")) == .wait, "transfers to one target")
        #expect(planner.copiesUnderWay == 3)
        #expect(planner.copiesUnderWay(to: name("b")).map(\.file.file.rawValue) == [2, 3, 4])
        planner.failed(try #require(planner.underWay(FileID(3))))
        #expect(planner.place(needy(5, size: 4, on: "a")).target == "b")
        #expect(planner.place(needy(3, size: 3, on: "a")) == .wait, "just failed: not again in this round")
        planner.forgetRound()
        #expect(planner.place(needy(3, size: 3, on: "a")).target == "b")
    }

    @Test func aPageReadBeforeACopyArrivedIsStale() throws {
        var planner = makePlanner(server("a"), server("b"), server("c"))
        planner.ordered(try #require(planner.place(needy(1, on: "a")).plan))
        planner.forgetRound()
        // The page is read here, and the copy arrives.
        planner.completed(try #require(planner.underWay(FileID(1))))
        #expect(planner.place(needy(1, on: "a")) == .wait)
        #expect(planner.place(needy(1, on: "a", "b")).target == "c")
        planner.forgetRound()
        #expect(planner.place(needy(1, on: "a")).target == "c", "b is fuller now")
    }

    @Test func sourcesHaveAFewSlots() throws {
        var limits = PlannerLimits()
        limits.maxTransfersPerSource = 1
        limits.smallPerTransfer = 1
        var planner = makePlanner(limits: limits, server("a"), server("b"), server("c"))
        planner.ordered(try #require(planner.place(needy(1, on: "a")).plan))
        #expect(planner.place(needy(2, on: "a")) == .wait)
        #expect(planner.place(needy(3, on: "a", "b")).plan?.sources == [name("b")])
    }

    @Test func aDrainingServerGivesAndTakesNothingAndItsZoneIsFree() {
        let planner = makePlanner(
            server("a", zone: "x", receives: false, counted: false), server("b", zone: "x", used: 5),
            server("c", zone: "y", used: 0), server("d", zone: "y"))
        let plan = planner.place(needy(1, surplus: -1, on: "a")).plan
        #expect(plan?.sources == [name("a")])
        #expect(plan?.target == name("c"))
        // Where its copy will be gone, another one spreads as well as elsewhere.
        #expect(planner.place(needy(2, surplus: -1, on: "a", "d")).target == "b")
        #expect(planner.place(needy(3, on: "b", "c", "d")) == .capped)
        let alone = makePlanner(server("a", receives: false, counted: false), server("b"))
        #expect(alone.makeRoom(for: needy(9, on: "b"), on: [name("a")], richest: { _ in [] }) == nil)
        #expect(
            alone.victims(on: name("b"), atLeast: 1, from: [victim(1, on: "a", "b")]).isEmpty, "the last that stays")
    }

    /// Any number of files that want spare copies on a new large server leave slots to files at risk, at every source
    /// and target; and those are served first.
    @Test func aNewLargeServerDoesNotStarveRepairs() throws {
        var random = SeededGenerator(seed: SeededGenerator.chosenSeed)
        let names = ["a", "b", "c"]
        var planner = makePlanner(
            server("a", quota: 10_000, used: 5000), server("b", quota: 10_000, used: 5000),
            server("c", quota: 10_000, used: 5000), server("new", quota: 1 << 40))
        let limits = planner.limits
        var sources: [ServerName: Int] = [:]
        var targets: [ServerName: Int] = [:]
        func order(_ file: NeedyFile) -> Bool {
            guard let plan = planner.place(file).plan else { return false }
            planner.ordered(plan)
            let weight = file.size > Limits.smallBlobBytes ? limits.smallPerTransfer : 1
            sources[plan.sources[0], default: 0] += weight
            targets[plan.target, default: 0] += weight
            return true
        }
        for id in 1...6000 {
            let holders = names.shuffled(using: &random).prefix(2)
            _ = order(
                NeedyFile(
                    file: FileID(Int64(id)), blob: blob(Int64(id)),
                    size: id % 8 == 0 ? Limits.smallBlobBytes + 1 : 1, surplus: Int.random(in: 0...2, using: &random),
                    replicas: holders.map(name)))
        }
        // The last one in may be a large one.
        let slot = limits.smallPerTransfer
        #expect(sources.values.allSatisfy { $0 < (limits.maxTransfersPerSource * 3 / 4 + 1) * slot })
        #expect(targets.values.allSatisfy { $0 < (limits.maxTransfersPerTarget * 3 / 4 + 1) * slot })
        #expect(
            sources.values.allSatisfy { $0 >= limits.maxTransfersPerSource * 3 / 4 * slot }, "no slot is left unused")
        for (id, source) in names.enumerated() {
            #expect(order(needy(4000 + Int64(id), surplus: -1, on: source)))
        }
    }

    @Test func overloadedServersGetSpareCopiesOneAtATime() throws {
        var planner = makePlanner(server("a"), server("b", cpu: 0.99), server("c", used: 90))
        #expect(planner.place(needy(1, on: "a")).target == "c", "taken last")
        let plan = try #require(planner.place(needy(2, on: "a", "c")).plan)
        planner.ordered(plan)
        #expect(planner.place(needy(3, on: "a", "c")) == .wait)
        #expect(planner.place(needy(4, surplus: -1, on: "a", "c")).target == "b")
        planner.completed(plan)
        #expect(planner.place(needy(3, on: "a", "c")).target == "b")
    }

    @Test func roomThatIsOnlyBusyIsWorthWaitingFor() throws {
        var limits = PlannerLimits()
        limits.maxTransfersPerTarget = 1
        limits.smallPerTransfer = 1
        var planner = makePlanner(limits: limits, server("a"), server("b"), server("c", used: 100))
        planner.ordered(CopyPlan(file: needy(9, on: "a"), target: name("b"), sources: [name("a")]))
        #expect(planner.place(needy(1, on: "a")) == .wait)
    }

    /// "More servers are large enough than hold it" is the same as "one without a copy is large enough".
    @Test func cappedByBrimsIsExact() {
        var random = SeededGenerator(seed: SeededGenerator.chosenSeed)
        for _ in 0..<2000 {
            let size = Int64.random(in: 0...20, using: &random)
            var planner = Planner(floor: 0)
            var holders: Set<String> = []
            var servers: [ServerSnapshot] = []
            for i in 0..<Int.random(in: 1...6, using: &random) {
                let holds = random.chance(40)
                if holds { holders.insert("s\(i)") }
                // A quota that was lowered may be below what the server holds.
                let quota = Int64.random(in: 0...25, using: &random)
                servers.append(server("s\(i)", quota: quota, used: holds ? max(size, quota / 2) : min(quota, size)))
            }
            planner.update(servers: servers)
            let brims = planner.countedBrims
            let byBrims = holders.count < brims.count && size <= brims[holders.count]
            let byDefinition = servers.contains { !holders.contains($0.name.rawValue) && size <= $0.quota }
            #expect(byBrims == byDefinition, "\(size) on \(holders) of \(servers)")
        }
    }
}
