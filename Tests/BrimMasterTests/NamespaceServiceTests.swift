import BrimMetadata
import BrimModel
import BrimWire
import Synchronization
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

    /// Does something once, between a look at a path and what is to be done with what was found there.
    private final class Meddler: Views {
        private let base: any Views
        private let act: Mutex<(@Sendable () async throws -> Void)?>

        init(_ base: any Views, _ act: @escaping @Sendable () async throws -> Void) {
            self.base = base
            self.act = Mutex(act)
        }

        func current() async throws -> ServerView {
            if let act = act.withLock({ $0.take() }) { try await act() }
            return try await base.current()
        }

        func take(_ new: ServerView, readAt at: ContinuousClock.Instant) async { await base.take(new, readAt: at) }
    }

    /// The namespace, in which `act` comes between.
    private func meddled(_ fixture: Fixture, _ act: @escaping @Sendable () async throws -> Void) -> NamespaceService {
        NamespaceService(
            store: fixture.store, views: Meddler(fixture.namespace.views, act), policies: fixture.namespace.policies)
    }

    /// What was found at a path and is elsewhere when it is to go was not meant.
    @Test func aRemovalThatMeetsARenamingRemovesNothingElse() async throws {
        let fixture = try await Fixture(servers: ["alpha"])
        let (from, to) = (try path("/from"), try path("/to"))
        try await fixture.file("/from", on: ["alpha"])
        let namespace = meddled(fixture) { _ = try await fixture.namespace.rename(from, to: to, replace: true) }
        #expect(await code { _ = try await namespace.remove(from, recursive: false) } == .notFound)
        #expect(try await fixture.namespace.stat(to).type == .file)
    }

    /// A path under which there is always something is never said not to be there.
    @Test(arguments: 0..<3) func whatIsReplacedMeanwhileIsStillThere(number: Int) async throws {
        let fixture = try await Fixture(servers: ["alpha"])
        let (spare, taken, other) = (try path("/spare"), try path("/taken"), try path("/other"))
        for name in ["/spare", "/taken"] { try await fixture.file(name, on: ["alpha"]) }
        let moved = try await fixture.namespace.stat(spare).id
        let namespace = meddled(fixture) { _ = try await fixture.namespace.rename(spare, to: taken, replace: true) }
        switch number {
        case 0: #expect(try await namespace.rename(taken, to: other, replace: true).id == moved)
        case 1: _ = try await namespace.remove(taken, recursive: false)
        default: #expect(try await namespace.change(taken, ChangeRequest(mode: 0o600)).stat.id == moved)
        }
        let left = await code { _ = try await fixture.namespace.stat(taken) }
        #expect(left == (number == 2 ? nil : .notFound))
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
            file, ChangeRequest(n: 4, attributes: ["popularity": .int(7)])
        ).stat
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
