import ArgumentParser
import Foundation
import Synchronization

/// One of several threads that put a load on something. Made and used on its own thread, so that it may block.
public protocol Worker: SendableMetatype {
    /// Does one operation, the `sequence`-th of this worker, counted from 0.
    mutating func step(_ sequence: Int) throws
}

/// How much is done: until the time is up, or a number of operations.
public struct Load: ParsableArguments, Sendable {
    @Option(help: "How many workers, each on a thread of its own.")
    public var workers = 16

    @Option(help: "How long to go on.")
    public var seconds = 10.0

    @Option(help: "How many operations to do, by all workers together, whatever time it takes.")
    public var count: Int?

    @Option(help: "Bytes of each file.")
    public var size = 4096

    public init() {}

    public func validate() throws {
        guard workers > 0, seconds > 0, size >= 0, count ?? 1 > 0 else {
            throw ValidationError("Workers, seconds and count are above zero, and a size is not below.")
        }
    }

    /// Runs the workers and returns what they did. Throws the first error of any of them; the others then stop.
    public func run(_ make: @escaping @Sendable (Int) throws -> some Worker) throws -> LoadResult {
        let tally = Tally()
        let done = DispatchGroup()
        let begin = ContinuousClock.now
        for index in 0..<workers {
            let quota = count.map { $0 / workers + (index < $0 % workers ? 1 : 0) }
            done.enter()
            Thread.detachNewThread {
                do {
                    try work(make(index), quota: quota, begin: begin, tally: tally)
                } catch {
                    tally.fail(error)
                }
                done.leave()
            }
        }
        done.wait()
        return try tally.result(since: begin)
    }

    private func work(_ worker: some Worker, quota: Int?, begin: ContinuousClock.Instant, tally: Tally) throws {
        var worker = worker
        var latencies: [Duration] = []
        let end = quota == nil ? begin + .seconds(seconds) : nil
        var before = ContinuousClock.now
        while latencies.count < quota ?? .max, end.map({ before < $0 }) ?? true, !tally.hasFailed {
            try worker.step(latencies.count)
            let now = ContinuousClock.now
            latencies.append(now - before)
            before = now
        }
        tally.add(latencies)
    }
}

/// What a load came to; printed as one line of JSON.
public struct LoadResult: Codable, Sendable {
    public var operations: Int
    public var seconds: Double
    public var perSecond: Double
    /// How long one operation took, in milliseconds: the median, and what 99 of 100 did not exceed.
    public var medianMilliseconds: Double
    public var p99Milliseconds: Double
    /// Processor time of this process from its start to its end.
    public var cpuSeconds: Double

    public func print() throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        Swift.print(String(decoding: try encoder.encode(self), as: UTF8.self))
    }
}

/// What the workers report.
private final class Tally: Sendable {
    private struct State {
        var latencies: [Duration] = []
        var error: (any Error)?
    }
    private let state = Mutex(State())
    private let failed = Atomic(false)

    var hasFailed: Bool { failed.load(ordering: .relaxed) }

    func add(_ latencies: [Duration]) { state.withLock { $0.latencies += latencies } }

    func fail(_ error: any Error) {
        state.withLock { $0.error = $0.error ?? error }
        failed.store(true, ordering: .relaxed)
    }

    func result(since begin: ContinuousClock.Instant) throws -> LoadResult {
        let seconds = (ContinuousClock.now - begin) / .seconds(1)
        let state = state.withLock { $0 }
        if let error = state.error { throw error }
        let latencies = state.latencies.sorted()
        func quantile(_ part: Double) -> Double {
            latencies.isEmpty ? 0 : latencies[Int(Double(latencies.count - 1) * part)] / .milliseconds(1)
        }
        return LoadResult(
            operations: latencies.count, seconds: seconds, perSecond: Double(latencies.count) / seconds,
            medianMilliseconds: quantile(0.5), p99Milliseconds: quantile(0.99), cpuSeconds: Self.cpuSeconds)
    }

    private static var cpuSeconds: Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
