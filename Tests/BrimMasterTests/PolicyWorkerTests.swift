import BrimMetadata
import BrimModel
import BrimPlacement
import BrimWire
import Logging
import Testing

@testable import BrimMaster

/// Policies over weeks, in a time that only the test lets pass.
@Suite struct PolicyWorkerTests {
    private struct Swarm {
        let fixture: Fixture
        let clock = TestClock()
        let policies: Policies
        let worker: PolicyWorker

        init(_ rules: String) async throws {
            fixture = try await Fixture(servers: ["alpha", "bravo", "charlie"])
            let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            policies = Policies(settings: fixture.settings)
            policies.rules = try PolicyRules(parsing: rules)
            worker = PolicyWorker(
                store: fixture.store, views: fixture.views, policies: policies,
                breaker: EvictionGuard(
                    store: fixture.store, settings: fixture.settings.current, clock: clock, logger: logger),
                changed: fixture.changed, clock: clock, logger: logger)
        }

        /// A file whose n nobody has set.
        func file(_ path: String) async throws -> Entry {
            let entry = try await fixture.file(path, on: ["alpha"])
            var change = EntryChange()
            change.copies = .chosen(.standard(3))
            return try await fixture.store.update(entry.id, change, view: try await fixture.views.current())
        }

        func content(_ entry: Entry) async throws -> FileContent {
            try #require(try await fixture.store.entry(entry.id)?.content)
        }
    }

    /// Two weeks of many reads, then nobody reads any more: n rises, stays, falls, each by one way alone.
    @Test func nFollowsReadsAndDoesNotFlap() async throws {
        let swarm = try await Swarm("rules: [{name: popular, n: 2 + log2(1 + reads7d), max: 6}]")
        let file = try await swarm.file("/hot")
        let blob = try #require(file.content?.blob)
        var ns: [Int] = []
        for quarter in 0..<4 * 300 {
            swarm.clock.advance(by: .seconds(21_600))
            // More by day than by night.
            if quarter < 4 * 14, quarter % 4 < 2 {
                let now = swarm.clock.timestamp
                try await swarm.fixture.store.addReads([blob: 3], at: now, due: now)
            }
            while try await swarm.worker.lookAtReads() {}
            ns.append(try await swarm.content(file).n)
        }
        let most = try #require(ns.max())
        let top = try #require(ns.firstIndex(of: most))
        #expect(most == 6)
        #expect(zip(ns[..<top], ns[1...top]).allSatisfy { $0 <= $1 }, "rises: \(ns)")
        #expect(zip(ns[top...], ns[top...].dropFirst()).allSatisfy { $0 >= $1 }, "falls: \(ns)")
        #expect(ns.last == 2)
        let content = try await swarm.content(file)
        #expect(content.policy == "popular" && content.reads == nil)
    }

    /// What somebody has set stays, and what is done already is left alone.
    @Test func aPassGivesEachFileItsN() async throws {
        let swarm = try await Swarm("rules: [{name: music, path: /music/**, n: 2}]")
        let song = try await swarm.file("/music/deep/song")
        let text = try await swarm.file("/text")
        let kept = try await swarm.fixture.file("/music/kept", on: ["bravo"], n: 1)
        let directory = try await swarm.fixture.namespace.directory(at: try BrimPath(parsing: "/music/deep"))
        let view = try await swarm.fixture.views.current()
        #expect(try await swarm.fixture.store.beginPolicyPass().number == 1)
        try await swarm.worker.pass()
        #expect(try await swarm.content(song).n == 2)
        #expect(try await swarm.content(song).policy == "music")
        #expect(try await swarm.content(text).policy == PolicyName.standard)
        #expect(try await swarm.content(kept).policy == PolicyName.explicit)
        var pass = try #require(try await swarm.fixture.store.policyPass())
        #expect(pass.finished != nil && pass.seen == 3 && pass.changed == 1)

        _ = try await swarm.fixture.store.update(directory.id, EntryChange(n: 1), view: view)
        // Nothing begins by itself where policies are not about time.
        swarm.clock.advance(by: .seconds(90_000))
        try await swarm.worker.pass()
        #expect(try await swarm.content(song).n == 2)
        _ = try await swarm.fixture.store.beginPolicyPass()
        try await swarm.worker.pass()
        #expect(try await swarm.content(song).n == 1)
        #expect(try await swarm.content(song).policy == PolicyName.directory)
        pass = try #require(try await swarm.fixture.store.policyPass())
        #expect(pass.number == 2 && pass.changed == 1)
    }

    /// It becomes old without anybody doing anything.
    @Test func agesAreLookedAtDaily() async throws {
        let swarm = try await Swarm("rules: [{name: old, age: 30d.., n: 1}]")
        let file = try await swarm.file("/f")
        for day in 1...32 {
            swarm.clock.advance(by: .seconds(86_500))
            try await swarm.worker.pass()
            let content = try await swarm.content(file)
            #expect(content.policy == (day < 30 ? PolicyName.standard : "old"), "day \(day)")
        }
        #expect(try await swarm.fixture.store.policyPass()?.number == 32)
    }
}
