import BrimMetadata
import BrimModel

/// Metadata with some of everything, for tests of what happens to it as a whole.
public enum SampleMetadata {
    /// Directories, a link, files with and without spare copies, overwritten and removed ones, a tombstone, three servers.
    public static func populate(_ store: any MetadataStore) async throws {
        var fixture = try ConformanceFixture(store)
        let servers = [fixture.alpha, fixture.bravo, fixture.charlie]
        for server in servers { try await fixture.join(server, id: "id-\(server)") }
        let lease = try await store.acquireLease(holder: "sample", url: "http://m1:4242", for: .seconds(60))
        for server in servers {
            _ = try await store.setState(server, from: .down, to: .up, term: lease.term)
            try await store.noteReport(server, at: ConformanceFixture.time)
        }
        fixture.view = try await store.publishView(
            counted: servers, readable: servers, up: servers, term: lease.term)
        let music = try await fixture.directory("music")
        let jazz = try await fixture.directory("jazz", in: music.id)
        _ = try await fixture.symlink("link", to: "music/jazz")
        _ = try await fixture.commit(
            fixture.write(
                "song.mp3", in: jazz.id, n: 2, attributes: ["popularity": .int(7), "artist": .string("Évans")]))
        for number in 1...3 { try await fixture.file("file-\(number)", in: music.id, on: servers, n: number) }
        for size in 1...3 { try await fixture.file("overwritten", size: Int64(size)) }
        try await fixture.settle()
        try await fixture.file("overwritten", size: 4)
        try await fixture.remove([try await fixture.file("removed", size: 20)])
        try await fixture.remove([try await fixture.file("gone", size: 30)], now: true)
        try await store.releaseLease(holder: "sample", term: lease.term)
    }

    /// Throws unless a store that holds such metadata does what it should with all of it. Its servers may be down.
    public static func check(_ store: any MetadataStore) async throws {
        var fixture = try ConformanceFixture(store)
        let tree = try await fixture.tree()
        try expectEqual(
            tree.keys.sorted(),
            [
                "/link", "/music", "/music/file-1", "/music/file-2", "/music/file-3", "/music/jazz",
                "/music/jazz/song.mp3", "/overwritten",
            ], "the tree")
        let song = tree["/music/jazz/song.mp3"]
        try expectEqual(song?.attributes, ["popularity": .int(7), "artist": .string("Évans")], "attributes")
        try expectEqual(song?.content?.n, 2, "n")
        try expectEqual(song?.content?.replicas.sorted(), [fixture.alpha, fixture.bravo], "holders")
        try expectEqual(tree["/link"]?.target, "music/jazz", "target")
        try await comeBack(&fixture)
        try await change(&fixture, song)
        try await fixture.checkCounts()
    }

    /// All servers say what they have, and count from then on.
    private static func comeBack(_ fixture: inout ConformanceFixture) async throws {
        let store = fixture.store
        let lease = try await store.acquireLease(holder: "check", url: "http://m2:4242", for: .seconds(60))
        let servers = try await store.servers()
        try expectEqual(servers.map(\.name), [fixture.alpha, fixture.bravo, fixture.charlie], "servers")
        try await store.claimServers(term: lease.term)
        for server in servers where server.state != .up {
            try expect(
                try await store.setState(server.name, from: server.state, to: .up, term: lease.term),
                "\(server.name) came up")
        }
        let names = servers.map(\.name)
        fixture.view = try await store.publishView(counted: names, readable: names, up: names, term: lease.term)
        try await fixture.recountAll()
    }

    /// Old versions and removed files come back; new ones find names and numbers of their own.
    private static func change(_ fixture: inout ConformanceFixture, _ song: Entry?) async throws {
        let store = fixture.store
        guard let overwritten = try await store.entry(at: fixture.place("overwritten")) else {
            throw ConformanceFailure(description: "/overwritten is gone")
        }
        try expectEqual(overwritten.content?.version, 4, "the version")
        let former = try await store.formerVersions(of: overwritten.id, before: nil, limit: 10)
        try expectEqual(former.map(\.content.version), [3, 2, 1], "the former versions")
        let restored = try await store.restore(2, of: overwritten.id, view: fixture.view, request: nil)
        try expectEqual(restored.content?.size, 2, "the size of version 2")
        let removed = try await store.removedFiles(.below("/"), after: nil, limit: 10)
        try expectEqual(removed.map(\.path), ["/removed"], "what was removed")
        let fresh = try await fixture.file("fresh")
        try expect(fresh.id.rawValue > removed[0].entry.id.rawValue, "numbers rise")
        guard let song else { return }
        _ = try await store.update(song.id, EntryChange(n: 3), view: fixture.view)
        try await fixture.remove([fresh])
        try expectEqual(try await store.removedFiles(.below("/"), after: nil, limit: 10).count, 2, "removed files")
        try expect(try await store.surplusBounds() != nil, "some file is readable")
    }
}
