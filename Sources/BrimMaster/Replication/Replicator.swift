import BrimMetadata
import BrimModel
import BrimPlacement
import BrimWire
import Logging
import ServiceLifecycle

/// Raises min(k − n) as high as the disks allow: takes the neediest files, level by level, and orders copies of them into
/// free room or into room made by giving up copies of richer files. Decides through the `Ledger`, acts on what it says.
///
/// A pass goes through the levels of surplus from the lowest; one that cannot gain is skipped with one cheap question.
/// When a whole pass orders nothing the swarm is at rest, and nothing is done until something changes.
actor Replicator: BackgroundLoop {
    nonisolated let worker = Worker("replication", unit: "copies ordered")

    /// Files read at a time.
    static let page = 500
    /// Files looked at in one pass; the next pass goes on from there.
    static let budget = 20_000
    /// A pass is made this often even when nothing is known to have changed.
    static let idle = Duration.seconds(30)
    /// While something could not be done at once, it is tried again this soon.
    static let retry = Duration.seconds(1)

    private let store: any MetadataStore
    private let ledger: Ledger
    private let dispatcher: CopyDispatcher
    private let giveUp: GiveUp
    private let settings: LiveSettings
    private let breaker: EvictionGuard
    private let bell: Bell
    private let clock: any BrimClock
    private let logger: Logger
    private var position: NeedyPosition?
    private var restful = false

    init(
        store: any MetadataStore, ledger: Ledger, dispatcher: CopyDispatcher, giveUp: GiveUp,
        settings: LiveSettings, breaker: EvictionGuard, bell: Bell, clock: any BrimClock = SystemClock(), logger: Logger
    ) {
        self.store = store
        self.ledger = ledger
        self.dispatcher = dispatcher
        self.giveUp = giveUp
        self.settings = settings
        self.breaker = breaker
        self.bell = bell
        self.clock = clock
        self.logger = logger
    }

    /// Copies under way, and whether the last pass found nothing to do and nothing has changed since.
    var progress: (copying: Int, atRest: Bool) {
        let copying = ledger.decide { $0.copiesUnderWay }
        return (copying, restful && copying == 0 && !bell.hasRung)
    }

    func run() async throws {
        var wait = Duration.zero
        while await bell.wait(atMost: wait) {
            let began = clock.now
            worker.begins("looks for the neediest files")
            do {
                let outcome = try await pass()
                restful = outcome == .rest
                switch outcome {
                case .rest: wait = Self.idle
                case .more: wait = .zero
                case .blocked: wait = Self.retry
                }
                note(outcome, wait)
                // A pass that found nothing is not repeated for some time, however often something changes.
                if outcome != .more {
                    let cost = clock.now - began
                    if cost > .milliseconds(20) { try await clock.sleep(for: min(cost * 2, .seconds(5))) }
                }
            } catch {
                restful = false
                wait = Self.retry
                worker.failed(error, again: wait)
                logger.warning("replication is interrupted", metadata: ["error": "\(error)"])
            }
        }
    }

    // MARK: - One pass

    private enum Outcome { case rest, more, blocked }

    private func note(_ outcome: Outcome, _ wait: Duration) {
        let copying = ledger.decide { $0.copiesUnderWay }
        switch outcome {
        case .blocked: worker.waits(for: "servers that are busy", atMost: wait)
        case .rest where copying > 0: worker.waits(for: "\(copying) copies under way", atMost: wait)
        case .rest:
            worker.rests(atMost: wait)
            breaker.rested()
        case .more: break
        }
    }

    private func pass() async throws -> Outcome {
        let start = position
        let now = clock.now
        ledger.decide { planner in
            planner.expireGrants(at: now)
            planner.forgetRound()
        }
        var ordered = try await restoreHeadroom()
        var looked = 0
        var blocked = false
        var level: Level?
        while looked < Self.budget, !Task.isShuttingDownGracefully {
            let brims = ledger.decide { $0.countedBrims }
            let files = try await store.neediest(
                after: position, limit: Self.page, brims: brims, maxCopies: settings.maxCopies)
            guard let first = files.first, let firstSurplus = first.content?.surplus else {
                position = nil
                // All was seen only if this pass began at the first file.
                if ordered > 0 { return .more }
                return blocked ? .blocked : start == nil ? .rest : .more
            }
            if level?.surplus != firstSurplus {
                var next = Level(firstSurplus, store: store, least: least(for: firstSurplus))
                guard try await !isAtRest(&next, from: first.content?.size ?? 0) else {
                    position = NeedyPosition(surplus: firstSurplus, size: .max, file: FileID(.max))
                    continue
                }
                level = next
            }
            guard var current = level else { continue }
            let sameLevel = files.prefix { $0.content?.surplus == firstSurplus }
            let result = try await plan(Array(sameLevel), &current)
            level = current
            looked += sameLevel.count
            ordered += result.jobs.count
            blocked = blocked || result.blocked
            position =
                result.skipRest
                ? NeedyPosition(surplus: firstSurplus, size: .max, file: FileID(.max)) : sameLevel.last?.needyPosition
            if !result.jobs.isEmpty {
                worker.begins("orders \(result.jobs.count) copies of files with surplus \(firstSurplus)")
            }
            await dispatcher.dispatch(result.jobs)
            worker.did(result.jobs.count)
        }
        return .more
    }

    /// What is known of one level of surplus during a pass.
    private struct Level {
        var surplus: Int
        /// Copies that may be given up for its files.
        var lists: RichestLists

        init(_ surplus: Int, store: any MetadataStore, least: Int) {
            self.surplus = surplus
            lists = RichestLists(store: store, minSurplus: least)
        }
    }

    private func least(for surplus: Int) -> Int { ledger.decide { $0.leastVictimSurplus(for: surplus) } }

    /// The cheap question: can no file of this level gain that is as large as this, or larger? Reads only as many of the
    /// copies that may be given up as answer it.
    private func isAtRest(_ level: inout Level, from size: Int64) async throws -> Bool {
        let surplus = level.surplus
        let lacking = ledger.decide { $0.lacking(level: surplus, size: size) }
        if lacking.values.contains(0) { return false }
        try await level.lists.load(lacking.keys.sorted(), page: 1) { lacking[$0] ?? 0 }
        let givable = level.lists.bytes
        if ledger.decide({ $0.atRest(level: surplus, smallest: size, givable: givable) }) { return true }
        guard breaker.mayAdmit else {
            breaker.wanted()
            return true
        }
        return false
    }

    private struct PagePlan {
        var jobs: [CopyDispatcher.Job] = []
        /// Something could be done as soon as servers are less busy.
        var blocked = false
        /// No other file of this level can be placed.
        var skipRest = false
    }

    /// Decides about files of one level, the smallest first.
    private func plan(_ files: [Entry], _ level: inout Level) async throws -> PagePlan {
        var page = PagePlan()
        for entry in files {
            guard let file = NeedyFile(entry), !dispatcher.isResting(entry.id) else {
                page.blocked = true
                continue
            }
            let k = entry.content?.k
            let placement = ledger.decide { planner -> Placement in
                // A file that the recount has not come to yet is left alone.
                guard file.replicas.count(where: { planner.server($0)?.counted == true }) == k else { return .wait }
                let placement = planner.place(file)
                if case .copy(let plan) = placement { planner.ordered(plan) }
                return placement
            }
            switch placement {
            case .copy(let plan): page.jobs.append(CopyDispatcher.Job(plan: plan, entry: entry))
            case .makeRoom(let candidates):
                do {
                    if let plan = try await exchange(for: file, on: candidates, &level.lists) {
                        page.jobs.append(CopyDispatcher.Job(plan: plan, entry: entry))
                    } else if try await isAtRest(&level, from: file.size) {
                        page.skipRest = true
                        return page
                    }
                } catch {
                    // What was decided before is not sent now, so it is not under way.
                    let jobs = page.jobs
                    ledger.decide { planner in for job in jobs { planner.failed(job.plan) } }
                    throw error
                }
            case .wait: page.blocked = true
            case .capped: break
            }
        }
        return page
    }

    /// A copy into room that is made by giving up copies of richer files.
    private func exchange(
        for file: NeedyFile, on candidates: [ServerName], _ lists: inout RichestLists
    ) async throws -> CopyPlan? {
        let lacking = ledger.decide { planner in
            Dictionary(candidates.map { ($0, planner.bytesToFree(for: file, on: $0)) }) { first, _ in first }
        }
        try await lists.load(candidates) { lacking[$0] ?? 0 }
        let (richest, mayAdmit) = (lists.lists, breaker.mayAdmit)
        let plan = ledger.decide { planner in
            let plan = planner.makeRoom(for: file, on: candidates, richest: { richest[$0] ?? [] })
            if let plan, mayAdmit { planner.ordered(plan) }
            return plan
        }
        guard plan == nil || mayAdmit else {
            breaker.wanted()
            return nil
        }
        return plan
    }

    /// Gives up copies on servers that are filled beyond their brim; returns how many.
    private func restoreHeadroom() async throws -> Int {
        var count = 0
        for server in ledger.decide({ $0.aboveBrim }) {
            if !breaker.mayAdmit {
                breaker.wanted()
                break
            }
            let least = ledger.decide { $0.headroomVictimSurplus(on: server) }
            let above = ledger.decide { planner in
                let known = planner.server(server)
                let (used, brim, quota) = (known?.used ?? 0, known?.brim ?? 0, known?.quota ?? 0)
                return "\(server) used \(used) bytes, above its brim of \(brim) (quota \(quota))"
            }
            let richest = try await store.richest(on: server, minSurplus: least, limit: RichestLists.firstPage)
            let plan = ledger.decide { planner in
                let plan = planner.restoreHeadroom(on: server, richest: richest)
                if let plan { planner.ordered(plan) }
                return plan
            }
            guard let plan, !plan.victims.isEmpty else { continue }
            worker.begins("restores the headroom of \(server)")
            _ = try await giveUp.carryOut(plan, minSurplus: least, reason: above)
            count += plan.victims.count
        }
        return count
    }
}

extension Entry {
    var needyPosition: NeedyPosition? {
        content.map { NeedyPosition(surplus: $0.surplus, size: $0.size, file: id) }
    }
}

extension NeedyFile {
    /// The planner's view of a file; nil for anything else.
    init?(_ entry: Entry) {
        guard let content = entry.content else { return nil }
        self.init(
            file: entry.id, blob: content.blob, size: content.size, surplus: content.surplus, replicas: content.replicas
        )
    }
}
