import BrimModel
import Testing

@testable import BrimPlacement

/// Random swarms, checked after every step and at rest. `BRIM_SEED` replays a run.
@Suite struct SwarmTests {
    private static let swarms = 100
    private static let steps = 1000

    /// Runs one swarm; throws what was violated, with the seed.
    private static func run(seed: UInt64, steps: Int = steps, flaw: SwarmModel.Flaw? = nil) throws -> [String: Int] {
        var swarm = SwarmModel(seed: seed, flaw: flaw)
        swarm.hearAll()
        for step in 0..<steps {
            do {
                try swarm.step()
                if step % 50 == 49 { try swarm.settle() }
            } catch {
                throw SwarmModel.Violation("BRIM_SEED=\(seed) step \(step): \(error)")
            }
        }
        return swarm.counts
    }

    @Test func randomSwarmsKeepTheRules() async throws {
        let first = SeededGenerator.chosenSeed
        let counts = try await withThrowingTaskGroup(of: [String: Int].self) { group in
            for i in 0..<Self.swarms { group.addTask { try Self.run(seed: first + UInt64(i)) } }
            return try await group.reduce(into: [:]) { $0.merge($1, uniquingKeysWith: +) }
        }
        // The run means something only if all of this happened, often.
        for what in ["copy", "exchange", "headroom", "write", "written", "full", "arrived", "failed", "level at rest"] {
            #expect(counts[what, default: 0] > 100, "\(what): BRIM_SEED=\(first) \(counts)")
        }
        #expect(counts["rest"] == Self.swarms * Self.steps / 50)
        print("BRIM_SEED=\(first): \(counts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" })")
    }

    /// Each way to break the planner is noticed within a few swarms, for what it is.
    @Test(arguments: SwarmModel.Flaw.allCases)
    func brokenPlannersAreCaught(flaw: SwarmModel.Flaw) {
        var reasons: [String] = []
        let caught = (0..<40).contains { seed in
            do {
                _ = try Self.run(seed: UInt64(seed), steps: 500, flaw: flaw)
                return false
            } catch {
                reasons.append("\(error)")
                return "\(error)".contains(flaw.violation)
            }
        }
        #expect(caught, "\(flaw) went unnoticed: \(reasons)")
    }
}
