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
    let versions: VersionWorker
    let slaves: any SlaveLink
    let settings: LiveSettings
    var clock: any BrimClock = SystemClock()

    /// A write that needs room.
    private struct Need {
        var request: String
        var size: Int64
        var copies: Int
        var n: Int
        var near: Set<ServerName>
        var avoid: Set<ServerName>
        /// Whether what is over and still held has been looked into.
        var hasHeard = false
        /// Whether servers were asked what they use since no room was found.
        var hasAsked = false
    }

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
        let near = Set(up.filter { $0.address.hasPrefix("\(writerHost ?? "?"):") }.map(\.name))
        var need = Need(
            request: request, size: size, copies: min(settings.writeCopies, n, up.count), n: n, near: near,
            avoid: avoid)
        for _ in 0..<Self.attempts {
            switch try await look(for: &need) {
            case .targets(let targets):
                if let peers = try await open(targets, for: need) { return peers }
            case .tooFewServers(let available): throw Self.tooFew(available, need.copies)
            case .full(let shortage):
                guard try await mayFindRoom(on: shortage.candidates, for: &need) else {
                    throw await full(size, shortage)
                }
            }
        }
        throw BrimError(
            .full, "other writes under way hold the room that is left", advice: "Try again when they have ended",
            retryable: true)
    }

    /// Free room first, then such as can be made; nothing is given up for bytes that are only counted twice.
    private func look(for need: inout Need) async throws -> WritePlacement {
        var placement = decide(need, richest: [:])
        guard case .full(var shortage) = placement else { return placement }
        let candidates = shortage.candidates
        let awaited = ledger.decide { $0.awaitingWord(candidates) }
        if !need.hasHeard, !awaited.isEmpty {
            need.hasHeard = true
            await ask(awaited)
            placement = decide(need, richest: [:])
            guard case .full(let rest) = placement else { return placement }
            shortage = rest
        }
        let n = need.n
        let least = ledger.decide { $0.leastVictimSurplus(for: -n) }
        let richest = try await richest(on: shortage.candidates, minSurplus: least, size: need.size)
        return decide(need, richest: richest)
    }

    /// Whether another look may find room. Versions just overwritten become trash first. Then the servers that lack the
    /// least are asked what they use now, since a write may have been cut off after their last word, or be about to be
    /// entered.
    private func mayFindRoom(on servers: [ServerName], for need: inout Need) async throws -> Bool {
        if try await versions.settle() > 0 { return true }
        let isUnsettled = ledger.decide { $0.isUnsettled(Array(servers.prefix(Self.asked))) }
        guard !need.hasAsked || isUnsettled else { return false }
        if need.hasAsked { try? await clock.sleep(for: Self.pause) }
        need.hasAsked = true
        await ask(servers)
        return true
    }

    /// Has the first of these servers say what they use.
    private func ask(_ servers: [ServerName]) async {
        await withTaskGroup(of: Void.self) { group in
            for server in servers.prefix(Self.asked) {
                group.addTask {
                    guard let peer = try? await roster.peer(server), let usage = try? await slaves.usage(peer) else {
                        return
                    }
                    await roster.note(server, usage: usage)
                    ledger.decide { $0.heard(usage, from: server) }
                }
            }
        }
    }

    /// A write is stored on all its targets; what each uses shows it.
    func stored(_ request: String, _ usages: [TargetUsage]) {
        let usages = Dictionary(usages.map { ($0.server, $0.usage) }) { first, _ in first }
        ledger.decide { $0.writeStored(request, usages: usages) }
    }

    /// A write ended, well or not: the room held for it is free for others once its targets say what they use.
    func ended(_ request: String) {
        ledger.decide { $0.writeEnded(request) }
    }

    /// Makes room on one server for a write under way there. Throws `.full`.
    func makeRoom(bytes: Int64, on server: ServerName) async throws {
        var hasSettled = false
        for _ in 0..<Self.attempts {
            let least = ledger.decide { $0.leastVictimSurplus(for: -1) }
            let richest = try await richest(on: [server], minSurplus: least, size: bytes)[server] ?? []
            let plan = ledger.decide { planner in
                let plan = planner.roomOnRequest(bytes: bytes, on: server, richest: richest)
                if let plan { planner.ordered(plan) }
                return plan
            }
            if let plan {
                let reason = "room for a write under way that lacks \(bytes) bytes"
                if try await giveUp.carryOut(plan, minSurplus: least, reason: reason, forWrite: true) { return }
                continue
            }
            // What settled none may have come too late for versions that somebody else has just settled.
            guard try await versions.settle() > 0 || !hasSettled else {
                throw BrimError(
                    .full, "\(server) lacks \(ByteCount.format(bytes)) and no copy there may be given up",
                    advice: Self.howToGetRoom)
            }
            hasSettled = true
        }
        throw BrimError(.conflict, "room on \(server) was taken by others again and again", advice: "Try again")
    }

    // MARK: - Details

    static let howToGetRoom = "Add a server, raise a quota (brim server quota), remove files, or lower n of some files"

    /// Decides and, when it can be done, holds the room.
    private func decide(_ need: Need, richest: [ServerName: [Victim]]) -> WritePlacement {
        let now = clock.now
        return ledger.decide { planner in
            planner.expireGrants(at: now)
            let placement = planner.roomForWrite(
                size: need.size, copies: need.copies, n: need.n, near: need.near, excluding: need.avoid,
                richest: { richest[$0] ?? [] })
            if case .targets(let targets) = placement {
                for target in targets where !target.victims.isEmpty {
                    planner.ordered(EvictionPlan(server: target.server, victims: target.victims))
                }
                planner.granted(
                    need.request, size: need.size, on: targets.map(\.server), until: now + Self.grantLifetime)
            }
            return placement
        }
    }

    /// Gives up what is in the way on targets whose room is held; nil when copies there changed meanwhile. Unless the
    /// targets are ready, the room is no longer held.
    private func open(_ targets: [WriteTarget], for need: Need) async throws -> [Peer]? {
        do {
            if try await makeRoom(targets, for: need.size) { return try await peers(targets) }
        } catch {
            ledger.decide { $0.writeRevoked(need.request) }
            throw error
        }
        ledger.decide { $0.writeRevoked(need.request) }
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
        let returning = ledger.decide { $0.unreconciled }
        if !returning.isEmpty {
            advice =
                "Try again in a moment: what \(returning.map(\.rawValue).joined(separator: ", ")) has is being compared, and "
                + "until then no other copy is given up for it. If that does not help: \(advice)"
        }
        return BrimError(
            .full,
            "the swarm is full: \(ByteCount.format(size)) on \(shortage.copies) servers need "
                + "\(ByteCount.format(shortage.missing)) more (\(shortage.missing) bytes), and no copy above the floor of "
                + "\(settings.floor) is left to give up",
            advice: advice, retryable: !returning.isEmpty)
    }
}
