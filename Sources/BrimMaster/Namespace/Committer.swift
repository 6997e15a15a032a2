import BrimMetadata
import BrimModel
import BrimWire
import Logging
import ServiceLifecycle

/// Gathers the commits of concurrent writers: while one batch is on its way to MongoDB the next one collects, so that
/// throughput is not bound by one journal sync per file.
actor Committer: BackgroundLoop {
    nonisolated let worker = Worker("commits", unit: "writes")

    /// Commits in one transaction.
    static let batch = 200
    /// Commits that may wait; beyond it a writer is told to try again.
    static let queue = 10_000

    private struct Waiting {
        var write: BlobCommit
        let reply = Latch<CommitOutcome>()
    }

    private let store: any MetadataStore
    private let views: ViewKeeper
    private var waiting: [Waiting] = []
    private let (wakeups, wakeup) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
    private var closed = false

    init(store: any MetadataStore, views: ViewKeeper) {
        self.store = store
        self.views = views
    }

    /// Returns when the write is durable in MongoDB. Throws what made it fail; `CancellationError` when the task is
    /// cancelled: then the write may be entered all the same.
    func commit(_ write: BlobCommit) async throws -> CommitOutcome {
        guard !closed else { throw BrimError(.unavailable, "this master is stopping", advice: "Try another one") }
        guard waiting.count < Self.queue else {
            throw BrimError(.unavailable, "\(Self.queue) commits are waiting already", advice: "Try again in a moment")
        }
        let item = Waiting(write: write)
        waiting.append(item)
        wakeup.yield()
        return try await item.reply.get()
    }

    func run() async throws {
        for await _ in wakeups.cancelOnGracefulShutdown() {
            while !waiting.isEmpty { await flush() }
        }
        closed = true
        while !waiting.isEmpty { await flush() }
    }

    private func flush() async {
        let batch = Array(waiting.prefix(Self.batch))
        waiting.removeFirst(batch.count)
        worker.begins("enters \(batch.count) writes")
        do {
            let outcomes = try await store.commit(batch.map(\.write), view: try await views.current())
            for (item, outcome) in zip(batch, outcomes) { item.reply.set(outcome.mapError { $0 }) }
            worker.did(batch.count)
            worker.rests()
        } catch {
            worker.failed(error)
            for item in batch { item.reply.set(.failure(error)) }
        }
    }
}
