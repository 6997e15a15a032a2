import BrimModel
import BrimWire

/// Calls between processes: each takes time, may get lost on the way there or back, may arrive twice, and finds nobody
/// behind a partition.
final class Network: Sendable {
    struct State {
        var random: SeededGenerator
        /// Ordered pairs of machines between which nothing passes.
        var cuts: Set<[String]> = []
        /// Probability that a message gets lost.
        var loss = 0.0
        /// Probability that a request arrives twice.
        var repeats = 0.0
        /// The longest that a message usually takes, in microseconds.
        var delay: Int64 = 2_000
        /// Probability that one takes up to a thousand times as long.
        var late = 0.0
    }

    let state: Confined<State>
    private let scheduler: Scheduler

    init(scheduler: Scheduler, seed: UInt64) {
        self.scheduler = scheduler
        state = Confined(State(random: SeededGenerator(seed: seed)))
    }

    /// Has `work` done by the process that `target` finds when the request arrives. `repeats`: the request may arrive
    /// twice. Throws `.timeout`, `.unavailable` and what the other side refuses with; `CancellationError` when the caller
    /// is dead.
    func call<Reply: Sendable>(
        from caller: Process, to name: String, _ target: @escaping @Sendable () -> Process?, deadline: Duration,
        repeats: Bool, _ work: @escaping @Sendable () async throws -> Reply
    ) async throws -> Reply {
        try caller.check()
        let reply = Latch<Reply>()
        let limit = scheduler.after(deadline) {
            reply.set(.failure(BrimError(.timeout, "\(name) did not answer within \(deadline)")))
        }
        defer { scheduler.callOff(limit) }
        let count = repeats && state.value.random.chance(state.value.repeats) ? 2 : 1
        for copy in 0..<count {
            guard !isCut(caller.name, name) else {
                scheduler.after(.seconds(2)) { reply.set(.failure(Self.unreachable(name))) }
                continue
            }
            guard !isLost() else { continue }
            scheduler.after(delay()) { [self] in
                deliver(from: caller.name, to: name, target(), isFirst: copy == 0, reply, work)
            }
        }
        return try await reply.get()
    }

    private func deliver<Reply: Sendable>(
        from caller: String, to name: String, _ target: Process?, isFirst: Bool, _ reply: Latch<Reply>,
        _ work: @escaping @Sendable () async throws -> Reply
    ) {
        let isTaken = target?.spawn { [self] in
            let result = await outcome(of: work)
            // A dead process says nothing: its connection is reset.
            let answer = target?.isAlive == true ? result : .failure(Self.unreachable(name))
            guard isFirst, !isCut(name, caller), !isLost() else { return }
            scheduler.after(delay()) { reply.set(answer) }
        }
        if isTaken != true { scheduler.after(delay()) { reply.set(.failure(Self.unreachable(name))) } }
    }

    private func outcome<Reply: Sendable>(
        of work: @Sendable () async throws -> Reply
    ) async -> Result<Reply, any Error> {
        do {
            return .success(try await work())
        } catch let error as BrimError {
            return .failure(error)
        } catch {
            return .failure(BrimError(.internal, "the request failed: \(error)"))
        }
    }

    private static func unreachable(_ name: String) -> BrimError {
        BrimError(.unavailable, "\(name) cannot be reached")
    }

    private func isCut(_ from: String, _ to: String) -> Bool { state.value.cuts.contains([from, to]) }

    private func isLost() -> Bool { state.value.random.chance(state.value.loss) }

    private func delay() -> Duration {
        let most = state.value.delay * (state.value.random.chance(state.value.late) ? 1000 : 1)
        return .microseconds(Int64.random(in: 50...max(51, most), using: &state.value.random))
    }
}
