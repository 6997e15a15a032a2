import BrimMetadata
import BrimModel
import BrimPlacement
import BrimWire
import Logging
import ServiceLifecycle
import Synchronization
import Testing

@testable import BrimMaster

@Suite struct ReplicatorTests {
    /// Slaves that hand on what they are told, and say that they have taken it.
    private struct Slaves: SlaveLink {
        static let usage = ServerUsage(boot: "b", count: 1, used: 0, diskFree: 1 << 40, files: 0)
        let orders: AsyncStream<(ServerName, OrderBatch)>.Continuation

        func order(_ slave: Peer, _ batch: OrderBatch, deadline: Duration) async throws -> OrderReply {
            orders.yield((slave.server, batch))
            return OrderReply(refused: [], usage: Self.usage)
        }
        func setQuota(_ slave: Peer, _ quota: Int64) async throws -> ServerUsage { Self.usage }
        func usage(_ slave: Peer) async throws -> ServerUsage { Self.usage }
        func introduce(_ masters: [String], to slave: Peer) async throws {}
    }

    private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    private func parts(
        _ fixture: Fixture, _ orders: AsyncStream<(ServerName, OrderBatch)>.Continuation,
        clock: any BrimClock = SystemClock()
    ) -> (giveUp: GiveUp, dispatcher: CopyDispatcher, breaker: EvictionGuard) {
        let ledger = fixture.ledger
        let desk = OrderDesk(term: 1, roster: fixture.roster, ledger: ledger, slaves: Slaves(orders: orders))
        let breaker = EvictionGuard(store: fixture.store, settings: SwarmSettings(), logger: logger)
        let giveUp = GiveUp(
            store: fixture.store, views: fixture.views, desk: desk, ledger: ledger, roster: fixture.roster,
            breaker: breaker, logger: logger)
        let dispatcher = CopyDispatcher(
            store: fixture.store, views: fixture.views, roster: fixture.roster, ledger: ledger, desk: desk,
            giveUp: giveUp, bell: fixture.changed, rate: CopyRate(), clock: clock, logger: logger)
        return (giveUp, dispatcher, breaker)
    }

    /// Else it would be decided on again at once, and again.
    @Test func aCopyWhoseVictimsStayIsNotTriedAgainAtOnce() async throws {
        let fixture = try await Fixture(servers: ["alpha", "bravo"])
        let needy = try await fixture.file("/needy", on: ["alpha"], n: 2)
        let spare = try await fixture.file("/spare", on: ["bravo"], n: 1)
        let (file, blob) = (try #require(NeedyFile(needy)), try #require(spare.content?.blob))
        let (stream, orders) = AsyncStream.makeStream(of: (ServerName, OrderBatch).self)
        // It stands still: how long a machine takes for this is no matter.
        let dispatcher = parts(fixture, orders, clock: TestClock()).dispatcher
        let (alpha, bravo) = (try ServerName(validating: "alpha"), try ServerName(validating: "bravo"))
        // What the store does not give up, since it is the only copy.
        let victim = Victim(file: spare.id, blob: blob, size: 3, surplus: 0, replicas: [alpha, bravo])
        let plan = CopyPlan(file: file, target: bravo, sources: [alpha], victims: [victim])
        fixture.ledger.decide { $0.ordered(plan) }
        await dispatcher.dispatch([CopyDispatcher.Job(plan: plan, entry: needy)])
        orders.finish()
        #expect(await stream.first { _ in true } == nil, "nothing was ordered")
        #expect(dispatcher.isResting(needy.id) && fixture.ledger.decide { $0.copiesUnderWay } == 0)
        #expect(try await fixture.store.entry(spare.id)?.content?.replicas == [bravo])
    }

    @Test("Files that find all servers busy are copied as these become free, never more at a time than may be")
    func fewSlots() async throws {
        let fixture = try await Fixture(servers: ["alpha", "bravo"])
        for index in 0..<100 { try await fixture.file("/f\(index)", on: ["alpha"], n: 2) }
        var limits = PlannerLimits()
        limits.maxTransfersPerSource = 1
        let ledger = fixture.ledger
        ledger.decide { $0.limits = limits }
        let (stream, orders) = AsyncStream.makeStream(of: (ServerName, OrderBatch).self)
        let (giveUp, dispatcher, breaker) = parts(fixture, orders)
        var settings = SwarmSettings()
        settings.maxCopies = 2
        let replicator = Replicator(
            store: fixture.store, ledger: ledger, dispatcher: dispatcher, giveUp: giveUp,
            settings: LiveSettings(settings), breaker: breaker, bell: fixture.changed, logger: logger)
        let group = ServiceGroup(services: [replicator], logger: logger)
        async let end: Void = group.run()
        var (copied, most) = (0, 0)
        for await (server, batch) in stream {
            most = max(most, ledger.decide { $0.copiesUnderWay })
            let items = batch.orders.compactMap { order in
                order.pull.map {
                    CompletionsRequest.Item(sequence: order.sequence, file: $0.label.file, blob: $0.blob, error: nil)
                }
            }
            let request = CompletionsRequest(
                name: server, id: "id-\(server)", term: 1, items: items, usage: Slaves.usage)
            copied += try await dispatcher.completed(request).keep.count
            if copied >= 100 { orders.finish() }
        }
        await group.triggerGracefulShutdown()
        try await end
        #expect(copied == 100 && most == limits.smallPerTransfer)
        let brims = ledger.decide { $0.countedBrims }
        #expect(try await fixture.store.neediest(after: nil, limit: 1, brims: brims, maxCopies: 2).isEmpty)
    }
}
