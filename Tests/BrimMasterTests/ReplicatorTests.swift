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
    }

    @Test("Files that find all servers busy are copied as these become free, never more at a time than may be")
    func fewSlots() async throws {
        let fixture = try await Fixture(servers: ["alpha", "bravo"])
        for index in 0..<100 { try await fixture.file("/f\(index)", on: ["alpha"], n: 2) }
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        var limits = PlannerLimits()
        limits.maxTransfersPerSource = 1
        let ledger = fixture.ledger
        ledger.decide { $0.limits = limits }
        let (stream, orders) = AsyncStream.makeStream(of: (ServerName, OrderBatch).self)
        let desk = OrderDesk(term: 1, roster: fixture.roster, ledger: ledger, slaves: Slaves(orders: orders))
        let breaker = EvictionGuard(store: fixture.store, settings: SwarmSettings(), logger: logger)
        let giveUp = GiveUp(
            store: fixture.store, views: fixture.views, desk: desk, ledger: ledger, roster: fixture.roster,
            breaker: breaker, logger: logger)
        let dispatcher = CopyDispatcher(
            store: fixture.store, views: fixture.views, roster: fixture.roster, ledger: ledger, desk: desk,
            giveUp: giveUp, bell: fixture.changed, logger: logger)
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
