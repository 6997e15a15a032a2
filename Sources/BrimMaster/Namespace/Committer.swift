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
    private let views: any Views
    private var waiting: [Waiting] = []
    private let (wakeups, wakeup) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
    private var closed = false

    init(store: any MetadataStore, views: any Views) {
        self.store = store
        self.views = views
    }

    /// Returns when each of the writes is durable in MongoDB or has failed, with one outcome per write. Throws
    /// `.unavailable`, and `CancellationError` when the task is cancelled: then they may be entered all the same.
    func commit(_ writes: [BlobCommit]) async throws -> [Result<CommitOutcome, any Error>] {
        guard !closed else { throw BrimError(.unavailable, "this master is stopping", advice: "Try another one") }
        guard waiting.count + writes.count <= Self.queue else {
            throw BrimError(.unavailable, "\(Self.queue) commits are waiting already", advice: "Try again in a moment")
        }
        let items = writes.map { Waiting(write: $0) }
        waiting += items
        wakeup.yield()
        var outcomes: [Result<CommitOutcome, any Error>] = []
        for item in items {
            do {
                outcomes.append(.success(try await item.reply.get()))
            } catch {
                try Task.checkCancellation()
                outcomes.append(.failure(error))
            }
        }
        return outcomes
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
