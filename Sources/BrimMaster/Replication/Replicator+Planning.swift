import BrimMetadata
import BrimModel
import BrimPlacement

/// What a pass decides about one page of one level.
extension Replicator {
    /// What is known of one level of surplus during a pass.
    struct Level {
        var surplus: Int
        /// Servers that take copies.
        var receivers: [ServerName]
        /// The most surplus of a copy on each of them.
        var richestSurplus: [ServerName: Int]
        /// Whether some copy may be given up for a file of this level.
        var exchanges: Bool
        var lists: RichestLists
        /// Files that can be placed when copies under way have ended; at most a page of them.
        var waiting: [Entry] = []
    }

    func open(_ surplus: Int) async throws -> Level {
        let receivers = await roster.records.filter(\.isReceiving).map(\.name)
        let least = ledger.decide { $0.leastVictimSurplus(for: surplus) }
        var tops: [ServerName: Int] = [:]
        for server in receivers {
            tops[server] = try await store.richest(on: server, minSurplus: least, limit: 1).first?.surplus
        }
        if !tops.isEmpty, !breaker.mayAdmit { breaker.wanted() }
        return Level(
            surplus: surplus, receivers: receivers, richestSurplus: tops, exchanges: !tops.isEmpty && breaker.mayAdmit,
            lists: RichestLists(store: store, minSurplus: least))
    }

    /// The cheap question: can no file of this level gain at all?
    func isAtRest(_ level: Level, smallest: Int64) -> Bool {
        ledger.decide { $0.atRest(level: level.surplus, smallest: smallest, richestSurplus: level.richestSurplus) }
    }

    struct PagePlan {
        var jobs: [CopyDispatcher.Job] = []
        /// Files that only wait for other copies to end.
        var waiting: [Entry] = []
        /// Something could be done as soon as servers are less busy.
        var blocked = false
        /// No larger file of this level can be placed.
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
                if level.exchanges {
                    do {
                        if let plan = try await exchange(for: file, on: candidates, &level.lists) {
                            page.jobs.append(CopyDispatcher.Job(plan: plan, entry: entry))
                        }
                    } catch {
                        // What was decided before is not sent now, so it is not under way.
                        let jobs = page.jobs
                        ledger.decide { planner in for job in jobs { planner.failed(job.plan) } }
                        throw error
                    }
                } else if isTooLarge(file, for: level.receivers) {
                    page.skipRest = true
                    return page
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
        let richest = lists.lists
        return ledger.decide { planner in
            let plan = planner.makeRoom(for: file, on: candidates, richest: { richest[$0] ?? [] })
            if let plan { planner.ordered(plan) }
            return plan
        }
    }

    /// Whether no server has room for a file of this size, even when all that is promised to it came to nothing.
    private func isTooLarge(_ file: NeedyFile, for servers: [ServerName]) -> Bool {
        ledger.decide { planner in
            servers.compactMap { planner.server($0) }.allSatisfy { server in
                min((file.surplus < 0 ? server.quota : server.brim) - server.used, server.diskFree) < file.size
            }
        }
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
