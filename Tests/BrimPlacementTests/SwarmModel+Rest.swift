import BrimModel

@testable import BrimPlacement

/// Rest, and what must hold there, judged by definition and not by the planner's own code.
extension SwarmModel {
    /// Runs the planner undisturbed until it finds nothing more to do, and checks that this is rest.
    mutating func settle() throws {
        for name in names { servers[name]?.load = 0 }
        while !writes.isEmpty { try endWrite(0) }
        try finishAll()
        try checkAtRestAnswers()
        let turns = 300
        for turn in 0... {
            let batch = Int.random(in: 1...20, using: &random)
            let busy = try decide(atMost: batch)
            try finishAll()
            if !busy { break }
            if turn == turns { throw Violation("no rest after \(turns) turns: \(potential())") }
        }
        try checkLedgerIsEmpty()
        for name in names { try checkHeadroom(name) }
        for file in files.values.sorted(by: { $0.id < $1.id }) {
            if let server = names.first(where: { canCopy(file, to: $0) }) {
                throw Violation("at rest, \(needy(file)) could be copied to \(server)")
            }
        }
        try checkRoomForOne()
        count("rest")
    }

    private mutating func finishAll() throws {
        try deliverAll()
        while !pulls.isEmpty { try finish(0) }
        hearAll()
    }

    // MARK: - By definition

    func brim(_ server: Server) -> Int64 { headroom.brim(ofQuota: server.quota) }

    /// Copies that may be given up on a server so that their files keep `keeping`.
    func mayGo(on name: ServerName, keeping: Int, besides: FileID? = nil) -> [File] {
        files.values.filter { file in
            file.replicas.contains(name) && file.id != besides && surplus(file) - 1 >= keeping
                && file.replicas.contains { $0 != name && isUp($0) }
        }
    }

    /// Whether section 4's rules 2 or 3 allow one more copy of a file on a server.
    func canCopy(_ file: File, to name: ServerName) -> Bool {
        guard let server = servers[name], server.state == .up, isReadable(file), !file.replicas.contains(name),
            k(file) < planner.limits.maxCopies
        else { return false }
        let limit = surplus(file) < 0 || file.size == 0 ? server.quota : brim(server)
        guard file.size <= limit else { return false }
        let lacking = server.used + file.size - limit
        let victims = mayGo(on: name, keeping: max(floor, surplus(file) + 1), besides: file.id)
        return lacking <= victims.reduce(0) { $0 + $1.size }
    }

    func mightEverHold(_ file: NeedyFile, _ name: ServerName) -> Bool {
        guard let server = servers[name], isCounted(name), !file.replicas.contains(name),
            file.replicas.count(where: isCounted) < planner.limits.maxCopies
        else { return false }
        return file.size <= (file.surplus < 0 || file.size == 0 ? server.quota : brim(server))
    }

    private func checkHeadroom(_ name: ServerName) throws {
        guard let server = servers[name], server.state == .up else { return }
        if server.used > brim(server), mayGo(on: name, keeping: max(floor, 0)).contains(where: { $0.size > 0 }) {
            throw Violation("at rest, headroom of \(name) could be restored: \(server.used) above \(brim(server))")
        }
        if server.used > server.quota, mayGo(on: name, keeping: floor).contains(where: { $0.size > 0 }) {
            throw Violation("at rest, \(name) could come nearer to its quota: \(server.used) of \(server.quota)")
        }
    }

    // MARK: - The planner's own answers

    private func checkLedgerIsEmpty() throws {
        guard planner.copiesUnderWay == 0 else { throw Violation("copies under way at rest") }
        for account in planner.ledger.accounts.values where isReadable(account.server.name) {
            let room = account.server.quota - account.server.used
            let used = servers[account.server.name]?.used
            guard account.isIdle, account.room(below: account.server.quota) == room,
                account.roomToCome(below: account.server.quota) == room, used == account.server.used,
                account.receivingBytes == 0
            else { throw Violation("the ledger is not empty at rest: \(account), \(used ?? -1) used") }
        }
    }

    /// Where the cheap question says rest, no legal step may be left.
    private mutating func checkAtRestAnswers() throws {
        let levels = Dictionary(grouping: neediest(), by: \.surplus)
        for (level, needy) in levels.sorted(by: { $0.key < $1.key }) {
            let smallest = needy.map(\.size).min() ?? 0
            let least = planner.leastVictimSurplus(for: level)
            let givable = names.map { name in
                (name, richest(on: name, minSurplus: least).reduce(0) { $0 + $1.size })
            }
            guard planner.atRest(level: level, smallest: smallest, givable: Dictionary(uniqueKeysWithValues: givable))
            else { continue }
            count("level at rest")
            for file in needy.compactMap({ files[$0.file] }) {
                if let server = names.first(where: { canCopy(file, to: $0) }) {
                    throw Violation("level \(level) is called at rest but \(file) could be copied to \(server)")
                }
            }
        }
    }

    /// A write of one copy is placed just when some server has room or may make it.
    private mutating func checkRoomForOne() throws {
        let size = Int64.random(in: 0...15, using: &random)
        let n = Int.random(in: 1...3, using: &random)
        let up = names.filter(isUp)
        if up.isEmpty { return }
        let fits = up.contains { name in
            guard let server = servers[name], size <= server.quota else { return false }
            let allowed = mayGo(on: name, keeping: max(floor, 1 - n)).reduce(0) { $0 + $1.size }
            return server.used + size - server.quota <= allowed
        }
        let placement = planner.roomForWrite(size: size, copies: 1, n: n) { richest(on: $0, minSurplus: .min) }
        let placed = if case .targets = placement { true } else { false }
        if placed != fits { throw Violation("a write of \(size), n = \(n): \(placement), by definition \(fits)") }
    }
}
