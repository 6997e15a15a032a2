import ArgumentParser
import BrimSimulation
import Foundation

@main
struct BrimSimulate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "brim-simulate",
        abstract:
            "Run whole swarms in one process, each from one seed, and check the rules of the engine after each step.",
        discussion: """
            A seed replays exactly: run one that failed with --seed N --trace to read what happened.

              brim-simulate --seeds 1..200
              brim-simulate --seed 17 --steps 240 --trace
              brim-simulate --seeds 1..40 --flaw floorIgnored
            """)

    @Option(help: "The seeds to run, as FIRST..LAST.")
    var seeds = SeedRange(first: 1, last: 200)

    @Option(help: "Run this seed only.")
    var seed: UInt64?

    @Option(help: "Steps of each run: in each, one thing happens and then some time passes.")
    var steps = 120

    @Option(help: "Runs at a time.")
    var jobs = 1

    @Option(help: "Break the engine in this way: \(Flaw.allCases.map(\.rawValue).joined(separator: ", ")).")
    var flaw: Flaw?

    @Flag(help: "Stop at the first failure.")
    var untilFailure = false

    @Flag(help: "Print what happens, with its time; for one seed.")
    var trace = false

    @Flag(help: "Print a line for each run, with the hash of its trace.")
    var verbose = false

    func validate() throws {
        guard steps >= 1 else { throw ValidationError("--steps must be at least 1") }
        guard jobs >= 1 else { throw ValidationError("--jobs must be at least 1") }
        guard !trace || seed != nil else { throw ValidationError("--trace needs --seed") }
    }

    func run() throws {
        try hashDeterministically()
        let range = seed.map { SeedRange(first: $0, last: $0) } ?? seeds
        let tally = Tally(verbose: verbose || seed != nil)
        let simulation = try Simulation()
        let queue = SeedQueue(range)
        let threads = (0..<jobs).map { _ in
            Thread {
                while let seed = queue.next() {
                    let reader: ((String) -> Void)? = trace ? { print($0) } : nil
                    let isKept = tally.add(simulation.run(seed: seed, steps: steps, flaw: flaw, reader: reader))
                    if untilFailure, !isKept { queue.end() }
                }
                tally.ended()
            }
        }
        for thread in threads {
            thread.stackSize = 8 << 20
            thread.start()
        }
        guard tally.finish(threads: jobs) else { throw ExitCode.failure }
    }

    /// Starts anew with hashes that are the same in every process: else the order of dictionaries would be chance that no
    /// seed knows of.
    private func hashDeterministically() throws {
        let variable = "SWIFT_DETERMINISTIC_HASHING"
        guard ProcessInfo.processInfo.environment[variable] == nil else { return }
        setenv(variable, "1", 1)
        let arguments = CommandLine.arguments.map { strdup($0) } + [nil]
        execv("/proc/self/exe", arguments)
        throw ValidationError("cannot start anew with \(variable) set: \(String(cString: strerror(errno)))")
    }
}

extension Flaw: ExpressibleByArgument {}

/// `FIRST..LAST`
struct SeedRange: ExpressibleByArgument, CustomStringConvertible {
    var first: UInt64
    var last: UInt64

    init(first: UInt64, last: UInt64) {
        self.first = first
        self.last = last
    }

    init?(argument: String) {
        let ends = argument.split(separator: ".", omittingEmptySubsequences: true).map { UInt64($0) }
        guard ends.count == 2, let first = ends[0], let last = ends[1], first <= last else { return nil }
        self.init(first: first, last: last)
    }

    var description: String { "\(first)..\(last)" }
}
