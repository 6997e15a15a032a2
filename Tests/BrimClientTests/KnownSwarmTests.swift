import BrimModel
import Foundation
import Testing

@testable import BrimClient

/// What a client knows of where a swarm is, and what it remembers of that.
@Suite struct KnownSwarmTests {
    private let directory = FileManager.default.temporaryDirectory.appending(path: "brim-memory-\(UUID().uuidString)")
    private var memory: SwarmMemory { SwarmMemory(directory: directory.path) }
    private let addresses = SwarmAddresses(masters: ["http://m1:4242"], slaves: ["http://s1:4243", "http://s2:4243"])

    @Test func mastersAreAskedInTurnTheOneThatAnsweredFirst() {
        let known = KnownSwarm(["http://a:1", "http://b:1"], memory: nil)
        known.answered("http://a:1")
        #expect(known.masters == ["http://a:1", "http://b:1"])
        known.answered("http://b:1")
        #expect(known.masters == ["http://b:1", "http://a:1"])
        // Those that are learned come last; one that is on this machine as it says is not where it was looked for.
        known.learn(SwarmAddresses(masters: ["http://c:1", "http://127.0.0.1:1", "http://a:1"]))
        #expect(known.masters == ["http://b:1", "http://a:1", "http://c:1"])
        known.answered("http://c:1")
        #expect(known.masters == ["http://c:1", "http://a:1", "http://b:1"])
    }

    @Test func slavesThatWereLearnedAreAskedBeforeWhatWasNamed() {
        let known = KnownSwarm(["http://a:1", "http://s1:4243"], memory: nil)
        #expect(known.slaves == ["http://a:1", "http://s1:4243"])
        known.learn(SwarmAddresses(slaves: ["http://s1:4243", "http://s2:4243", "http://127.0.0.1:4243"]))
        #expect(Set(known.slaves.prefix(2)) == ["http://s1:4243", "http://s2:4243"])
        #expect(known.slaves.dropFirst(2) == ["http://a:1"])
        #expect(known.masters == ["http://a:1", "http://s1:4243"])
        known.learn(SwarmAddresses(slaves: (0..<1000).map { "http://s\($0):4243" }))
        #expect(known.slaves.count <= 258, "what is kept has a bound")
    }

    @Test func whatWasLearnedIsRemembered() throws {
        defer { try? FileManager.default.removeItem(at: directory) }
        let named = ["http://a:1"]
        let known = KnownSwarm(named, memory: memory)
        #expect(known.isDue())
        #expect(!known.isDue(), "asked a moment ago")
        known.learn(SwarmAddresses(masters: ["http://a:1", "http://b:1"], slaves: ["http://s1:4243"]))
        let next = KnownSwarm(named, memory: memory)
        #expect(next.masters == ["http://a:1", "http://b:1"])
        #expect(next.slaves == ["http://s1:4243", "http://a:1"])
        #expect(!next.isDue(), "what is remembered is fresh")
        // Of another swarm nothing is remembered; nor is what cannot be read.
        #expect(KnownSwarm(["http://x:1"], memory: memory).masters == ["http://x:1"])
        try Data("{".utf8).write(to: URL(filePath: memory.path(named)))
        #expect(KnownSwarm(named, memory: memory).masters == named)
    }

    @Test func whatIsNotedIsFoundForTheSameMasters() throws {
        defer { try? FileManager.default.removeItem(at: directory) }
        #expect(memory.recall(["http://m1:4242"]) == nil)
        #expect(memory.note(addresses, for: ["http://m1:4242", "http://m2:4242"]))
        let found = try #require(memory.recall(["http://m2:4242", "http://m1:4242"]))
        #expect(found.addresses == addresses && found.age < .seconds(60))
        #expect(memory.recall(["http://m1:4242"]) == nil, "another list")
        let files = try FileManager.default.contentsOfDirectory(atPath: directory.path)
        #expect(files.count == 1, "nothing is left beside it: \(files)")
        let mode = try FileManager.default.attributesOfItem(atPath: directory.path + "/" + files[0])[.posixPermissions]
        #expect(mode as? Int == 0o600)
    }

    /// A cache that cannot be written is no reason to fail.
    @Test func aPlaceThatCannotBeWrittenIsNoError() throws {
        try Data().write(to: directory)
        defer { try? FileManager.default.removeItem(at: directory) }
        #expect(!memory.note(addresses, for: ["http://m:1"]))
        #expect(memory.recall(["http://m:1"]) == nil)
    }

    @Test func onlyReadsAreAskedOfSlaves() {
        let reads = ["/v1/stat/a", "/v1/stat", "/v1/stat?x=1", "/v1/list/?limit=10", "/v1/list?limit=9", "/v1/where/a"]
        for route in reads { #expect(OfflineReads.isRead(.GET, route), "\(route)") }
        #expect(OfflineReads.isRead(.POST, "/v1/reads"))
        for route in ["/v1/status", "/v1/usage/a", "/v1/servers", "/v1/versions/a", "/v1/listing"] {
            #expect(!OfflineReads.isRead(.GET, route), "\(route)")
        }
        #expect(!OfflineReads.isRead(.POST, "/v1/writes") && !OfflineReads.isRead(.DELETE, "/v1/stat/a"))
    }
}
