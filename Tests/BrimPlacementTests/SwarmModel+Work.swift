import BrimModel

@testable import BrimPlacement

/// What a replicator does: ask, note, change metadata, send orders, take answers.
extension SwarmModel {
    // MARK: - Decide

    /// One batch of decisions from pages read at its start; whether any was made.
    mutating func decide(atMost most: Int) throws -> Bool {
        planner.forgetRound()
        let page = neediest()
        let pages = Dictionary(
            uniqueKeysWithValues: names.map { ($0, richest(on: $0, minSurplus: .min)) })
        var decided = 0
        for server in planner.aboveBrim where flaw != .neverRestores {
            let least = planner.headroomVictimSurplus(on: server)
            let victims = (pages[server] ?? []).filter { $0.surplus >= least }
            if let plan = evictionPlanner.restoreHeadroom(on: server, richest: victims) {
                try evict(plan, why: "headroom", atLeast: floor + 1)
                decided += 1
            }
        }
        for file in page where decided < most {
            switch planner.place(file) {
            case .copy(let plan):
                try order(plan)
                decided += 1
            case .makeRoom(let candidates) where flaw != .neverExchanges:
                if let plan = makeRoom(file, candidates, pages) {
                    try order(plan)
                    decided += 1
                }
            case .capped:
                if let server = names.first(where: { mightEverHold(file, $0) }) {
                    throw Violation("\(file) is called capped but \(server) could hold it")
                }
            case .makeRoom, .wait:
                break
            }
        }
        return decided > 0
    }

    /// The planner that is asked what to give up.
    private var evictionPlanner: Planner {
        guard flaw == .busyVictims else { return planner }
        var flawed = planner
        for name in names { _ = flawed.lost(name) }
        return flawed
    }

    private func makeRoom(
        _ file: NeedyFile, _ candidates: [ServerName], _ pages: [ServerName: [Victim]]
    ) -> CopyPlan? {
        var asked = file
        if flaw == .bound, file.surplus != 0 { asked.surplus -= 1 }
        var plan = evictionPlanner.makeRoom(for: asked, on: candidates) { pages[$0] ?? [] }
        plan?.file = file
        return plan
    }

    private mutating func order(_ plan: CopyPlan) throws {
        guard let file = files[plan.file.file] else { throw Violation("\(plan.file) does not exist") }
        count(plan.victims.isEmpty ? "copy" : "exchange")
        guard !file.replicas.contains(plan.target), isUp(plan.target) else {
            throw Violation("copy of \(file) to \(plan.target), which holds it or is not up")
        }
        guard plan.sources.allSatisfy({ file.replicas.contains($0) && isReadable($0) }), !plan.sources.isEmpty else {
            throw Violation("copy of \(file) from \(plan.sources)")
        }
        if planner.underWay(file.id) != nil { throw Violation("\(file) is copied twice at once") }
        let before = potential()
        planner.ordered(plan)
        try giveUp(plan.victims, on: plan.target, atLeast: max(floor + 1, surplus(file) + 2))
        if flaw == .forgetsPromises {
            planner.acknowledged(plan, usage: nil)
            servers[plan.target]?.count += 1
            hear(plan.target)
        }
        send(.copy(plan), to: plan.target)
        guard before.lexicographicallyPrecedes(potential()) else {
            throw Violation("surpluses do not rise: \(before) to \(potential()) by \(plan)")
        }
    }

    mutating func evict(_ plan: EvictionPlan, why: String, atLeast least: Int) throws {
        if plan.victims.isEmpty { return }
        count(why)
        planner.ordered(plan)
        try giveUp(plan.victims, on: plan.server, atLeast: least)
        send(.evict(plan), to: plan.server)
    }

    private mutating func send(_ work: Order.Work, to name: ServerName) {
        let order = Order(work: work, disturbances: disturbances(of: name))
        servers[name]?.orders.append(order)
    }

    /// The store's conditional update, except that what it would refuse is a violation.
    private mutating func giveUp(_ victims: [Victim], on server: ServerName, atLeast least: Int) throws {
        for victim in victims {
            guard var file = files[victim.file], file.replicas.contains(server) else {
                throw Violation("\(victim) is given up on \(server), which does not hold it")
            }
            if surplus(file) < least {
                throw Violation("\(file) with surplus \(surplus(file)) is given up, \(least) wanted")
            }
            if !file.replicas.contains(where: { $0 != server && isUp($0) }) {
                throw Violation("the last copy of \(file) that is up is given up on \(server)")
            }
            if pulls.contains(where: { $0.file.file == file.id })
                || servers.values.contains(where: { $0.orders.contains { $0.copies(file.id) } })
            {
                throw Violation("\(file) is given up on \(server) while it is copied")
            }
            file.replicas.remove(server)
            files[file.id] = file
        }
    }

    // MARK: - Slaves

    /// A slave carries out its next order; false when it has none.
    mutating func deliver(to name: ServerName) throws -> Bool {
        guard var server = servers[name], !server.orders.isEmpty else { return false }
        let order = server.orders.removeFirst()
        server.count += 1
        let before = server.used
        var isRefused = false
        switch order.work {
        case .evict(let plan):
            for victim in plan.victims { server.blobs[victim.blob] = nil }
        case .copy(let plan):
            for victim in plan.victims { server.blobs[victim.blob] = nil }
            isRefused = server.used + plan.file.size > server.quota
            if isRefused, order.disturbances == server.disturbances {
                throw Violation("\(plan) is refused: \(server.used) of \(server.quota) used")
            }
            if !isRefused {
                server.reserved[plan.file.blob] = plan.file.size
                pulls.append(plan)
            }
        }
        server.answers.append(Answer(work: order.work, isRefused: isRefused))
        servers[name] = server
        try checkQuota(name, before: before)
        return true
    }

    /// A slave's answers arrive, all with the usage of now, or without.
    mutating func answer(from name: ServerName) {
        guard var server = servers[name], !server.answers.isEmpty else { return }
        let usage = random.chance(80) ? self.usage(server) : nil
        for answer in server.answers {
            switch answer.work {
            case .evict(let plan): planner.acknowledged(plan, usage: usage)
            case .copy(let plan) where answer.isRefused:
                count("refused")
                planner.failed(plan)
                if let usage { planner.heard(usage, from: name) }
            case .copy(let plan): planner.acknowledged(plan, usage: usage)
            }
        }
        server.answers = []
        server.isAmbiguous = false
        servers[name] = server
    }

    mutating func deliverAll() throws {
        for name in names {
            while try deliver(to: name) {}
            answer(from: name)
        }
    }

    /// A pull ends: it arrives if its file is still there and some source can be read, unless `fails`.
    mutating func finish(_ index: Int, fails: Bool = false) throws {
        let plan = pulls.remove(at: index)
        guard var server = servers[plan.target] else { return }
        server.reserved[plan.file.blob] = nil
        server.count += 1
        let readable = plan.sources.contains { servers[$0]?.blobs[plan.file.blob] != nil && isReadable($0) }
        if !fails, readable, var file = files[plan.file.file] {
            server.blobs[file.blob] = file.size
            file.replicas.insert(plan.target)
            files[file.id] = file
            servers[plan.target] = server
            planner.completed(plan)
            count("arrived")
        } else {
            servers[plan.target] = server
            planner.failed(plan)
            count("failed")
        }
        if random.chance(50) { hear(plan.target) }
    }

    func checkQuota(_ name: ServerName, before: Int64) throws {
        guard let server = servers[name] else { return }
        if server.used > max(server.quota, before) {
            throw Violation("\(name) uses \(server.used) of \(server.quota)")
        }
    }

    // MARK: - Writes

    mutating func beginWrite() throws {
        nextID += 1
        let size = Int64([0, 1, 1, 2, 3, 5, 8, 12].randomElement(using: &random) ?? 1)
        let n = [1, 1, 2, 2, 3, 4][Int.random(in: 0..<6, using: &random)]
        let file = File(id: FileID(nextID), blob: blob(nextID), size: size, n: n, replicas: [])
        let copies = min(2, n, names.count(where: isUp))
        guard copies > 0 else { return }
        planner.forgetRound()
        var placement = planner.roomForWrite(size: size, copies: copies, n: n)
        if case .full(let shortage) = placement {
            let pages = Dictionary(
                uniqueKeysWithValues: shortage.candidates.map { ($0, richest(on: $0, minSurplus: .min)) })
            placement = planner.roomForWrite(size: size, copies: copies, n: n) { pages[$0] ?? [] }
        }
        guard case .targets(let targets) = placement else {
            if case .full(let shortage) = placement, shortage.missing < 1 || shortage.placeable >= copies {
                throw Violation("\(shortage) for \(copies) copies of \(size)")
            }
            count("full")
            return
        }
        guard Set(targets.map(\.server)).count == copies, targets.allSatisfy({ isUp($0.server) }) else {
            throw Violation("\(targets) for \(copies) copies")
        }
        let until = clock + .seconds(60)
        planner.granted("w\(nextID)", size: size, on: targets.map(\.server), until: until)
        let before = (potential() + [-n]).sorted()
        for target in targets {
            let plan = EvictionPlan(server: target.server, victims: target.victims)
            try evict(plan, why: "write", atLeast: max(floor + 1, target.leastVictimSurplus))
        }
        let after = (potential() + [copies - n]).sorted()
        guard before.lexicographicallyPrecedes(after) else {
            throw Violation("surpluses do not rise: \(before) to \(after) by a write of \(copies) copies")
        }
        let disturbances = targets.map { self.disturbances(of: $0.server) }
        let write = Write(
            request: "w\(nextID)", file: file, targets: targets.map(\.server), disturbances: disturbances,
            until: until)
        writes.append(write)
        if random.chance(50) { try start(write) }
    }

    /// The targets have room and reserve it: from now on their usage shows it.
    private mutating func start(_ write: Write) throws {
        for target in write.targets {
            while try deliver(to: target) {}
            guard var server = servers[target], server.used + write.file.size <= server.quota else { continue }
            server.writing[write.request] = write.file.size
            server.count += 1
            servers[target] = server
            if random.chance(50) { hear(target) }
        }
    }

    /// What the targets reserved is free again, or becomes the blob.
    mutating func stop(_ write: Write) {
        for target in write.targets where servers[target]?.writing.removeValue(forKey: write.request) != nil {
            servers[target]?.count += 1
        }
    }

    /// Orders of the targets are answered, the bytes arrive everywhere, the write is committed.
    mutating func endWrite(_ index: Int) throws {
        let write = writes.remove(at: index)
        for target in write.targets {
            while try deliver(to: target) {}
            answer(from: target)
        }
        stop(write)
        guard write.targets.allSatisfy({ isReadable($0) }) else {
            planner.writeEnded(write.request)
            return
        }
        var file = write.file
        var usages: [ServerName: ServerUsage] = [:]
        for (target, disturbances) in zip(write.targets, write.disturbances) {
            guard let server = servers[target] else { continue }
            if server.used + file.size > server.quota {
                if disturbances == server.disturbances {
                    throw Violation(
                        "a granted write of \(file.size) is refused by \(target): \(server.used) of \(server.quota)")
                }
                count("write refused")
                planner.writeEnded(write.request)
                for made in file.replicas { servers[made]?.blobs[file.blob] = nil }
                return
            }
            servers[target]?.blobs[file.blob] = file.size
            servers[target]?.count += 1
            file.replicas.insert(target)
            usages[target] = servers[target].map(usage)
        }
        files[file.id] = file
        if random.chance(30), let target = write.targets.first { hear(target) }
        if random.chance(70) { planner.writeStored(write.request, usages: usages) }
        planner.writeEnded(write.request)
        count("written")
    }
}

extension SwarmModel.Order {
    func copies(_ file: FileID) -> Bool {
        if case .copy(let plan) = work { plan.file.file == file } else { false }
    }
}
