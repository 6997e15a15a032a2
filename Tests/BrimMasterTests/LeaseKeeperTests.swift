import BrimMetadata
import BrimModel
import BrimPlacement
import BrimTestKit
import BrimWire
import Logging
import Synchronization
import Testing

@testable import BrimMaster

/// Who leads, among masters over one in-memory store.
@Suite(.timeLimit(.minutes(2))) struct LeaseKeeperTests {
    /// A clock that stands still until it is moved.
    private final class StillClock: BrimClock {
        private let offset = Mutex(Duration.zero)
        private let start = ContinuousClock.now
        var now: ContinuousClock.Instant { start + offset.withLock { $0 } }
        var timestamp: Timestamp { .now }
        func sleep(for duration: Duration) async throws { try await Task.sleep(for: .seconds(3600)) }
        func move(by duration: Duration) { offset.withLock { $0 += duration } }
    }

    @Test func aMandateEndsByTheLeadersOwnClock() throws {
        let clock = StillClock()
        let mandate = Mandate(term: 3, until: clock.now + .seconds(5), clock: clock)
        try mandate.check()
        clock.move(by: .seconds(4))
        try mandate.check()
        mandate.prolong(until: clock.now + .seconds(5))
        clock.move(by: .seconds(4))
        try mandate.check()
        // An answer that comes late prolongs nothing beyond what was asked for then.
        mandate.prolong(until: clock.now - .seconds(1))
        try mandate.check()
        clock.move(by: .seconds(1))
        #expect(!mandate.isValid)
        let error = #expect(throws: BrimError.self) { try mandate.check() }
        #expect(error?.code == .unavailable && error?.retryable == true)
    }

    @Test func whatIsOverIsOverWhateverTheClockSays() {
        let clock = StillClock()
        let mandate = Mandate(term: 3, until: clock.now + .seconds(5), clock: clock)
        mandate.end()
        #expect(!mandate.isValid)
    }

    // MARK: - Whole masters

    private struct NoSlaves: SlaveLink {
        private static let away = BrimError(.unavailable, "there is no slave")
        func order(_ slave: Peer, _ batch: OrderBatch, deadline: Duration) async throws -> OrderReply {
            throw Self.away
        }
        func setQuota(_ slave: Peer, _ quota: Int64) async throws -> ServerUsage { throw Self.away }
        func usage(_ slave: Peer) async throws -> ServerUsage { throw Self.away }
        func introduce(_ masters: [String], to slave: Peer) async throws {}
    }

    /// Other masters, by URL.
    private final class Others: MasterPeers {
        let cores = Mutex<[String: MasterCore]>([:])
        let notices = Mutex<[MasterNotice]>([])

        private func core(_ url: String) throws -> MasterCore {
            guard let core = cores.withLock({ $0[url] }) else { throw BrimError(.unavailable, "nobody is at \(url)") }
            return core
        }

        func grant(_ leader: String, _ request: GrantRequest) async throws -> WritesReply {
            let leadership = try core(leader).leader.leading()
            return WritesReply(
                writes: try await leadership.writes.grant(request.writes, writerHost: request.writerHost))
        }

        func notice(_ leader: String, _ notice: MasterNotice) async throws {
            try core(leader).leader.leading().take(notice)
            notices.withLock { $0.append(notice) }
        }
    }

    private func master(
        _ name: String, _ store: any MetadataStore, _ others: Others, lease: Duration = .seconds(1)
    ) async throws -> MasterCore {
        let core = try await MasterCore(
            settings: SwarmSettings(), keys: try SwarmKeys(password: "test"),
            identity: MasterCore.Identity(
                id: name, holder: name, version: "1", lease: lease, url: { "http://\(name):1" }),
            store: store, slaves: NoSlaves(), masters: others,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        others.cores.withLock { $0["http://\(name):1"] = core }
        return core
    }

    private func run(_ core: MasterCore) -> Task<Void, any Error> {
        Task {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for loop in core.loops { group.addTask { try await loop.run() } }
                try await group.waitForAll()
            }
        }
    }

    private func until(_ condition: () async throws -> Bool) async throws {
        while try await !condition() { try await Task.sleep(for: .milliseconds(10)) }
    }

    private func join(_ name: String) throws -> JoinRequest {
        JoinRequest(
            name: try ServerName(validating: name), id: "id-\(name)", swarm: nil, address: "\(name):1", zone: "z",
            version: "1", quota: 1000, usage: ServerUsage(boot: "b", count: 0, used: 0, diskFree: 1 << 40, files: 0))
    }

    @Test func oneLeadsAndAnotherFollowsWhenItIsGone() async throws {
        let (store, others) = (InMemoryMetadataStore(), Others())
        let first = try await master("a", store, others)
        let firstRun = run(first)
        try await until { first.leads }
        let second = try await master("b", store, others)
        let secondRun = run(second)
        defer { secondRun.cancel() }

        // Slaves are told who leads, and learn of all.
        try await until { second.leader.url == "http://a:1" }
        let error = await #expect(throws: BrimError.self) { _ = try await second.join(join("alpha"), masterHost: nil) }
        #expect(error?.code == .notLeader && error?.leader == "http://a:1")
        try await until { first.registry.urls(leader: nil).count == 2 }
        let welcome = try await first.join(join("alpha"), masterHost: nil)
        #expect(welcome.masters == ["http://a:1", "http://b:1"])
        #expect(second.registry.masters(leader: second.leader.url).filter(\.leader).map(\.url) == ["http://a:1"])

        // It is gone without a word.
        firstRun.cancel()
        _ = try? await firstRun.value
        others.cores.withLock { $0["http://a:1"] = nil }
        try await until { second.leads }
        let term = try #require(second.leader.leadership?.mandate.term)
        #expect(term > welcome.term)
        #expect(try await second.join(join("alpha"), masterHost: nil).term == term)
        await #expect(throws: BrimError.self) {
            _ = try await store.publishView(counted: [], readable: [], up: [], term: welcome.term)
        }
    }

    @Test func whatIsDoneElsewhereIsToldToTheLeaderAndAskedOfIt() async throws {
        let (store, others) = (InMemoryMetadataStore(), Others())
        // On a busy machine a short lease may end before all that is done.
        let lease = Duration.seconds(600)
        let first = try await master("a", store, others, lease: lease)
        let firstRun = run(first)
        defer { firstRun.cancel() }
        try await until { first.leads }
        let second = try await master("b", store, others, lease: lease)
        let secondRun = run(second)
        defer { secondRun.cancel() }
        try await until { second.leader.url == "http://a:1" }

        // The leader answers: there is no server.
        let write = WriteRequest(path: try BrimPath(parsing: "/f"), size: 1)
        let items = try await second.grant([write], writerHost: nil)
        #expect(items.first?.error?.code == .unavailable)

        _ = try await second.namespace.makeDirectory(
            try BrimPath(parsing: "/d"), parents: false, mode: nil, modified: nil)
        _ = try await second.remove(try BrimPath(parsing: "/d"), recursive: false, now: false)
        try await until { others.notices.withLock { !$0.isEmpty } }
        let notice = others.notices.withLock { $0[0] }
        #expect(notice.explainsAll && notice.removed && notice.changed && notice.ended.isEmpty)
    }

    /// Whoever asks a master that has just begun learns of all servers, whether or not anybody leads.
    @Test func theServersAreKnownFromTheStart() async throws {
        let (store, others) = (InMemoryMetadataStore(), Others())
        let first = try await master("a", store, others, lease: .seconds(600))
        let firstRun = run(first)
        defer { firstRun.cancel() }
        try await until { first.leads }
        _ = try await first.join(join("alpha"), masterHost: nil)
        let second = try await master("b", store, others)
        #expect(await FeedRoutes.swarm(second).servers.map(\.name.rawValue) == ["alpha"])
    }

    /// The answer to a change of names may get lost: whoever asks again is told that it was done.
    @Test func aRequestIsCarriedOutOnceByWhicheverMaster() async throws {
        let (store, others) = (InMemoryMetadataStore(), Others())
        let masters = [try await master("a", store, others), try await master("b", store, others)]
        for core in masters { try await core.views.refresh() }
        let path = try BrimPath(parsing: "/d")
        func make(_ core: MasterCore, _ request: String) async throws {
            _ = try await core.namespace.makeDirectory(
                path, parents: false, mode: nil, modified: nil, request: request)
        }
        try await make(masters[0], "1")
        try await make(masters[1], "1")
        await #expect(throws: BrimError.self) { try await make(masters[1], "2") }

        let other = try BrimPath(parsing: "/e")
        for core in masters { _ = try await core.rename(path, to: other, replace: false, request: "3") }
        try await make(masters[0], "4")
        // That is another one than was moved, and stays.
        _ = try await masters[1].rename(path, to: other, replace: false, request: "3")
        #expect(try await masters[0].namespace.stat(path).type == .directory)

        _ = try await masters[0].remove(path, recursive: false, now: false, request: "5")
        try await make(masters[0], "6")
        _ = try await masters[1].remove(path, recursive: false, now: false, request: "5")
        #expect(try await masters[0].namespace.stat(path).type == .directory)
    }
}
