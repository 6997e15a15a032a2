import BrimMetadata
import BrimModel
import BrimWire
import Testing

@testable import BrimMaster

@Suite struct NamespaceServiceTests {
    private func path(_ text: String) throws -> BrimPath { try BrimPath(parsing: text) }

    private func code(_ body: () async throws -> Void) async -> BrimError.Code? {
        do {
            try await body()
            return nil
        } catch {
            return (error as? BrimError)?.code
        }
    }

    @Test func namesTheFirstMissingComponent() async throws {
        let fixture = try await Fixture(servers: ["alpha"])
        try await fixture.file("/a/file", on: ["alpha"])
        let missing = await #expect(throws: BrimError.self) {
            _ = try await fixture.namespace.stat(try BrimPath(parsing: "/a/b/c"))
        }
        #expect(missing?.code == .notFound)
        #expect(missing?.message == "/a/b does not exist")
        let through = await #expect(throws: BrimError.self) {
            _ = try await fixture.namespace.stat(try BrimPath(parsing: "/a/file/c"))
        }
        #expect(through?.code == .notDirectory)
        #expect(through?.message == "/a/file is not a directory")
    }

    @Test func makesDirectoriesWithAndWithoutParents() async throws {
        let fixture = try await Fixture(servers: ["alpha"])
        let namespace = fixture.namespace
        let deep = try path("/x/y/z")
        #expect(
            await code { _ = try await namespace.makeDirectory(deep, parents: false, mode: nil, modified: nil) }
                == .notFound)
        let made = try await namespace.makeDirectory(deep, parents: true, mode: 0o700, modified: nil)
        #expect(made.created && made.stat.type == .directory && made.stat.mode == 0o700)
        #expect(!(try await namespace.makeDirectory(deep, parents: true, mode: nil, modified: nil)).created)
        #expect(
            await code { _ = try await namespace.makeDirectory(deep, parents: false, mode: nil, modified: nil) }
                == .exists)
        try await fixture.file("/x/file", on: ["alpha"])
        let below = try path("/x/file/d")
        #expect(
            await code { _ = try await namespace.makeDirectory(below, parents: true, mode: nil, modified: nil) }
                == .notDirectory)
    }

    @Test func removesTreesOnlyWhenAsked() async throws {
        let fixture = try await Fixture(servers: ["alpha"])
        for i in 0..<25 { try await fixture.file("/tree/d\(i % 5)/e/f\(i)", on: ["alpha"]) }
        let tree = try path("/tree")
        #expect(await code { _ = try await fixture.namespace.remove(tree, recursive: false) } == .notEmpty)
        let reply = try await fixture.namespace.remove(tree, recursive: true)
        #expect(reply.files == 25)
        #expect(reply.directories == 11)
        #expect(await code { _ = try await fixture.namespace.stat(tree) } == .notFound)
        let alpha = try ServerName(validating: "alpha")
        #expect(try await fixture.store.pendingDeletions(on: alpha, limit: 100) == [])
        let trash = try await fixture.namespace.trash(tree, after: nil, limit: 100)
        #expect(trash.entries.map(\.path).contains("/tree/d3/e/f13") && trash.entries.count == 25)
        #expect(try await fixture.namespace.undelete(tree, to: nil, recursive: true).files == 25)
        #expect(try await fixture.namespace.remove(tree, recursive: true, now: true).files == 25)
        #expect(try await fixture.store.pendingDeletions(on: alpha, limit: 100).count == 25)
        #expect(await code { _ = try await fixture.namespace.remove(.root, recursive: true) } == .invalid)
    }

    /// What was found at a path and is elsewhere when it is to go was not meant.
    @Test func aRemovalThatMeetsARenamingRemovesNothingElse() async throws {
        let fixture = try await Fixture(servers: ["alpha"])
        let (from, to) = (try path("/from"), try path("/to"))
        var both = 0
        for _ in 0..<300 {
            try await fixture.file("/from", on: ["alpha"])
            async let renamed = code { _ = try await fixture.namespace.rename(from, to: to, replace: true) }
            async let removed = code { _ = try await fixture.namespace.remove(from, recursive: false) }
            let (rename, remove) = (await renamed, await removed)
            if remove == nil, rename == nil { both += 1 }
            #expect([nil, .notFound].contains(rename) && [nil, .notFound].contains(remove))
            #expect(try await fixture.store.resolve(to).count == (rename == nil ? 2 : 1))
            if rename == nil { _ = try await fixture.namespace.remove(to, recursive: false) }
        }
        #expect(both == 0)
    }

    /// A path under which there is always something is never said not to be there.
    @Test func whatIsReplacedMeanwhileIsStillThere() async throws {
        let fixture = try await Fixture(servers: ["alpha"])
        let namespace = fixture.namespace
        let (spare, taken, other) = (try path("/spare"), try path("/taken"), try path("/other"))
        for number in 0..<300 {
            for name in ["/spare", "/taken"] { try await fixture.file(name, on: ["alpha"]) }
            async let replaced = code { _ = try await namespace.rename(spare, to: taken, replace: true) }
            async let used = code {
                switch number % 3 {
                case 0: _ = try await namespace.rename(taken, to: other, replace: true)
                case 1: _ = try await namespace.remove(taken, recursive: false)
                default: _ = try await namespace.change(taken, ChangeRequest(mode: 0o600))
                }
            }
            let outcomes = (await replaced, await used)
            #expect(outcomes == (nil, nil), "\(number)")
            for rest in [taken, other] { _ = await code { _ = try await namespace.remove(rest, recursive: false) } }
        }
    }

    /// The first try hangs at another master, the second one is refused, and then the first goes on.
    @Test func whatWasRefusedIsNotCarriedOutLater() async throws {
        let fixture = try await Fixture(servers: ["alpha"])
        let namespace = fixture.namespace
        let (from, to) = (try path("/from"), try path("/to"))
        let hangs = Latch<Void>()
        async let first = code {
            try await namespace.once("1") { _ in
            } _: {
                try await hangs.get()
                _ = try await namespace.rename(from, to: to, replace: false, request: "1")
            }
        }
        #expect(await code { _ = try await namespace.rename(from, to: to, replace: false, request: "1") } == .notFound)
        try await fixture.file("/from", on: ["alpha"])
        hangs.set(.success(()))
        #expect(await first == .notFound)
        #expect(try await namespace.stat(from).type == .file)
        // What was done stays so, wherever it went since.
        let moved = try await namespace.rename(from, to: to, replace: true, request: "2")
        _ = try await namespace.remove(to, recursive: false)
        #expect(try await namespace.rename(from, to: to, replace: true, request: "2") == moved)
        // Whoever asks a third time is told the same.
        #expect(await code { _ = try await namespace.rename(from, to: to, replace: false, request: "1") } == .notFound)
    }

    @Test func refusesToMoveADirectoryBelowItself() async throws {
        let fixture = try await Fixture(servers: ["alpha"])
        try await fixture.file("/a/b/f", on: ["alpha"])
        let (a, below) = (try path("/a"), try path("/a/b/a"))
        #expect(await code { _ = try await fixture.namespace.rename(a, to: below, replace: false) } == .invalid)
        let moved = try await fixture.namespace.rename(try path("/a/b"), to: try path("/c"), replace: false)
        #expect(moved.path == "/c")
        #expect(try await fixture.namespace.stat(try path("/c/f")).type == .file)
    }

    @Test func addsUpTrees() async throws {
        let fixture = try await Fixture(servers: ["alpha", "bravo"])
        try await fixture.file("/t/a", on: ["alpha", "bravo"], size: 10)
        try await fixture.file("/t/u/b", on: ["alpha"], size: 5)
        let usage = try await fixture.namespace.usage(try path("/t"))
        #expect(
            usage
                == UsageReply(
                    path: "/t", files: 2, directories: 2, bytes: 15, storedBytes: 25, spareBytes: 10, trashBytes: 0))
        _ = try await fixture.namespace.remove(try path("/t/a"), recursive: false)
        #expect(
            try await fixture.namespace.usage(try path("/t"))
                == UsageReply(
                    path: "/t", files: 1, directories: 2, bytes: 5, storedBytes: 5, spareBytes: 0, trashBytes: 20))
    }

    @Test func checksWhatIsChanged() async throws {
        let fixture = try await Fixture(servers: ["alpha"])
        try await fixture.file("/f", on: ["alpha"])
        let file = try path("/f")
        let changed = try await fixture.namespace.change(
            file, ChangeRequest(n: 4, attributes: ["popularity": .int(7)]))
        #expect(changed.n == 4 && changed.surplus == -3 && changed.attributes == ["popularity": .int(7)])
        for bad in [
            ChangeRequest(n: 0), ChangeRequest(n: 1_000_000), ChangeRequest(mode: -1),
            ChangeRequest(attributes: ["a.b": .int(1)]), ChangeRequest(attributes: ["$a": .int(1)]),
            ChangeRequest(attributes: ["": .int(1)]),
        ] {
            #expect(await code { _ = try await fixture.namespace.change(file, bad) } == .invalid)
        }
    }
}
