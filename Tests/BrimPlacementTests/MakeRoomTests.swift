import BrimModel
import Testing

@testable import BrimPlacement

@Suite struct MakeRoomTests {
    /// Two full servers b and c beside a, which holds the needy file.
    private func full(floor: Int = 0) -> Planner {
        makePlanner(floor: floor, server("a"), server("b", quota: 10, used: 10), server("c", quota: 10, used: 10))
    }

    private func choose(
        _ planner: Planner, _ file: NeedyFile, _ richest: [String: [Victim]]
    ) -> (server: String, victims: [Int64])? {
        planner.makeRoom(for: file, on: ["b", "c"].map(name)) { richest[$0.rawValue] ?? [] }
            .map { ($0.target.rawValue, $0.victims.map(\.file.rawValue)) }
    }

    @Test(arguments: [(-3, 0), (-1, 0), (0, 0), (1, 0), (0, 1), (-5, -1000), (-5, -4), (2, 5)])
    func victimsKeepWhatTheNeedyFileGetsAndTheFloor(surplus: Int, floor: Int) {
        let planner = full(floor: floor)
        let least = max(surplus + 2, floor + 1)
        #expect(planner.leastVictimSurplus(for: surplus) == least)
        let file = needy(1, surplus: surplus, on: "a")
        #expect(choose(planner, file, ["b": [victim(2, surplus: least, on: "a", "b")]])?.victims == [2])
        #expect(choose(planner, file, ["b": [victim(2, surplus: least - 1, on: "a", "b")]]) == nil)
    }

    @Test func neverTheLastCopyThatIsUp() {
        let planner = makePlanner(
            server("a"), server("b", quota: 10, used: 10), server("c", receives: false),
            server("d", receives: false, readable: false), server("e", reconciled: false))
        let file = needy(1, on: "a")
        for holders in [["b"], ["b", "c"], ["b", "d"], ["b", "e"], ["b", "unknown"]] {
            var victim = victim(2, surplus: 9, on: "b")
            victim.replicas = holders.map(name)
            #expect(choose(planner, file, ["b": [victim]]) == nil, "\(holders)")
        }
        #expect(choose(planner, file, ["b": [victim(2, surplus: 9, on: "a", "b")]])?.victims == [2])
    }

    @Test func neitherTheFileItselfNorOneBeingCopied() {
        var planner = full()
        let file = needy(1, on: "a")
        #expect(choose(planner, file, ["b": [victim(1, surplus: 9, on: "a", "b")]]) == nil)
        planner.ordered(CopyPlan(file: needy(2, on: "b", "c"), target: name("a"), sources: [name("b")]))
        #expect(choose(planner, file, ["b": [victim(2, surplus: 9, on: "b", "c")]]) == nil)
    }

    @Test func theServerWithTheBestWorstVictimThenFewestThenLeastBytes() {
        let planner = full()
        let file = needy(1, size: 4, on: "a")
        let many = [2, 3, 4, 5].map { victim($0, size: 1, surplus: 5, on: "a", "b") }
        #expect(choose(planner, file, ["b": many, "c": [victim(9, size: 4, surplus: 4, on: "a", "c")]])?.server == "b")
        #expect(choose(planner, file, ["b": many, "c": [victim(9, size: 9, surplus: 5, on: "a", "c")]])?.server == "c")
        let big = victim(6, size: 5, surplus: 5, on: "a", "b")
        #expect(
            choose(planner, file, ["b": [big], "c": [victim(9, size: 4, surplus: 5, on: "a", "c")]])?.server == "c")
        #expect(
            choose(planner, file, ["b": [big], "c": [victim(9, size: 5, surplus: 5, on: "a", "c")]])?.server == "b")
    }

    @Test func noMoreThanNeeded() {
        let planner = full()
        let file = needy(1, size: 4, on: "a")
        let sizes: [(Int64, Int64)] = [(2, 1), (3, 9), (4, 5), (5, 4), (6, 2)]
        let victims = sizes.map { victim($0.0, size: $0.1, surplus: 5, on: "a", "b") }
        #expect(choose(planner, file, ["b": victims])?.victims == [5], "the smallest that suffices alone")
        // With more surplus, though more of them.
        let richer = [victim(7, size: 3, surplus: 6, on: "a", "b"), victim(8, size: 1, surplus: 7, on: "a", "b")]
        #expect(choose(planner, file, ["b": victims + richer])?.victims == [8, 7])
    }

    @Test func whatWasGivenUpInThisRoundCountsOnce() {
        var planner = full()
        let file = needy(1, on: "a")
        let shared = victim(2, surplus: 3, on: "a", "b", "c")
        planner.gaveUp(shared, on: name("b"))
        #expect(choose(planner, file, ["b": [shared]]) == nil, "already gone there")
        #expect(choose(planner, file, ["c": [shared]])?.victims == [2], "one less, still enough")
        let poorer = victim(2, surplus: 2, on: "a", "b", "c")
        #expect(choose(planner, file, ["c": [poorer]]) == nil)
        // A page read since shows the change itself.
        #expect(choose(planner, file, ["c": [victim(2, surplus: 2, on: "a", "c")]])?.victims == [2])
        #expect(planner.place(needy(2, on: "a", "b", "c")) == .wait, "shown as it was before")
        planner.forgetRound()
        #expect(choose(planner, file, ["c": [poorer]])?.victims == [2])
    }

    @Test func marksOutliveTheRoundWhileTheDeletionIsUnderWay() {
        var planner = full()
        let shared = victim(2, surplus: 9, on: "a", "b", "c")
        let plan = EvictionPlan(server: name("b"), victims: [shared])
        planner.ordered(plan)
        planner.forgetRound()
        let file = needy(1, size: 2, on: "a")
        #expect(choose(planner, file, ["b": [shared]]) == nil)
        planner.acknowledged(plan, usage: usage(1, used: 9))
        planner.forgetRound()
        #expect(choose(planner, file, ["b": [shared]])?.victims == [2])
    }

    @Test func roomOnItsWayNeedsNoVictims() {
        var planner = full()
        planner.ordered(EvictionPlan(server: name("b"), victims: [victim(2, size: 3, surplus: 9, on: "a", "b")]))
        let file = needy(1, size: 3, on: "a")
        #expect(planner.place(file).candidates == ["b", "c"])
        #expect(choose(planner, file, [:])?.victims == [])
        #expect(choose(planner, needy(1, size: 4, on: "a"), [:]) == nil)
    }

    @Test func noMoreVictimsThanTheLimit() {
        var limits = PlannerLimits()
        limits.maxVictims = 2
        let planner = makePlanner(limits: limits, server("a"), server("b", quota: 10, used: 10))
        let victims = [2, 3, 4].map { victim($0, size: 1, surplus: 5, on: "a", "b") }
        #expect(choose(planner, needy(1, size: 2, on: "a"), ["b": victims])?.victims.count == 2)
        #expect(choose(planner, needy(1, size: 3, on: "a"), ["b": victims]) == nil)
    }

    /// Against trying out every subset.
    @Test func choicesAreTheBestOfAll() {
        var random = SeededGenerator(seed: SeededGenerator.chosenSeed)
        for _ in 0..<500 {
            let candidates = (0..<Int64.random(in: 0...7, using: &random)).map {
                victim(
                    $0 + 1, size: Int64.random(in: 0...9, using: &random),
                    surplus: Int.random(in: 1...3, using: &random), on: "a")
            }
            let needed = Int64.random(in: 0...20, using: &random)
            let subsets = (0..<(1 << candidates.count)).map { bits in
                candidates.enumerated().filter { bits & (1 << $0.offset) != 0 }.map(\.element)
            }
            let best = subsets.filter { $0.reduce(0) { $0 + $1.size } >= needed }
                .max { a, b in
                    let (worstA, worstB) = (a.map(\.surplus).min() ?? .max, b.map(\.surplus).min() ?? .max)
                    return worstA != worstB ? worstA < worstB : a.count > b.count
                }
            let choice = VictimChoice(freeing: needed, among: candidates, atMost: 100)
            #expect((choice == nil) == (best == nil), "\(needed) of \(candidates)")
            guard let choice, let best else { continue }
            #expect(choice.worst == best.map(\.surplus).min() ?? .max)
            #expect(choice.victims.count == best.count)
            #expect(choice.bytes >= needed)
            #expect(Set(choice.victims).count == choice.victims.count)
            #expect(choice.victims.allSatisfy { choice.bytes - $0.size < needed }, "one could be kept: \(choice)")
        }
    }
}
