import BrimMetadata
import BrimModel
import BrimTestKit

/// MongoDB as it stands between masters: one store in memory that can be slow, away, or lose its answers; and what can only
/// be seen where every change passes.
final class Database: Sendable {
    struct State {
        var random: SeededGenerator
        var isAway = false
        /// Masters that cannot reach it.
        var cutOff: Set<String> = []
        /// Probability that a call fails as unavailable: as often before it took effect as after.
        var hiccups = 0.0
        /// The longest that a call usually takes each way, in microseconds.
        var delay: Int64 = 1_000
        /// What was committed as which blob.
        var contents: [BlobID: Content] = [:]
        /// Blobs of live files.
        var live: Set<BlobID> = []
        /// Blobs of removed files and old versions, and since when, in microseconds.
        var discarded: [BlobID: Int64] = [:]
        /// Blobs that once were one or the other.
        var gone: Set<BlobID> = []
        /// Since when servers are draining.
        var drains: [ServerName: Int64] = [:]
        /// Published views, with the time each was followed by another.
        var views: [Int64: (view: ServerView, until: Int64?)] = [:]
    }

    let store: InMemoryMetadataStore
    let state: Confined<State>
    private let scheduler: Scheduler

    init(scheduler: Scheduler, seed: UInt64) {
        self.scheduler = scheduler
        state = Confined(State(random: SeededGenerator(seed: seed)))
        let clock = SimulatedClock(scheduler: scheduler, offset: Confined(0))
        store = InMemoryMetadataStore { clock.timestamp }
    }

    private static let lost = BrimError(.unavailable, "MongoDB does not answer")

    /// Runs one call of a master: at once where it takes effect, with everything that can go wrong before and after.
    ///
    /// What a process has sent when it is killed may still take effect.
    func call<Value: Sendable>(
        by caller: Process, _ body: @Sendable (isolated InMemoryMetadataStore) throws -> Value
    ) async throws -> Value {
        try caller.check()
        await scheduler.pause(delay())
        if !caller.isAlive, Bool.random(using: &state.value.random) { throw CancellationError() }
        guard !state.value.isAway, !state.value.cutOff.contains(caller.name) else {
            await scheduler.pause(.milliseconds(Int64.random(in: 100...3000, using: &state.value.random)))
            try caller.check()
            throw Self.lost
        }
        if state.value.random.chance(state.value.hiccups / 2) { throw Self.lost }
        let value = try await atomically(store, body)
        let isAnswerLost = state.value.random.chance(state.value.hiccups / 2)
        await scheduler.pause(delay())
        try caller.check()
        if isAnswerLost { throw Self.lost }
        return value
    }

    fileprivate func atomically<Value: Sendable>(
        _ store: isolated InMemoryMetadataStore, _ body: @Sendable (isolated InMemoryMetadataStore) throws -> Value
    ) rethrows -> Value {
        try body(store)
    }

    private func delay() -> Duration {
        .microseconds(Int64.random(in: 50...max(51, state.value.delay), using: &state.value.random))
    }
}

extension Database {
    /// Looks at everything at once, beside all masters.
    func inspect<Value: Sendable>(
        _ body: @Sendable (isolated InMemoryMetadataStore) throws -> Value
    ) async rethrows -> Value { try await atomically(store, body) }
}
