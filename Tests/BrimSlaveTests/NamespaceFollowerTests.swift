import BrimModel
import BrimWire
import Foundation
import NIOHTTP1
import Testing

@testable import BrimSlave

@Suite struct FeedDelaysTests {
    @Test func whatIsHeldUpIsOlderThanItSays() {
        var delays = FeedDelays()
        // The master's clock began three seconds before this one's: that says nothing.
        #expect(delays.delay(at: .seconds(3), heard: .zero) == .zero)
        #expect(delays.delay(at: .seconds(4), heard: .seconds(1)) == .zero)
        #expect(delays.delay(at: .seconds(5), heard: .seconds(9)) == .seconds(7))
        #expect(delays.delay(at: .seconds(6), heard: .seconds(9)) == .seconds(6))
        // One that comes faster than all before shows that those were held up.
        #expect(delays.delay(at: .seconds(7), heard: .seconds(3)) == .zero)
        #expect(delays.delay(at: .seconds(8), heard: .seconds(5)) == .seconds(1))
    }
}

/// How a slave's copy of the namespace begins, goes on and is begun anew.
extension SwarmTests {
    private static func directory(_ id: Int64, _ name: String, rev: Int64 = 1) throws -> Entry {
        Entry(
            id: FileID(id), parent: id == 1 ? nil : .root, name: id == 1 ? nil : try EntryName(name), type: .directory,
            mode: 0o755, created: .now, modified: .now, rev: rev)
    }

    private static func file(_ id: Int64, _ name: String, on servers: [String]) throws -> Entry {
        let content = FileContent(
            version: 1, blob: BlobIDs.shared.next(), size: 1, checksum: Checksum(crc32c: 0), n: 1, k: 0,
            readable: false, replicas: try servers.map { try ServerName(validating: $0) })
        return Entry(
            id: FileID(id), parent: .root, name: try EntryName(name), type: .file, mode: 0o644, created: .now,
            modified: .now, content: content)
    }

    private static func tree(_ names: [String]) throws -> [Entry] {
        try [directory(1, "")] + names.enumerated().map { try directory(Int64($0.offset) + 2, $0.element) }
    }

    /// What a slave says of a path.
    private func status(of path: String, _ port: Int, _ swarm: (keys: SwarmKeys, peers: PeerClient)) async throws -> Int
    {
        try await swarm.peers.exchange(
            .GET, "http://127.0.0.1:\(port)/v1/stat\(path)", token: try swarm.keys.nodeToken(name: "test"),
            deadline: .seconds(5)
        ).status
    }

    @Test("A snapshot that is interrupted is never read, goes on where it was, and is read once it is complete")
    func interruptedSnapshot() async throws {
        let keys = try SwarmKeys(password: "test")
        let feed = FakeFeed()
        let master = FakeMaster(keys: keys, feed: feed)
        let peers = PeerClient(logger: quiet())
        let directory = try TemporaryDirectory()
        defer { withExtendedLifetime(directory) {} }
        let tree = try Self.tree(["a", "b", "c", "d", "e"])
        feed.set { ($0.entries, $0.pagesLeft) = (tree, 2) }
        try await TestSwarm.running([master.server]) {
            let configuration = try TestSwarm.configuration(
                directory.path, master: try await master.url, keys: keys, quota: 10, name: "alpha")
            func slave() -> SlaveService { SlaveService(configuration: configuration, logger: quiet()) }
            let first = slave()
            try await TestSwarm.running([first]) {
                let port = try await first.boundPort
                try await eventually("the third page is asked for again") { feed.state.pages.count > 3 }
                #expect(try await status(of: "/a", port, (keys, peers)) == 503)
            }
            let asked = feed.state.pages.count
            let second = slave()
            try await TestSwarm.running([second]) {
                let port = try await second.boundPort
                try await eventually("more was asked for") { feed.state.pages.count > asked }
                #expect(try await status(of: "/a", port, (keys, peers)) == 503)
                feed.set { ($0.position, $0.pagesLeft) = ("p4", .max) }
                try await eventually("changes are asked for") { !feed.state.streams.isEmpty }
                // Each page once; those of another time are as good.
                #expect(feed.state.pages.first == .some(nil) && !feed.state.pages.dropFirst().contains(nil))
                #expect(feed.state.streams == ["p1"], "from before the first page")
                #expect(try await status(of: "/a", port, (keys, peers)) == 503)
                // It is whole, but not yet as one moment had it.
                feed.alive(age: nil, at: "p5")
                feed.alive(age: 3600, at: "p5")
                feed.tell([try Self.directory(99, "late")], at: "p6")
                try await eventually("that is taken in") {
                    let reply = try await peers.call(
                        .GET, "http://127.0.0.1:\(port)/v1/workers", token: try keys.nodeToken(name: "test"),
                        as: WorkersReply.self)
                    return reply.workers.contains { $0.name == "namespace replica" && $0.done == 3 }
                }
                #expect(try await status(of: "/a", port, (keys, peers)) == 503)
                feed.alive(age: 0, at: "p7")
                try await eventually("it is read") { try await status(of: "/a", port, (keys, peers)) == 200 }
                for name in ["/b", "/c", "/d", "/e", "/late"] {
                    #expect(try await status(of: name, port, (keys, peers)) == 200)
                }
                #expect(try await status(of: "/none", port, (keys, peers)) == 404)
            }
        }
        await peers.shutdown()
    }

    @Test("A slave that goes to another master goes on from where it was; of another swarm's it takes nothing")
    func anotherMaster() async throws {
        let keys = try SwarmKeys(password: "test")
        let (feeds, peers) = ([FakeFeed(), FakeFeed()], PeerClient(logger: quiet()))
        let masters = feeds.map { FakeMaster(keys: keys, feed: $0) }
        let directory = try TemporaryDirectory()
        defer { withExtendedLifetime(directory) {} }
        let tree = try Self.tree(["a"])
        for feed in feeds { feed.set { $0.entries = tree } }
        feeds[1].set { $0.swarm = "another" }
        try await TestSwarm.running(masters.map(\.server)) {
            var configuration = try TestSwarm.configuration(
                directory.path, master: try await masters[0].url, keys: keys, quota: 10, name: "alpha")
            configuration.masters.append(try await masters[1].url)
            let slave = SlaveService(configuration: configuration, logger: quiet())
            try await TestSwarm.running([slave]) {
                let port = try await slave.boundPort
                try await eventually("changes are asked for") { feeds[0].state.streams == ["p1"] }
                feeds[0].alive(age: 0, at: "p2.p1")
                feeds[0].tell([try Self.directory(9, "new")], at: "p3.")
                try await eventually("it is told") { try await status(of: "/new", port, (keys, peers)) == 200 }
                // The first does not answer any more, the second is none of this swarm's.
                feeds[0].set { ($0.swarm, $0.ends) = ("another", true) }
                try await eventually("the other was met") { feeds[1].state.meetings > 1 }
                #expect(feeds[1].state.pages.isEmpty && feeds[1].state.streams.isEmpty)
                feeds[1].set { $0.swarm = "swarm-1" }
                try await eventually("it goes on there") { !feeds[1].state.streams.isEmpty }
                #expect(feeds[1].state.streams.first == "p3." && feeds[1].state.pages.isEmpty)
                #expect(try await status(of: "/new", port, (keys, peers)) == 200)
            }
        }
        await peers.shutdown()
    }

    @Test("What the masters have no changes of is copied anew, and the old copy is read until then")
    func goneAndBehind() async throws {
        let keys = try SwarmKeys(password: "test")
        let (feed, peers) = (FakeFeed(), PeerClient(logger: quiet()))
        let master = FakeMaster(keys: keys, feed: feed)
        let directory = try TemporaryDirectory()
        defer { withExtendedLifetime(directory) {} }
        let (old, new) = (try Self.tree(["old"]), try Self.tree(["one", "two", "three"]))
        feed.set { $0.entries = old }
        try await TestSwarm.running([master.server]) {
            let configuration = try TestSwarm.configuration(
                directory.path, master: try await master.url, keys: keys, quota: 10, name: "alpha")
            let slave = SlaveService(configuration: configuration, logger: quiet())
            try await TestSwarm.running([slave]) {
                let port = try await slave.boundPort
                try await eventually("changes are asked for") { feed.state.streams.count == 1 }
                feed.alive(age: 0, at: "p1")
                try await eventually("it is read") { try await status(of: "/old", port, (keys, peers)) == 200 }
                // A database that was restored: the second page is from before the first.
                feed.set { ($0.entries, $0.pages, $0.position, $0.pagesLeft) = (new, [], "p5", 1) }
                feed.gone()
                try await eventually("the second page is asked for") { feed.state.pages.count > 1 }
                #expect(feed.state.pages.prefix(2) == [nil, 2])
                #expect(try await status(of: "/old", port, (keys, peers)) == 200)
                feed.set { ($0.position, $0.pagesLeft, $0.pages) = ("p4", .max, []) }
                try await eventually("changes are asked for") { feed.state.streams.count == 2 }
                #expect(feed.state.pages.contains(nil), "all pages were taken anew")
                #expect(feed.state.streams.last == "p4")
                #expect(try await status(of: "/old", port, (keys, peers)) == 200)
                feed.alive(age: 0, at: "p6")
                try await eventually("the new one is read") { try await status(of: "/two", port, (keys, peers)) == 200 }
                #expect(try await status(of: "/old", port, (keys, peers)) == 404)
                let files = try FileManager.default.contentsOfDirectory(atPath: directory.path + "/namespace")
                #expect(files.filter { $0.hasSuffix(".sqlite") }.count == 1, "\(files)")
            }
        }
        await peers.shutdown()
    }

    @Test("A slave that keeps only its own files does not say of others that they do not exist")
    func ownFilesOnly() async throws {
        let keys = try SwarmKeys(password: "test")
        let (feed, peers) = (FakeFeed(), PeerClient(logger: quiet()))
        let master = FakeMaster(keys: keys, feed: feed)
        let directory = try TemporaryDirectory()
        defer { withExtendedLifetime(directory) {} }
        let entries =
            try Self.tree(["d"])
            + [try Self.file(7, "mine", on: ["alpha"]), try Self.file(8, "theirs", on: ["bravo"])]
        feed.set { $0.entries = entries }
        try await TestSwarm.running([master.server]) {
            var configuration = try TestSwarm.configuration(
                directory.path, master: try await master.url, keys: keys, quota: 10, name: "alpha")
            configuration.namespace = .own
            let slave = SlaveService(configuration: configuration, logger: quiet())
            try await TestSwarm.running([slave]) {
                let port = try await slave.boundPort
                try await eventually("changes are asked for") { !feed.state.streams.isEmpty }
                feed.alive(age: 0, at: "p1")
                try await eventually("it is read") { try await status(of: "/d", port, (keys, peers)) == 200 }
                #expect(try await status(of: "/mine", port, (keys, peers)) == 200)
                #expect(try await status(of: "/theirs", port, (keys, peers)) == 503)
                #expect(try await status(of: "/none/at/all", port, (keys, peers)) == 404)
            }
        }
        await peers.shutdown()
    }
}
