import BrimMetadata
import BrimModel
import BrimWire
import Logging
import ServiceLifecycle

/// Shows now and then (`drill-every`) that lost metadata could be rebuilt: compares a random sample of it with what the slaves
/// would tell `brim recover`.
actor RebuildDrill: BackgroundLoop {
    /// After a term has begun, so that servers have told what they have; and after one that failed.
    static let delay = Duration.seconds(300)
    /// How often it is looked whether one is due.
    static let look = Duration.seconds(30)

    nonisolated let worker = Worker("rebuild drill", unit: "entries compared")
    private let store: any MetadataStore
    private let slaves: any DrillLink
    private let roster: Roster
    private let settings: LiveSettings
    private let clock: any BrimClock
    private let logger: Logger
    private let gate = AsyncGate()

    init(
        store: any MetadataStore, slaves: any DrillLink, roster: Roster, settings: LiveSettings, clock: any BrimClock,
        logger: Logger
    ) {
        self.store = store
        self.slaves = slaves
        self.roster = roster
        self.settings = settings
        self.clock = clock
        self.logger = logger
    }

    func run() async throws {
        var notBefore = clock.now + min(Self.delay, settings.drillEvery)
        worker.rests()
        while await clock.pause(settings.drillEvery > .zero ? min(Self.look, settings.drillEvery / 2) : Self.look) {
            do {
                guard clock.now >= notBefore, let left = try await timeLeft() else { continue }
                if left > .zero { worker.rests(atMost: left) } else { _ = try await drillAlone() }
            } catch {
                let pause = min(Self.delay, settings.drillEvery)
                notBefore = clock.now + pause
                worker.failed(error, again: pause)
                logger.warning("the rebuild drill failed", metadata: ["error": "\(error)"])
            }
        }
    }

    /// Until the next drill is due; nil when none is to be.
    private func timeLeft() async throws -> Duration? {
        let every = settings.drillEvery
        guard every > .zero, await !peers().isEmpty else { return nil }
        guard let last = try await store.drill() else { return .zero }
        let due = last.at.adding(every)
        let now = clock.timestamp
        return .seconds(due.seconds - now.seconds) + .nanoseconds(Int64(due.nanoseconds - now.nanoseconds))
    }

    /// Those that are up, also when they are being emptied.
    private func peers() async -> [Peer] {
        let names = await roster.records.filter { $0.state == .up && $0.forget == nil }.map(\.name)
        return await roster.peers(Set(names)).values.sorted { $0.server < $1.server }
    }

    /// Does it now, and keeps what came of it; one at a time. Throws `.unavailable` when no server is up or answers.
    func drill() async throws -> DrillReport {
        do {
            return try await drillAlone()
        } catch {
            worker.failed(error)
            throw error
        }
    }

    private func drillAlone() async throws -> DrillReport { try await gate.exclusively { try await self.drillNow() } }

    private func drillNow() async throws -> DrillReport {
        let peers = await peers()
        guard !peers.isEmpty else {
            throw BrimError(.unavailable, "no server is up", advice: "brim servers shows how they are")
        }
        worker.begins("compares a sample of the metadata with what \(peers.count) slaves know")
        let run = DrillRun(store: store, slaves: slaves, heartbeat: settings.heartbeat, clock: clock, logger: logger)
        let report = try await run.run(on: peers, at: .random(in: 0..<1))
        try await store.keep(report)
        worker.did(report.entries)
        worker.rests(atMost: settings.drillEvery > .zero ? settings.drillEvery : nil)
        tell(report)
        return report
    }

    private func tell(_ report: DrillReport) {
        let facts: Logger.Metadata = [
            "entries": "\(report.entries)", "copies": "\(report.copies)", "servers": "\(report.servers)",
            "seconds": "\(report.seconds)",
        ]
        guard report.differing > 0 else { return logger.info("the rebuild drill went well", metadata: facts) }
        logger.warning(
            "slaves and MongoDB differ: brim drill tells in what",
            metadata: facts.merging(["differing": "\(report.differing)"]) { $1 })
    }
}

/// What a person should know of the last drill.
enum DrillWarning {
    /// Without a drill for longer somebody should look why.
    private static let patience = Duration.seconds(2 * 86_400)

    /// nil when all is well. `since`: from when on one could have been.
    static func text(_ last: DrillReport?, every: Duration, since: Timestamp, now: Timestamp) -> String? {
        if let last, last.differing > 0 {
            let found = last.differing == 1 ? "a difference" : "\(last.differing) differences"
            return "the rebuild drill of \(last.when) found \(found) between MongoDB and the slaves: run 'brim drill'"
        }
        guard every > .zero, (last?.at ?? since).adding(max(patience, every * 2)) < now else { return nil }
        let when = last.map { "since \($0.when)" } ?? "yet"
        return "there was no rebuild drill \(when): see 'rebuild drill' in 'brim workers'"
    }
}
