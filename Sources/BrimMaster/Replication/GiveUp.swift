import BrimMetadata
import BrimModel
import BrimPlacement
import Logging

/// Gives copies up: first in the metadata, each by one conditional update, then on the slave's disk. A crash between the
/// two leaves an orphan that the next report finds, never a missing copy.
struct GiveUp: Sendable {
    let store: any MetadataStore
    let views: any Views
    let desk: OrderDesk
    let ledger: Ledger
    let roster: Roster
    let breaker: EvictionGuard
    var clock: any BrimClock = SystemClock()
    let logger: Logger

    /// Strikes victims from the metadata, each for its reason; returns those that could be given up. The others changed
    /// since they were read; none goes when the breaker says so, which those `forWrite` of a client do not ask.
    func strike(
        _ victims: [Victim], on server: ServerName, minSurplus: [Int], reasons: [String], forWrite: Bool = false
    ) async throws -> [Victim] {
        guard !victims.isEmpty else { return [] }
        if !forWrite {
            let bytes = victims.reduce(0) { $0 + $1.size }
            guard await breaker.admits(copies: victims.count, bytes: bytes) else { return [] }
        }
        let changes = victims.map { ReplicaChange(file: $0.file, blob: $0.blob, server: server) }
        // A completion or a report on its way must not enter again what is given up now.
        let struck = try await desk.exclusively(on: server) { [store, views, desk] in
            await desk.announce(victims.map(\.blob), on: server)
            do {
                let struck = try await store.giveUp(changes, minSurplus: minSurplus, view: try await views.current())
                await desk.takeBack(zip(victims, struck).filter { !$1 }.map(\.0.blob), on: server)
                return struck
            } catch {
                await desk.takeBack(victims.map(\.blob), on: server)
                throw error
            }
        }
        let gone = zip(zip(victims, reasons), struck).filter(\.1).map(\.0)
        await store.note(
            gone.map { victim, reason in
                FileEvent(
                    file: victim.file, blob: victim.blob, server: server, kind: .givenUp,
                    reason: (Trash.isTrash(surplus: victim.surplus)
                        ? "\(reason); it was in the trash"
                        : "\(reason); this file's surplus \(victim.surplus) → \(victim.surplus - 1)")
                        + ", \(victim.size) bytes freed on \(server)", at: clock.timestamp)
            }, logger)
        return gone.map(\.0)
    }

    /// Carries out an eviction that the ledger already knows of; true when every victim was given up and deleted.
    func carryOut(
        _ plan: EvictionPlan, minSurplus: Int, reason: String, forWrite: Bool = false
    ) async throws -> Bool {
        guard !plan.victims.isEmpty else { return true }
        let gone: [Victim]
        var usage: ServerUsage?
        do {
            gone = try await strike(
                plan.victims, on: plan.server, minSurplus: plan.victims.map { _ in minSurplus },
                reasons: plan.victims.map { _ in reason }, forWrite: forWrite)
            if !gone.isEmpty {
                usage = try await desk.send([OrderDesk.Draft(evict: gone.map(\.blob))], to: plan.server).usage
            }
        } catch {
            ledger.decide { $0.failed(plan) }
            await roster.doubt(plan.server)
            throw error
        }
        let kept = plan.victims.filter { victim in !gone.contains { $0.file == victim.file } }
        let spoken = usage
        ledger.decide { planner in
            planner.acknowledged(EvictionPlan(server: plan.server, victims: gone), usage: spoken)
            if !kept.isEmpty { planner.failed(EvictionPlan(server: plan.server, victims: kept)) }
        }
        return kept.isEmpty
    }
}
