import BrimModel

extension Planner {
    /// Chooses the targets of a new write: first a server in `near` (on the client's own machine), then other zones, then
    /// the emptiest by share of quota, all filled up to their quota.
    ///
    /// Where room lacks, copies are given up by the same two bounds as for copies: the i-th copy of a new file (from 0)
    /// raises it from −n + i to −n + i + 1. `richest` is as for `makeRoom`; without it only free room is used, and
    /// `.full` names the servers to read it from. A write that takes a reservation in steps asks for its first step.
    public func roomForWrite(
        size: Int64, copies: Int, n: Int, near: Set<ServerName> = [], excluding: Set<ServerName> = [],
        richest: (ServerName) -> [Victim] = { _ in [] }
    ) -> WritePlacement {
        var open = ledger.accounts.values
            .filter { $0.server.receives && !excluding.contains($0.server.name) }
            .sorted { $0.server.name < $1.server.name }
        guard open.count >= copies else { return .tooFewServers(available: open.count) }

        var targets: [WriteTarget] = []
        var zones: Set<String> = []
        func take(_ name: ServerName, _ target: WriteTarget) {
            targets.append(target)
            if let index = open.firstIndex(where: { $0.server.name == name }) {
                zones.insert(open.remove(at: index).server.zone)
            }
        }
        while targets.count < copies,
            let next = roomiest(in: open, for: size, near: targets.isEmpty ? near : [], beside: zones)
        {
            take(next, WriteTarget(server: next, leastVictimSurplus: leastVictimSurplus(for: -n)))
        }

        // The richest victims meet the strictest bound, so the last of these copies is chosen for first.
        var decided = self
        for i in (0..<copies - targets.count).reversed() {
            let least = leastVictimSurplus(for: i - n)
            guard let (name, choice) = decided.richestRoom(in: open, for: size, atLeast: least, from: richest) else {
                return .full(
                    decided.shortage(
                        of: copies, placed: targets.count, in: open, for: size, atLeast: least, from: richest))
            }
            for victim in choice.victims { decided.gaveUp(victim, on: name) }
            take(name, WriteTarget(server: name, victims: choice.victims, leastVictimSurplus: least))
        }
        return .targets(targets)
    }

    /// Holds room on the targets of a write that has been granted, until it ends or `until` has passed.
    public mutating func granted(
        _ request: String, size: Int64, on servers: [ServerName], until: ContinuousClock.Instant
    ) {
        ledger.granted(request, size: size, on: servers, until: until)
    }

    /// A write is stored on these servers, and in what each says it uses: no room is held there for it any more.
    public mutating func writeStored(_ request: String, usages: [ServerName: ServerUsage]) {
        ledger.writeStored(request, usages: usages)
    }

    /// A write was committed or given back. On targets that did not say that they stored it, its room is held until their
    /// next word.
    public mutating func writeEnded(_ request: String) { ledger.writeEnded(request) }

    /// The leave to write never reached the writer: nothing is held for it any more.
    public mutating func writeRevoked(_ request: String) { ledger.writeRevoked(request) }

    /// Lets go of the room of writes that were granted too long ago.
    public mutating func expireGrants(at now: ContinuousClock.Instant) { ledger.expireGrants(at: now) }

    private func roomiest(
        in open: [Account], for size: Int64, near: Set<ServerName>, beside zones: Set<String>
    ) -> ServerName? {
        func rank(_ account: Account) -> (Int, Int, Int, Double, ServerName) {
            let server = account.server
            return (
                near.contains(server.name) ? 0 : 1, zones.contains(server.zone) ? 1 : 0,
                isOverloaded(server) ? 1 : 0, account.fill, server.name
            )
        }
        return open.filter { size <= $0.room(below: $0.server.quota) }
            .min { rank($0) < rank($1) }?.server.name
    }

    /// The server on which the copies to give up are the richest.
    private func richestRoom(
        in open: [Account], for size: Int64, atLeast least: Int, from richest: (ServerName) -> [Victim]
    ) -> (ServerName, VictimChoice)? {
        var best: (ServerName, VictimChoice)?
        for account in open where size <= account.server.quota {
            let name = account.server.name
            guard
                let choice = VictimChoice(
                    freeing: account.lacking(size, below: account.server.quota),
                    among: victims(on: name, atLeast: least, from: richest(name)), atMost: limits.maxVictims)
            else { continue }
            if best.map({ choice.isBetter(than: $0.1) }) ?? true { best = (name, choice) }
        }
        return best
    }

    private func shortage(
        of copies: Int, placed: Int, in open: [Account], for size: Int64, atLeast least: Int,
        from richest: (ServerName) -> [Victim]
    ) -> Shortage {
        let lacking = open.map { account in
            let name = account.server.name
            let allowed = victims(on: name, atLeast: least, from: richest(name)).reduce(0) { $0 + $1.size }
            return (name: name, bytes: max(0, account.lacking(size, below: account.server.quota) - allowed))
        }
        .sorted { ($0.bytes, $0.name) < ($1.bytes, $1.name) }
        let large = Set(open.filter { size <= $0.server.quota }.map(\.server.name))
        return Shortage(
            copies: copies, placeable: min(copies - 1, placed + lacking.count { $0.bytes == 0 }),
            missing: max(1, lacking.prefix(copies - placed).reduce(0) { $0 + $1.bytes }),
            candidates: lacking.map(\.name).filter(large.contains))
    }
}
