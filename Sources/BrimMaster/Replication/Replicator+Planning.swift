import BrimMetadata
import BrimModel
import BrimPlacement

/// What a pass decides about one page of one level.
extension Replicator {
    /// What is known of one level of surplus during a pass.
    struct Level {
        var surplus: Int
        /// Copies that may be given up for its files.
        var lists: RichestLists
        /// Files that can be placed when copies under way have ended; at most a page of them.
        var waiting: [Entry] = []

        init(_ surplus: Int, store: any MetadataStore, least: Int) {
            self.surplus = surplus
            lists = RichestLists(store: store, minSurplus: least)
        }
    }

    func least(for surplus: Int) -> Int { ledger.decide { $0.leastVictimSurplus(for: surplus) } }

    /// The cheap question: can no file of this level gain that is as large as this, or larger? Reads only as many of the
    /// copies that may be given up as answer it.
    func isAtRest(_ level: inout Level, from size: Int64) async throws -> Bool {
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

    struct PagePlan {
        var jobs: [CopyDispatcher.Job] = []
        /// Files that only wait for other copies to end.
        var waiting: [Entry] = []
        /// Something could be done as soon as servers are less busy.
        var blocked = false
        /// No other file of this level can be placed.
        var skipRest = false
    }

    /// Decides about files of one level, the smallest first.
    func plan(_ files: [Entry], _ level: inout Level) async throws -> PagePlan {
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
            case .wait:
                page.blocked = true
                if ledger.decide({ $0.waitsForCopies(file) }) { page.waiting.append(entry) }
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
    func restoreHeadroom() async throws -> Int {
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
