import BrimMetadata
import BrimModel
import BrimWire
import Logging
import ServiceLifecycle

/// Sets k of all files of a server after it began or ceased to count: lowest surplus first, in ranges, resumable.
actor Recounter: BackgroundLoop {
    nonisolated let worker = Worker("recount", unit: "ranges of files")

    /// Files in one update.
    static let range = 1000

    private struct Job {
        var server: ServerName
        var rising: Bool
        var notBefore: ContinuousClock.Instant
    }

    private let store: any MetadataStore
    private let views: ViewKeeper
    private let changed: Bell
    private let logger: Logger
    private let clock: any BrimClock
    private let bell: Bell
    private var jobs: [Job] = []

    init(
        store: any MetadataStore, views: ViewKeeper, changed: Bell, clock: any BrimClock = SystemClock(), logger: Logger
    ) {
        self.store = store
        self.views = views
        self.changed = changed
        self.clock = clock
        self.logger = logger
        bell = Bell(clock: clock)
    }

    /// Has a server's files recounted with the view that is current in `delay` from now.
    func add(_ server: ServerName, rising: Bool, after delay: Duration) {
        jobs.append(Job(server: server, rising: rising, notBefore: clock.now + delay))
        bell.ring()
    }

    func run() async throws {
        var wait = Duration.zero
        while await bell.wait(atMost: wait) {
            wait = .seconds(60)
            await recountDue()
            if let next = jobs.map(\.notBefore).min() {
                wait = max(.zero, next - clock.now)
                worker.waits(for: "masters to have the new view", atMost: wait)
            }
        }
    }

    /// Does what is due by now.
    func recountDue() async {
        let now = clock.now
        let due = jobs.filter { $0.notBefore <= now }
        jobs.removeAll { $0.notBefore <= now }
        for job in due {
            do {
                worker.begins("counts the copies on \(job.server)")
                try await recount(job)
                worker.rests()
            } catch {
                worker.failed(error, again: .seconds(1))
                logger.warning(
                    "a recount is interrupted",
                    metadata: ["server.name": "\(job.server)", "error": "\(error)"])
                jobs.append(Job(server: job.server, rising: job.rising, notBefore: clock.now + .seconds(1)))
            }
        }
    }

    private func recount(_ job: Job) async throws {
        let view = try await views.current()
        // Forgotten meanwhile: no file names it.
        guard let record = try await store.servers().first(where: { $0.name == job.server }) else { return }
        let stored = record.recount
        // One that was interrupted for the same view goes on where it stopped.
        var progress =
            stored.flatMap { $0.epoch == view.epoch && !$0.finished ? $0 : nil } ?? RecountProgress(epoch: view.epoch)
        while !progress.finished, !Task.isShuttingDownGracefully {
            progress = try await store.recount(
                job.server, from: progress, rising: job.rising, limit: Self.range, view: view)
            worker.did(1)
            changed.ring()
        }
    }
}
