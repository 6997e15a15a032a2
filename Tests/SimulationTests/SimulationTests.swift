import BrimSimulation
import BrimTestKit
import Foundation
import Testing

/// Whole swarms in one process, from seeds. `brim-simulate --seed N --trace` replays one; see docs/simulation.md.
///
/// They run in processes of their own, whose hashing is deterministic.
@Suite(.serialized) struct SimulationTests {
    @Test func swarmsKeepTheRules() async throws {
        let (status, output) = try await simulate("--seeds", "1..200", "--steps", "60", "--jobs", "2")
        #expect(status == 0, "\(output)")
        #expect(output.contains("200 runs, 0 failed"), "\(output)")
        // The runs mean something only if all of this happened, often.
        let counts = output.matches(of: /([a-zA-Z]+) (\d+)/).reduce(into: [String: Int]()) {
            $0[String($1.1)] = Int($1.2)
        }
        for what in Counted.allCases where what != .rotten {
            #expect(counts[what.rawValue, default: 0] >= 100, "\(what): \(output)")
        }
        #expect(counts["rotten", default: 0] > 10, "\(output)")
    }

    @Test func oneSeedIsOneRun() async throws {
        var runs: [String] = []
        for _ in 0..<3 { runs.append(try await simulate("--seed", "7", "--steps", "100").output) }
        #expect(runs[0].contains("seed 7: trace "))
        #expect(runs[1] == runs[0])
        #expect(runs[2] == runs[0])
        let other = try await simulate("--seed", "8", "--steps", "100").output
        #expect(other != runs[0])
        // Reading along changes nothing.
        let traced = try await simulate("--seed", "7", "--steps", "100", "--trace").output
        #expect(traced.hasSuffix(runs[0]))
    }

    /// Each way to break the engine is noticed within 2000 steps, for what it is.
    @Test(arguments: Flaw.allCases)
    func brokenEnginesAreCaught(flaw: Flaw) async throws {
        let arguments = ["--seeds", "1..32", "--steps", "60", "--jobs", "2", "--flaw", flaw.rawValue]
        func isNamed(_ output: String) -> Bool { flaw.violations.contains { output.contains($0) } }
        // Mostly the first seed that fails says it; else another one must.
        var (status, output) = try await simulate(arguments + ["--until-failure"])
        if !isNamed(output) { (status, output) = try await simulate(arguments) }
        #expect(status == 1, "\(flaw) went unnoticed: \(output)")
        #expect(isNamed(output), "\(flaw): \(output)")
    }

    @Test func argumentsThatMakeNoSenseAreRefused() async throws {
        #expect(try await simulate("--seeds", "5..1").status != 0)
        #expect(try await simulate("--trace").status != 0)
        #expect(try await simulate("--steps", "0").status != 0)
    }

    private func simulate(_ arguments: String...) async throws -> (status: Int32, output: String) {
        try await simulate(arguments)
    }

    private func simulate(_ arguments: [String]) async throws -> (status: Int32, output: String) {
        try await runProgram(try Self.executable, arguments, error: .inherited)
    }

    /// Built beside the tests.
    private static var executable: URL {
        get throws {
            let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
            let places = [URL(filePath: own), Bundle.main.bundleURL, URL(filePath: CommandLine.arguments[0])]
                .flatMap { place in [place.deletingLastPathComponent(), place] }
            let names = places.map { $0.appending(path: "brim-simulate") }
            let found = names.first { FileManager.default.isExecutableFile(atPath: $0.path) }
            return try #require(found, "brim-simulate is not beside \(places)")
        }
    }
}
