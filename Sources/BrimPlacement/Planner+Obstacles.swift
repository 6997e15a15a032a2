import BrimModel

/// Why a file gets no further copy now.
public enum Obstacle: Sendable, Hashable {
    /// It has as many counted copies as any file may have.
    case maxCopies(Int)
    /// Every server that counts holds one.
    case everywhere(servers: Int)
    /// It is larger than any server without a copy is ever filled; `limit` is the largest of their limits, in bytes.
    case tooLarge(limit: Int64)
    /// No server that holds it can be read.
    case unreadable
    /// A copy is under way to this server.
    case underWay(ServerName)
    /// Servers that could take or serve it are busy, suspect or failing.
    case busy
    /// A copy can be made right now, to this server, giving up so many copies there.
    case soon(ServerName, victims: Int)
    /// No room anywhere, nor copies that may be given up for it.
    case noRoom([Lack])

    /// What a server without a copy lacks.
    public struct Lack: Sendable, Hashable {
        public var server: ServerName
        /// Bytes to be freed there.
        public var missing: Int64
        /// Bytes that giving up copies could free.
        public var allowed: Int64
        /// The most surplus of a copy there; nil when it holds none that could be given up at all.
        public var richest: Int?
        /// The surplus that a copy there must have to be given up for this file.
        public var needed: Int
    }
}

extension Planner {
    /// Why this file has no further copy, as things are now. `richest` are the copies on a server by surplus, most first,
    /// without a bound.
    public func obstacle(for file: NeedyFile, richest: (ServerName) -> [Victim]) -> Obstacle {
        if let plan = ledger.copies[file.file]?.plan { return .underWay(plan.target) }
        let holders = file.replicas.compactMap { ledger.accounts[$0] }
        let counted = holders.count(where: \.server.counted)
        if counted >= limits.maxCopies { return .maxCopies(limits.maxCopies) }
        if !holders.contains(where: \.server.readable) { return .unreadable }
        let others = ledger.accounts.values.filter { account in
            (account.server.receives || account.server.counted) && !file.replicas.contains(account.server.name)
        }
        if others.isEmpty { return .everywhere(servers: counted) }
        switch place(file) {
        case .copy(let plan): return .soon(plan.target, victims: 0)
        case .wait: return .busy
        case .capped:
            let limits = others.map { limit($0.server, surplus: file.surplus, size: file.size) }
            return .tooLarge(limit: limits.max() ?? 0)
        case .makeRoom(let candidates):
            if let plan = makeRoom(for: file, on: candidates, richest: richest) {
                return .soon(plan.target, victims: plan.victims.count)
            }
            let least = leastVictimSurplus(for: file.surplus)
            return .noRoom(
                candidates.sorted().map { server in
                    let copies = richest(server)
                    return Obstacle.Lack(
                        server: server, missing: bytesToFree(for: file, on: server),
                        allowed: victims(on: server, atLeast: least, from: copies).reduce(0) { $0 + $1.size },
                        richest: copies.first?.surplus, needed: least)
                })
        }
    }
}

extension Obstacle: CustomStringConvertible {
    /// A sentence with its numbers.
    public var description: String {
        switch self {
        case .maxCopies(let most): return "it has the most copies that a file is given (max-copies \(most))"
        case .everywhere(let servers): return "every server that counts holds it (\(servers))"
        case .tooLarge(let limit):
            return "it is larger than \(ByteCount.format(limit)), to which the roomiest server without a copy is filled"
        case .unreadable: return "no server that holds it answers: there is nothing to copy from"
        case .underWay(let server): return "a copy is on its way to \(server)"
        case .busy: return "the servers that could take or give a copy are busy or not up: waiting"
        case .soon(let server, victims: 0): return "\(server) has room: a copy is about to be made"
        case .soon(let server, let victims):
            return
                "\(server) can give up \(victims) \(victims == 1 ? "copy" : "copies") of richer files for it: about to be made"
        case .noRoom(let lacks):
            let parts = lacks.map { lack in
                let richest =
                    lack.richest.map { "the richest copy there has surplus \(signed($0))" } ?? "it holds no copy"
                return "\(lack.server) lacks \(ByteCount.format(lack.missing)), \(richest)"
                    + (lack.allowed > 0 ? ", and only \(ByteCount.format(lack.allowed)) may be given up" : "")
            }
            let needed = lacks.first.map { " (a copy that gives way needs surplus \(signed($0.needed)) or more)" } ?? ""
            return "no server has room\(needed): " + parts.joined(separator: "; ")
        }
    }

    private func signed(_ surplus: Int) -> String { surplus > 0 ? "+\(surplus)" : "\(surplus)" }
}
