import BrimMetadata
import BrimModel
import BrimPlacement
import BrimWire
import Logging

/// Finds room for new writes, and makes it by giving up spare copies where there is none.
struct RoomKeeper: Sendable {
    /// Room is looked for anew when copies changed while it was made, and while other writes are about to end; together
    /// this takes less than a writer waits for its answer.
    private static let attempts = 80
    /// Between looks at a full swarm.
    private static let pause = Duration.milliseconds(100)
    /// Servers asked what they use before a write is refused.
    private static let asked = 8
    /// How long room is held for a writer that does not begin.
    private static let grantLifetime = Duration.seconds(60)

    let store: any MetadataStore
    let roster: Roster
    let ledger: Ledger
    let giveUp: GiveUp
    let slaves: any SlaveLink
    let settings: LiveSettings
    var clock: any BrimClock = SystemClock()

    /// Targets for a write of `size` bytes with room on each; `request` names it until it ends. Throws `.full`,
    /// `.unavailable`.
    func place(
        request: String, size: Int64, n: Int, avoid: Set<ServerName>, writerHost: String?
    ) async throws -> [Peer] {
        let up = await roster.receiving
        guard !up.isEmpty else {
            throw BrimError(
                .unavailable, "no server is up with a disk that takes writes",
                advice: "Start a slave, or wait until one has joined; brim servers shows failing disks")
        }
        let copies = min(settings.writeCopies, n, up.count)
        let near = Set(up.filter { $0.address.hasPrefix("\(writerHost ?? "?"):") }.map(\.name))
        for attempt in 0..<Self.attempts {
            switch decide(request, size, copies, n, near, avoid, richest: [:]) {
            case .targets(let targets):
                if let peers = try await open(targets, for: request, size: size) { return peers }
            case .tooFewServers(let available):
                throw Self.tooFew(available, copies)
            case .full(let shortage):
                let least = ledger.decide { $0.leastVictimSurplus(for: -n) }
                let richest = try await richest(on: shortage.candidates, minSurplus: least, size: size)
                switch decide(request, size, copies, n, near, avoid, richest: richest) {
                case .targets(let targets):
                    if let peers = try await open(targets, for: request, size: size) { return peers }
                case .tooFewServers(let available): throw Self.tooFew(available, copies)
                case .full(let shortage):
                    guard await mayFindRoom(on: shortage.candidates, isFirstLook: attempt == 0) else {
                        throw await full(size, shortage)
                    }
                }
            }
        }
        throw BrimError(
            .full, "other writes under way hold the room that is left", advice: "Try again when they have ended",
            retryable: true)
    }

    /// Whether another look may find room: the servers that lack the least are asked what they use now, since a write may
    /// have been cut off after their last word, or stored and not entered yet.
    private func mayFindRoom(on servers: [ServerName], isFirstLook: Bool) async -> Bool {
        let servers = servers.prefix(Self.asked)
        let isUnsettled = ledger.decide { $0.isUnsettled(Array(servers)) }
        guard isFirstLook || isUnsettled else { return false }
        if !isFirstLook { try? await clock.sleep(for: Self.pause) }
        await withTaskGroup(of: Void.self) { group in
            for server in servers {
                group.addTask {
                    guard let peer = try? await roster.peer(server), let usage = try? await slaves.usage(peer) else {
                        return
                    }
                    await roster.note(server, usage: usage)
                    ledger.decide { _ = $0.heard(usage, from: server) }
                }
            }
        }
        return true
    }

    /// A write ended, well or not: the room held for it is free for others once its targets say what they use.
    func ended(_ request: String) {
        ledger.decide { $0.writeEnded(request) }
    }

    /// Makes room on one server for a write under way there. Throws `.full`.
    func makeRoom(bytes: Int64, on server: ServerName) async throws {
        for _ in 0..<Self.attempts {
            let least = ledger.decide { $0.leastVictimSurplus(for: -1) }
            let richest = try await richest(on: [server], minSurplus: least, size: bytes)[server] ?? []
            let plan = ledger.decide { planner in
                let plan = planner.roomOnRequest(bytes: bytes, on: server, richest: richest)
                if let plan { planner.ordered(plan) }
                return plan
            }
            guard let plan else {
                throw BrimError(
                    .full, "\(server) lacks \(ByteCount.format(bytes)) and no copy there may be given up",
                    advice: Self.howToGetRoom)
            }
            if try await giveUp.carryOut(
                plan, minSurplus: least, reason: "room for a write under way that lacks \(bytes) bytes", forWrite: true)
            {
                return
            }
        }
        throw BrimError(.conflict, "room on \(server) was taken by others again and again", advice: "Try again")
    }

    // MARK: - Details

    static let howToGetRoom = "Add a server, raise a quota (brim server quota), remove files, or lower n of some files"

    /// Decides and, when it can be done, holds the room.
    private func decide(
        _ request: String, _ size: Int64, _ copies: Int, _ n: Int, _ near: Set<ServerName>, _ avoid: Set<ServerName>,
        richest: [ServerName: [Victim]]
    ) -> WritePlacement {
        let now = clock.now
        return ledger.decide { planner in
            planner.expireGrants(at: now)
            let placement = planner.roomForWrite(
                size: size, copies: copies, n: n, near: near, excluding: avoid, richest: { richest[$0] ?? [] })
            if case .targets(let targets) = placement {
                for target in targets where !target.victims.isEmpty {
                    planner.ordered(EvictionPlan(server: target.server, victims: target.victims))
                }
                planner.granted(request, size: size, on: targets.map(\.server), until: now + Self.grantLifetime)
            }
            return placement
        }
    }

    /// Gives up what is in the way on targets whose room is held; nil when copies there changed meanwhile. Unless the
    /// targets are ready, the room is no longer held.
    private func open(_ targets: [WriteTarget], for request: String, size: Int64) async throws -> [Peer]? {
        do {
            if try await makeRoom(targets, for: size) { return try await peers(targets) }
        } catch {
            ended(request)
            throw error
        }
        ended(request)
        return nil
    }

    private func makeRoom(_ targets: [WriteTarget], for size: Int64) async throws -> Bool {
        var complete = true
        for (index, target) in targets.enumerated() where !target.victims.isEmpty {
            do {
                let made = try await giveUp.carryOut(
                    EvictionPlan(server: target.server, victims: target.victims),
                    minSurplus: target.leastVictimSurplus, reason: "room for a new file of \(size) bytes",
                    forWrite: true)
                complete = complete && made
            } catch {
                // The evictions that were to follow are not under way.
                ledger.decide { planner in
                    for rest in targets[(index + 1)...] {
                        planner.failed(EvictionPlan(server: rest.server, victims: rest.victims))
                    }
                }
                throw error
            }
        }
        return complete
    }

    /// Enough of each server's richest copies to free `size` bytes, if there are as many.
    private func richest(
        on servers: [ServerName], minSurplus: Int, size: Int64
    ) async throws -> [ServerName: [Victim]] {
        var lists = RichestLists(store: store, minSurplus: minSurplus)
        try await lists.load(servers) { _ in size }
        return lists.lists
    }

    private func peers(_ targets: [WriteTarget]) async throws -> [Peer] {
        var peers: [Peer] = []
        for target in targets { peers.append(try await roster.peer(target.server)) }
        return peers
    }

    private static func tooFew(_ available: Int, _ copies: Int) -> BrimError {
        BrimError(
            .unavailable, "a write needs \(copies) servers and \(available) can take it now",
            advice: "Start more slaves, or wait until they answer")
    }

    private func full(_ size: Int64, _ shortage: Shortage) async -> BrimError {
        var advice = Self.howToGetRoom
        // Raising a quota is no use where the disk itself is full.
        let limited = await roster.records.filter { shortage.candidates.contains($0.name) && $0.isDiskFull }
        if !limited.isEmpty {
            advice += ". The disk is full on \(limited.map(\.name.rawValue).joined(separator: ", "))"
        }
        return BrimError(
            .full,
            "the swarm is full: \(ByteCount.format(size)) on \(shortage.copies) servers need "
                + "\(ByteCount.format(shortage.missing)) more (\(shortage.missing) bytes), and no copy above the floor of "
                + "\(settings.floor) is left to give up",
            advice: advice)
    }
}
