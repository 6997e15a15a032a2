import BrimSimulation
import Foundation
import Synchronization

/// Hands out seeds, one after the other.
final class SeedQueue: Sendable {
    private let state: Mutex<(next: UInt64?, last: UInt64)>

    init(_ range: SeedRange) { state = Mutex((range.first, range.last)) }

    /// No more seeds are handed out.
    func end() { state.withLock { $0.next = nil } }

    func next() -> UInt64? {
        state.withLock { state in
            guard let seed = state.next else { return nil }
            state.next = seed < state.last ? seed + 1 : nil
            return seed
        }
    }
}

/// Adds up what came of the runs, and prints it.
final class Tally: Sendable {
    private struct State {
        var runs = 0
        var failures = 0
        var jobs = 0
        var lifetime = Duration.zero
        var counts: [Counted: Int] = [:]
    }
    private let state = Mutex(State())
    private let threads = DispatchSemaphore(value: 0)
    private let verbose: Bool

    init(verbose: Bool) { self.verbose = verbose }

    /// Whether all rules were kept.
    func add(_ outcome: Simulation.Outcome) -> Bool {
        state.withLock { state in
            state.runs += 1
            state.jobs += outcome.jobs
            state.lifetime += outcome.lifetime
            state.counts.merge(outcome.counts, uniquingKeysWith: +)
            if let violation = outcome.violation {
                state.failures += 1
                print("seed \(outcome.seed) failed in step \(outcome.steps): \(violation)")
                // Who waits an hour for the others may look at this one.
                fflush(nil)
            }
            if verbose {
                let hash = String(outcome.hash, radix: 16)
                print("seed \(outcome.seed): trace \(hash), \(outcome.jobs) jobs, \(outcome.lifetime)")
            }
            return outcome.violation == nil
        }
    }

    /// A thread has run its last seed.
    func ended() { threads.signal() }

    /// Waits for all threads, prints the sums; whether no rule was broken.
    func finish(threads count: Int) -> Bool {
        for _ in 0..<count { threads.wait() }
        return state.withLock { state in
            let counts = Counted.allCases.map { "\($0.rawValue) \(state.counts[$0, default: 0])" }
            let hours = Double(state.lifetime.components.seconds) / 3600
            print(
                "\(state.runs) runs, \(state.failures) failed; \(state.jobs) jobs, \(String(format: "%.1f", hours)) h")
            print(counts.joined(separator: ", "))
            return state.failures == 0
        }
    }
}
