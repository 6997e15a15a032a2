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
    /// Files looked at in one pass, and how long one that orders copies may take; the next pass goes on from there.
    static let budget = 20_000
    static let patience = Duration.seconds(2)
    /// A pass is made this often even when nothing is known to have changed.
    static let idle = Duration.seconds(30)
    /// While something could not be done at once, it is tried again this soon.
    static let retry = Duration.seconds(1)
    /// While all who could help the files looked at are busy, the next page is looked at this often.
    static let glance = Duration.milliseconds(200)

    let store: any MetadataStore
    let ledger: Ledger
    let dispatcher: CopyDispatcher
    let giveUp: GiveUp
    let settings: LiveSettings
    let breaker: EvictionGuard
    private let bell: Bell
    private let clock: any BrimClock
    private let logger: Logger
    private var position: NeedyPosition?
    /// The first file of the last pass that began there.
    private var first: FileID?
    /// How long this pass has waited for servers that are busy.
    private var waited = Duration.zero
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
                case .rest: wait = untilNextLook
                case .more: wait = .zero
                case .blocked: wait = Self.retry
                }
                note(outcome, wait)
                // A pass that found nothing is not repeated for some time, however often something changes.
                if outcome != .more {
                    let cost = clock.now - began - waited
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

    /// Nobody tells when room that was held for a write which never came is free.
    private var untilNextLook: Duration {
        guard let expiry = ledger.decide({ $0.nextGrantExpiry }) else { return Self.idle }
        return min(Self.idle, max(.zero, expiry - clock.now))
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
        let began = clock.now
        waited = .zero
        ledger.decide { planner in
            planner.expireGrants(at: began)
            planner.forgetRound()
        }
        var ordered = try await restoreHeadroom()
        try await turnBack()
        let start = position
        var looked = 0
        var blocked = false
        var level: Level?
        while looked < Self.budget, ordered == 0 || clock.now - began < Self.patience, !Task.isShuttingDownGracefully {
            let files = try await neediest(after: position, limit: Self.page)
            let surplus = files.first?.content?.surplus
            if var current = level, current.surplus != surplus {
                level = nil
                if !current.waiting.isEmpty {
                    ordered += try await serve(&current, downTo: 0, within: Self.retry)
                    blocked = true
                    // The page is not new any more.
                    continue
                }
            }
            guard let first = files.first, let surplus else {
                position = nil
                // All was seen only if this pass began at the first file.
                if ordered > 0 { return .more }
                if blocked || ledger.decide({ !$0.unreconciled.isEmpty }) { return .blocked }
                return start == nil ? .rest : .more
            }
            if position == nil { self.first = first.id }
            if level == nil {
                var next = Level(surplus, store: store, least: least(for: surplus))
                guard try await !isAtRest(&next, from: first.content?.size ?? 0) else {
                    position = NeedyPosition(surplus: surplus, size: .max, file: FileID(.max))
                    continue
                }
                level = next
            }
            guard var current = level else { continue }
            let sameLevel = files.prefix { $0.content?.surplus == surplus }
            let result = try await plan(Array(sameLevel), &current)
            looked += sameLevel.count
            blocked = blocked || result.blocked
            position =
                result.skipRest
                ? NeedyPosition(surplus: surplus, size: .max, file: FileID(.max)) : sameLevel.last?.needyPosition
            ordered += await order(result, in: &current)
            ordered += try await serve(&current, downTo: Self.page / 4, within: Self.glance)
            level = current
        }
        return .more
    }

    private func neediest(after position: NeedyPosition?, limit: Int) async throws -> [Entry] {
        let brims = ledger.decide { $0.countedBrims }
        return try await store.neediest(after: position, limit: limit, brims: brims, maxCopies: settings.maxCopies)
    }

    /// A file that is needier than where the last pass stopped, and was not there when it began, comes first.
    private func turnBack() async throws {
        guard let stopped = position, let neediest = try await neediest(after: nil, limit: 1).first,
            let surplus = neediest.content?.surplus, surplus < stopped.surplus, neediest.id != first
        else { return }
        position = nil
    }

    /// Orders what was planned, and keeps what waits, as much as may be; answers how many copies were ordered.
    private func order(_ page: PagePlan, in level: inout Level) async -> Int {
        level.waiting += page.waiting.prefix(Self.page - min(Self.page, level.waiting.count))
        guard !page.jobs.isEmpty else { return 0 }
        worker.begins("orders \(page.jobs.count) copies of files with surplus \(level.surplus)")
        await dispatcher.dispatch(page.jobs)
        worker.did(page.jobs.count)
        return page.jobs.count
    }

    /// Places files that wait for others' copies to end, as these end, until no more than `most` are left or the time is
    /// over. Thus each file is read once, however little can be under way at a time. Answers how many copies were ordered.
    private func serve(_ level: inout Level, downTo most: Int, within limit: Duration) async throws -> Int {
        let began = clock.now
        var ordered = 0
        while level.waiting.count > most, clock.now - began < limit {
            worker.waits(for: "servers that are busy", atMost: limit)
            let asleep = clock.now
            let goesOn = await bell.wait(atMost: limit - (asleep - began))
            waited += clock.now - asleep
            guard goesOn else { break }
            let files = level.waiting
            level.waiting = []
            let page = try await plan(files, &level)
            ordered += await order(page, in: &level)
        }
        return ordered
    }
}
