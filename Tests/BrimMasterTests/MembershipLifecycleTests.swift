import BrimMetadata
import BrimModel
import BrimPlacement
import BrimTestKit
import BrimWire
import Logging
import Testing

@testable import BrimMaster

/// Drains and forgets that begin, break off and are gone on with, over an in-memory store.
@Suite struct MembershipLifecycleTests {
    /// A new leader over a fixture's store.
    private func leader(_ fixture: Fixture) async throws -> Membership {
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let (store, views, roster) = (fixture.store, fixture.views, Roster())
        let term = try await store.beginTerm(holder: "next")
        let settings = LiveSettings(SwarmSettings())
        let membership = Membership(
            store: store, roster: roster, views: views, ledger: Ledger(Planner(floor: 0)),
            reconciler: fixture.reconciler,
            recounter: Recounter(store: store, views: views, changed: fixture.changed, logger: logger),
            drains: DrainProgress(store: store, roster: roster, settings: settings, logger: logger),
            settings: settings,
            breaker: EvictionGuard(store: store, settings: settings.current, logger: logger), swarm: "swarm",
            term: term,
            slaves: SlaveCaller(
                peers: PeerClient(logger: logger), keys: try SwarmKeys(password: "test"), subject: "master"),
            changed: fixture.changed, removed: Bell(), logger: logger)
        try await membership.begin()
        return membership
    }

    private func name(_ text: String) throws -> ServerName { try ServerName(validating: text) }

    private func heartbeat(_ server: String) throws -> HeartbeatRequest {
        HeartbeatRequest(
            name: try name(server), id: "id-\(server)",
            usage: ServerUsage(boot: "b", count: 1, used: 0, diskFree: 1 << 40, files: 0), load: ServerLoad())
    }

    @Test func aDrainIsPublishedAtOnceAndTakenBack() async throws {
        let fixture = try await Fixture(servers: ["alpha", "bravo"])
        let membership = try await leader(fixture)
        let (alpha, bravo) = (try name("alpha"), try name("bravo"))
        try await membership.drain(alpha)
        try await membership.drain(alpha)
        var view = try await fixture.store.view()
        #expect(view.counted == [bravo] && view.readable == [alpha, bravo] && view.up == [bravo])
        await #expect(throws: BrimError.self) { try await membership.drain(bravo) }
        // Another leader knows of it.
        let next = try await leader(fixture)
        view = try await fixture.store.view()
        #expect(view.counted == [bravo] && view.up == [bravo])
        try await next.undrain(alpha)
        view = try await fixture.store.view()
        #expect(view.counted == [alpha, bravo] && view.up == [alpha, bravo])
    }

    @Test func anotherLeaderFinishesWhatWasBegun() async throws {
        let fixture = try await Fixture(servers: ["alpha", "bravo"])
        let (alpha, bravo) = (try name("alpha"), try name("bravo"))
        let file = try await fixture.file("/f", on: ["alpha", "bravo"])
        _ = try await fixture.store.drain(alpha)
        // The master ended right after this.
        _ = try await fixture.store.beginForget(alpha, losesData: false)
        let membership = try await leader(fixture)
        await #expect(throws: BrimError.self) { try await membership.undrain(alpha) }
        try await membership.resumeForgetting()
        #expect(try await fixture.store.servers().map(\.name) == [bravo])
        #expect(try await fixture.store.entry(file.id)?.content?.replicas == [bravo])
        #expect(try await fixture.store.view().forgotten == [alpha])
        await expect(.forgotten) { _ = try await membership.heartbeat(try heartbeat("alpha"), masterHost: nil) }
        // Who counts with that view enters the name no more.
        let late = try await fixture.file("/late", on: ["alpha", "bravo"])
        #expect(late.content?.replicas == [bravo])
        try await membership.resumeForgetting()
        // Those who come later know too.
        _ = try await leader(fixture)
        #expect(try await fixture.store.view().forgotten == [alpha])
        await expect(.notFound) { _ = try await membership.forget(alpha, losesData: false) }
    }

    @Test func aForgetThatWouldLoseAFileByNowIsTakenBack() async throws {
        let fixture = try await Fixture(servers: ["alpha", "bravo"])
        let alpha = try name("alpha")
        let sole = try await fixture.file("/only/here", on: ["alpha"])
        _ = try await fixture.store.drain(alpha)
        _ = try await fixture.store.beginForget(alpha, losesData: false)
        let membership = try await leader(fixture)
        await expect(.conflict, "/only/here") { try await membership.resumeForgetting() }
        let record = try await fixture.store.servers()[0]
        #expect(record.forget == nil && record.drain != nil)
        #expect(try await fixture.store.entry(sole.id)?.content?.replicas == [alpha])
        await expect(.conflict, "/only/here") { _ = try await membership.forget(alpha, losesData: false) }
        #expect(try await membership.forget(alpha, losesData: true) == 1)
        #expect(try await fixture.store.entry(sole.id)?.content?.replicas == [])
    }

    @Test func aFileWrittenToItWhileItIsForgottenIsNotLost() async throws {
        let fixture = try await Fixture(servers: ["alpha", "bravo"])
        let alpha = try name("alpha")
        let membership = try await leader(fixture)
        try await membership.drain(alpha)
        let old = try await fixture.store.view()
        let forgetting = Task { try await membership.forget(alpha, losesData: false) }
        // From now on only who counts with an older view may name it.
        while try await fixture.store.view().forgotten != [alpha] { try await Task.sleep(for: .milliseconds(5)) }
        let late = try await fixture.file("/late", on: ["alpha"], view: old)
        await expect(.conflict, "/late") { _ = try await forgetting.value }
        #expect(try await fixture.store.entry(late.id)?.content?.replicas == [alpha])
        #expect(try await fixture.store.view().forgotten == [])
        #expect(try await fixture.store.servers()[0].forget == nil)
    }

    private func expect(
        _ code: BrimError.Code, _ text: String = "", sourceLocation: SourceLocation = #_sourceLocation,
        _ body: () async throws -> Void
    ) async {
        do {
            try await body()
            Issue.record("no error", sourceLocation: sourceLocation)
        } catch {
            let told = "\(error)"
            #expect(
                (error as? BrimError)?.code == code && (text.isEmpty || told.contains(text)), "\(told)",
                sourceLocation: sourceLocation)
        }
    }
}
