import BrimModel
import Testing

@testable import BrimPlacement

@Suite struct ObstacleTests {
    private func why(
        _ planner: Planner, _ file: NeedyFile, _ richest: [String: [Victim]] = [:]
    ) -> Obstacle {
        planner.obstacle(for: file) { richest[$0.rawValue] ?? [] }
    }

    @Test func cappedInEachWay() {
        var limits = PlannerLimits()
        limits.maxCopies = 2
        let capped = makePlanner(limits: limits, server("a"), server("b"), server("c"))
        #expect(why(capped, needy(1, on: "a", "b")) == .maxCopies(2))
        let planner = makePlanner(server("a"), server("b", quota: 10))
        #expect(why(planner, needy(1, on: "a", "b")) == .everywhere(servers: 2))
        #expect(why(planner, needy(1, size: 11, on: "a")) == .tooLarge(limit: 10))
        #expect(why(planner, needy(1, on: "gone")) == .unreadable)
    }

    @Test func waitingAndSoon() {
        var planner = makePlanner(server("a"), server("b", quota: 10))
        let file = needy(1, on: "a")
        #expect(why(planner, file) == .soon(name("b"), victims: 0))
        if let plan = planner.place(file).plan { planner.ordered(plan) }
        #expect(why(planner, file) == .underWay(name("b")))
        let busy = makePlanner(server("a"), server("b", receives: false))
        #expect(why(busy, file) == .busy)
    }

    @Test func noRoomSaysHowMuchLacksWhere() {
        let planner = makePlanner(server("a"), server("b", quota: 10, used: 9), server("c", quota: 10, used: 10))
        let file = needy(1, size: 3, surplus: 0, on: "a")
        let enough = victim(2, size: 3, surplus: 2, on: "a", "b")
        #expect(why(planner, file, ["b": [enough]]) == .soon(name("b"), victims: 1))
        let small = victim(2, size: 1, surplus: 2, on: "a", "b")
        let poor = victim(3, size: 9, surplus: 1, on: "a", "c")
        let obstacle = why(planner, file, ["b": [small], "c": [poor]])
        #expect(
            obstacle
                == .noRoom([
                    .init(server: name("b"), missing: 2, allowed: 1, richest: 2, needed: 2),
                    .init(server: name("c"), missing: 3, allowed: 0, richest: 1, needed: 2),
                ]))
        let words = obstacle.description
        #expect(
            words.contains("b lacks 2 B") && words.contains("c lacks 3 B") && words.contains("surplus +2"), "\(words)")
    }
}
