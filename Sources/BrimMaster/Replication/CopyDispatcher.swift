import BrimMetadata
import BrimModel
import BrimPlacement
import BrimWire
import Logging
import Synchronization

/// Carries out the copies that the replicator decided on: gives up their victims, sends the orders, and enters the copies
/// when slaves say that they have them.
struct CopyDispatcher: Sendable {
    /// A copy decided on, and the file it is of.
    struct Job: Sendable {
        var plan: CopyPlan
        var entry: Entry
    }

    private let store: any MetadataStore
    private let views: any Views
    private let roster: Roster
    private let ledger: Ledger
    private let desk: OrderDesk
    private let giveUp: GiveUp
    private let bell: Bell
    private let logger: Logger
    private let clock: any BrimClock
    private let failures: Failures
    private let rate: CopyRate

    init(
        store: any MetadataStore, views: any Views, roster: Roster, ledger: Ledger, desk: OrderDesk, giveUp: GiveUp,
        bell: Bell, rate: CopyRate, clock: any BrimClock = SystemClock(), logger: Logger
    ) {
        self.store = store
        self.views = views
        self.roster = roster
        self.ledger = ledger
        self.desk = desk
        self.rate = rate
        self.giveUp = giveUp
        self.bell = bell
        self.logger = logger
        self.clock = clock
        failures = Failures(clock: clock)
    }

    /// Whether a copy of this file failed so lately that it is not tried again yet.
    func isResting(_ file: FileID) -> Bool { failures.isResting(file) }

    /// Sends jobs to their targets, all targets at once; returns when every target has answered.
    func dispatch(_ jobs: [Job]) async {
        if !jobs.isEmpty { rate.began(at: clock.now) }
        await withTaskGroup(of: Void.self) { group in
            for (target, jobs) in Dictionary(grouping: jobs, by: \.plan.target) {
                group.addTask {
                    for start in stride(from: 0, to: jobs.count, by: Limits.orderBatch) {
                        await send(Array(jobs[start..<min(start + Limits.orderBatch, jobs.count)]), to: target)
                    }
                }
            }
        }
    }

    /// Enters pulls that ended on a slave.
    func completed(_ request: CompletionsRequest) async throws -> CompletionsReply {
        await roster.note(request.name, usage: request.usage)
        ledger.decide { $0.heard(request.usage, from: request.name) }
        let arrivals = try await desk.exclusively(on: request.name) { try await self.enter(request) }
        let plans = ledger.decide { planner in
            request.items.map { item in
                planner.underWay(item.file).flatMap {
                    $0.file.blob == item.blob && $0.target == request.name ? $0 : nil
                }
            }
        }
        for (item, plan) in zip(request.items, plans) {
            if let error = item.error {
                failures.note(item.file)
                logger.info(
                    "a copy failed",
                    metadata: [
                        "file.id": "\(item.file)", "server.name": "\(request.name)", "error": "\(error.message)",
                    ])
                if let plan { ledger.decide { $0.failed(plan) } }
            } else {
                failures.forget(item.file)
                if let plan { ledger.decide { $0.completed(plan) } }
            }
        }
        rate.arrived(
            zip(request.items, plans).reduce(0) { $1.0.error == nil ? $0 + ($1.1?.file.size ?? 0) : $0 },
            othersUnderWay: ledger.decide { $0.copiesUnderWay > 0 }, at: clock.now)
        let orders = Dictionary(zip(request.items, plans).map { ($0.sequence, $1) }) { first, _ in first }
        await store.note(
            arrivals.entered.map { item in
                FileEvent(
                    file: item.file, blob: item.blob, server: request.name, kind: .copied,
                    reason: (orders[item.sequence] ?? nil)?.reason ?? "ordered by a master before this one",
                    at: clock.timestamp)
            }, logger)
        bell.ring()
        return CompletionsReply(keep: arrivals.entered.map(\.blob) + arrivals.known, discard: arrivals.useless)
    }

    /// What became of blobs that a slave has pulled.
    private struct Arrivals: Sendable {
        var entered: [CompletionsRequest.Item] = []
        /// Entered before.
        var known: [BlobID] = []
        /// Nothing has them there: their files have changed or gone.
        var useless: [BlobID] = []
    }

    /// Enters what a standing order wanted. Of a completion that comes again or late, only what metadata says counts: the
    /// slave may have given the blob up since it was told to.
    private func enter(_ request: CompletionsRequest) async throws -> Arrivals {
        var arrivals = Arrivals()
        var awaited: [CompletionsRequest.Item] = []
        var others: [BlobID] = []
        var refused: [BlobID] = []
        let arrived = request.items.filter { $0.error == nil }
        let isAwaited = await desk.awaits(arrived, on: request.name, term: request.term)
        for (item, isAwaited) in zip(arrived, isAwaited) {
            if isAwaited { awaited.append(item) } else { others.append(item.blob) }
        }
        if !awaited.isEmpty {
            let changes = awaited.map { ReplicaChange(file: $0.file, blob: $0.blob, server: request.name) }
            let answers = try await store.addReplicas(changes, view: try await views.current())
            arrivals.entered = zip(awaited, answers).filter(\.1).map(\.0)
            refused = zip(awaited, answers).filter { !$0.1 }.map(\.0.blob)
            await desk.void(awaited.map(\.blob), on: request.name)
            await desk.entered(arrivals.entered.map(\.blob), on: request.name)
        }
        guard !others.isEmpty || !refused.isEmpty else { return arrivals }
        // A report may have brought them in before, for a file or for what has been removed or overwritten since.
        let owners = try await store.owners(of: refused + others)
        let isKnown = { (blob: BlobID) in owners[blob]?.content.replicas.contains(request.name) == true }
        arrivals.known = (refused + others).filter(isKnown)
        arrivals.useless = refused.filter { !isKnown($0) }
        // A list on its way must not bring in what is discarded now.
        await desk.left(arrivals.useless, on: request.name)
        return arrivals
    }

    // MARK: - Details

    private func send(_ jobs: [Job], to target: ServerName) async {
        do {
            // Before anything is given up for them.
            let peers = await roster.peers(Set(jobs.flatMap(\.plan.sources)))
            let orders = try jobs.map { (job: $0, draft: try draft($0, peers)) }
            let haveRoom = try await strikeVictims(of: jobs, on: target)
            let ready = zip(orders, haveRoom).filter(\.1).map(\.0)
            guard !ready.isEmpty else { return }
            let receipt = try await desk.send(ready.map(\.draft), to: target)
            for (job, sequence) in zip(ready.map(\.job), receipt.sequences) {
                if let error = receipt.refused[sequence] {
                    failures.note(job.plan.file.file)
                    ledger.decide { $0.failed(job.plan) }
                    logger.debug(
                        "a slave refused a copy", metadata: ["server.name": "\(target)", "error": "\(error.message)"])
                } else {
                    ledger.decide { $0.acknowledged(job.plan, usage: receipt.usage) }
                }
            }
        } catch {
            for job in jobs {
                failures.note(job.plan.file.file)
                ledger.decide { $0.failed(job.plan) }
            }
            await roster.doubt(target)
            // Of one that has said goodbye, or was judged since, it is known that it does not listen.
            let isExpected = await roster.record(target)?.state != .up
            logger.log(
                level: isExpected ? .debug : .warning, "orders did not reach a slave",
                metadata: ["server.name": "\(target)", "error": "\(error)"])
        }
    }

    /// Gives up the victims of these jobs, and says which have their room; a job of which not every victim could be given
    /// up is dropped, what was given up for it is deleted all the same.
    private func strikeVictims(of jobs: [Job], on target: ServerName) async throws -> [Bool] {
        let victims = jobs.flatMap(\.plan.victims)
        guard !victims.isEmpty else { return jobs.map { _ in true } }
        let bounds = ledger.decide { planner in
            jobs.flatMap { job in
                job.plan.victims.map { _ in planner.leastVictimSurplus(for: job.plan.file.surplus) }
            }
        }
        let reasons = jobs.flatMap { job in
            let (file, name) = (job.plan.file, job.entry.name?.text ?? "?")
            let reason =
                "gave way to a copy of '\(name)' (file \(file.file), surplus \(file.surplus) → \(file.surplus + 1), "
                + "\(file.size) bytes)"
            return job.plan.victims.map { _ in reason }
        }
        let gone = Set(try await giveUp.strike(victims, on: target, minSurplus: bounds, reasons: reasons))
        let haveRoom = jobs.map { $0.plan.victims.allSatisfy(gone.contains) }
        let broken = zip(jobs, haveRoom).filter { !$1 }.map(\.0)
        // Whatever has changed may take a moment to be seen.
        for job in broken { failures.note(job.plan.file.file) }
        let leftovers = broken.flatMap(\.plan.victims).filter(gone.contains)
        let plan = EvictionPlan(server: target, victims: leftovers)
        ledger.decide { planner in
            for job in broken { planner.failed(job.plan) }
            if !leftovers.isEmpty { planner.ordered(plan) }
        }
        if !leftovers.isEmpty {
            do {
                let receipt = try await desk.send([OrderDesk.Draft(evict: leftovers.map(\.blob))], to: target)
                ledger.decide { $0.acknowledged(plan, usage: receipt.usage) }
            } catch {
                ledger.decide { $0.failed(plan) }
                throw error
            }
        }
        return haveRoom
    }

    private func draft(_ job: Job, _ peers: [ServerName: Peer]) throws -> OrderDesk.Draft {
        guard let content = job.entry.content else { throw BrimError(.internal, "a copy of something that is no file") }
        return OrderDesk.Draft(
            evict: job.plan.victims.map(\.blob),
            pull: Order.Pull(
                blob: content.blob, size: content.size, checksum: content.checksum,
                label: try BlobLabel(entry: job.entry), sources: job.plan.sources.compactMap { peers[$0] }))
    }
}

extension CopyPlan {
    /// Why this copy is made, with its numbers.
    var reason: String {
        let source = sources.first.map { " from \($0)" } ?? ""
        let given =
            victims.isEmpty
            ? "into free room"
            : "in place of \(victims.count) copies with surplus \(victims.map(\.surplus).min() ?? 0) or more"
        return "surplus \(file.surplus) → \(file.surplus + 1): \(file.size) bytes\(source), \(given)"
    }
}

/// Files whose copies failed lately: each waits twice as long as before, 1 to 60 s.
private final class Failures: Sendable {
    private struct Failure {
        var count: Int
        var until: ContinuousClock.Instant
    }
    private static let capacity = 10_000
    private let byFile = Mutex<[FileID: Failure]>([:])
    private let clock: any BrimClock

    init(clock: any BrimClock) { self.clock = clock }

    func note(_ file: FileID) {
        byFile.withLock { failures in
            if failures.count >= Self.capacity { failures.removeAll() }
            let count = (failures[file]?.count ?? 0) + 1
            let wait = Duration.seconds(min(60, 1 << min(count - 1, 6)))
            failures[file] = Failure(count: count, until: clock.now + wait)
        }
    }

    func forget(_ file: FileID) { byFile.withLock { $0[file] = nil } }

    func isResting(_ file: FileID) -> Bool {
        byFile.withLock { failures in failures[file].map { $0.until > clock.now } ?? false }
    }
}
