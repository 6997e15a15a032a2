import BrimMetadata
import BrimModel
import BrimPlacement
import BrimWire
import Logging

@testable import BrimMaster

/// Slaves that do what they are told and say so.
struct ObedientSlaves: SlaveLink {
    private static let usage = ServerUsage(boot: "b", count: 1, used: 0, diskFree: 1 << 40, files: 0)
    func order(_ slave: Peer, _ batch: OrderBatch, deadline: Duration) async throws -> OrderReply {
        OrderReply(refused: [], usage: Self.usage)
    }
    func setQuota(_ slave: Peer, _ quota: Int64) async throws -> ServerUsage { Self.usage }
    func usage(_ slave: Peer) async throws -> ServerUsage { Self.usage }
    func introduce(_ masters: [String], to slave: Peer) async throws {}
}

/// A new leader over a fixture's store: what watches servers, in a time that only the test lets pass.
struct Leader {
    let clock: TestClock
    let ledger = Ledger(Planner(floor: 0))
    let roster: Roster
    let judge: ServerJudge
    let membership: Membership
    let admin: ServerAdmin
    let forgetter: Forgetter
    let room: RoomKeeper
    private let recounter: Recounter
    private let term: Int64

    init(_ fixture: Fixture, clock: TestClock = TestClock()) async throws {
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let (store, views, settings, changed) = (fixture.store, fixture.views, fixture.settings, fixture.changed)
        let term = try await store.beginTerm(holder: "next")
        self.clock = clock
        self.term = term
        roster = Roster(ledger: ledger, settings: settings)
        let documents = ServerDocuments(store: store, roster: roster)
        let breaker = EvictionGuard(store: store, settings: settings.current, clock: clock, logger: logger)
        recounter = Recounter(store: store, views: views, changed: changed, clock: clock, logger: logger)
        let publisher = ViewPublisher(
            store: store, roster: roster, views: views, ledger: ledger, recounter: recounter, breaker: breaker,
            term: term, clock: clock)
        judge = ServerJudge(
            documents: documents, publisher: publisher, ledger: ledger, recounter: recounter, settings: settings,
            breaker: breaker, term: term, bells: [changed], clock: clock, logger: logger)
        let desk = OrderDesk(term: term, roster: roster, ledger: ledger, slaves: ObedientSlaves())
        membership = Membership(
            documents: documents, judge: judge, publisher: publisher, ledger: ledger,
            reconciler: Reconciler(store: store, views: views, desk: desk, logger: logger, changed: changed),
            settings: settings, breaker: breaker, swarm: "swarm", term: term, changed: changed, removed: Bell(),
            clock: clock, logger: logger)
        admin = ServerAdmin(
            documents: documents, judge: judge, publisher: publisher,
            drains: DrainProgress(store: store, roster: roster, settings: settings, clock: clock, logger: logger),
            slaves: ObedientSlaves(), breaker: breaker, changed: changed, logger: logger)
        forgetter = Forgetter(
            documents: documents, judge: judge, publisher: publisher, views: views, ledger: ledger, changed: changed,
            clock: clock, logger: logger)
        let giveUp = GiveUp(
            store: store, views: views, desk: desk, ledger: ledger, roster: roster, breaker: breaker, clock: clock,
            logger: logger)
        room = RoomKeeper(
            store: store, roster: roster, ledger: ledger, giveUp: giveUp,
            versions: VersionWorker(store: store, views: views, changed: changed, clock: clock, logger: logger),
            slaves: ObedientSlaves(), settings: settings, clock: clock)
        try await judge.begin()
    }

    // MARK: - What slaves say

    private func usage(_ boot: String) -> ServerUsage {
        ServerUsage(boot: boot, count: 1, used: 0, diskFree: 1 << 40, files: 0)
    }

    @discardableResult
    func heartbeat(_ server: String, boot: String = "b", fault: ServerFault? = nil) async throws -> HeartbeatReply {
        let request = HeartbeatRequest(
            name: try ServerName(validating: server), id: "id-\(server)", usage: usage(boot), load: ServerLoad(),
            fault: fault)
        return try await membership.heartbeat(request, masterHost: nil)
    }

    func goodbye(_ server: String) async throws {
        try await membership.goodbye(
            BlobList(name: try ServerName(validating: server), id: "id-\(server)", blobs: []))
    }

    func join(_ server: String, id: String? = nil, boot: String = "b") async throws {
        _ = try await membership.join(
            JoinRequest(
                name: try ServerName(validating: server), id: id ?? "id-\(server)", swarm: nil, address: "\(server):1",
                zone: "z", version: "1", quota: 1 << 30, usage: usage(boot)), masterHost: nil)
    }

    /// A complete report of these blobs.
    @discardableResult
    func report(_ server: String, _ blobs: [BlobReport] = [], term: Int64? = nil) async throws -> ReportReply {
        try await membership.report(
            ReportPage(
                name: try ServerName(validating: server), id: "id-\(server)", begun: clock.timestamp, after: nil,
                through: nil, blobs: blobs, position: OrderPosition(term: term ?? self.term, sequence: 0)))
    }

    // MARK: - What passes

    /// Lets time pass, second by second, while `speaking` send heartbeats, and a report when asked for one; what changed,
    /// as "12 b up→suspect" with the seconds since this began.
    func pass(_ seconds: Int, speaking: String...) async throws -> [String] {
        var changes: [String] = []
        var states = await self.states
        for second in 1...seconds {
            clock.advance(by: .seconds(1))
            for server in speaking where try await heartbeat(server).report { try await report(server) }
            try await judge.look()
            await recounter.recountDue()
            let now = await self.states
            for (name, state) in now.sorted(by: { $0.key < $1.key }) {
                if let before = states[name], before != state { changes.append("\(second) \(name) \(before)→\(state)") }
            }
            states = now
        }
        return changes
    }

    /// By name.
    var states: [String: ServerState] {
        get async {
            Dictionary(uniqueKeysWithValues: await roster.records.map { ($0.name.rawValue, $0.state) })
        }
    }
}
