import BrimMetadata
import BrimModel
import Testing

@testable import BrimMaster

/// Drains and forgets that begin, break off and are gone on with, over an in-memory store.
@Suite struct ForgetterTests {
    private func name(_ text: String) throws -> ServerName { try ServerName(validating: text) }

    @Test func aDrainIsPublishedAtOnceAndTakenBack() async throws {
        let fixture = try await Fixture(servers: ["alpha", "bravo"])
        let leader = try await Leader(fixture)
        let (alpha, bravo) = (try name("alpha"), try name("bravo"))
        try await leader.admin.drain(alpha)
        try await leader.admin.drain(alpha)
        var view = try await fixture.store.view()
        #expect(view.counted == [bravo] && view.readable == [alpha, bravo] && view.up == [bravo])
        await #expect(throws: BrimError.self) { try await leader.admin.drain(bravo) }
        // Another leader knows of it.
        let next = try await Leader(fixture)
        view = try await fixture.store.view()
        #expect(view.counted == [bravo] && view.up == [bravo])
        try await next.admin.undrain(alpha)
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
        let leader = try await Leader(fixture)
        await #expect(throws: BrimError.self) { try await leader.admin.undrain(alpha) }
        try await leader.forgetter.resume()
        #expect(try await fixture.store.servers().map(\.name) == [bravo])
        #expect(try await fixture.store.entry(file.id)?.content?.replicas == [bravo])
        #expect(try await fixture.store.view().forgotten == [alpha])
        await expect(.forgotten) { _ = try await leader.heartbeat("alpha") }
        // Who counts with that view enters the name no more.
        let late = try await fixture.file("/late", on: ["alpha", "bravo"])
        #expect(late.content?.replicas == [bravo])
        try await leader.forgetter.resume()
        // Those who come later know too.
        _ = try await Leader(fixture)
        #expect(try await fixture.store.view().forgotten == [alpha])
        await expect(.notFound) { _ = try await leader.forgetter.forget(alpha, losesData: false) }
    }

    @Test func aForgetThatWouldLoseAFileByNowIsTakenBack() async throws {
        let fixture = try await Fixture(servers: ["alpha", "bravo"])
        let alpha = try name("alpha")
        let sole = try await fixture.file("/only/here", on: ["alpha"])
        _ = try await fixture.store.drain(alpha)
        _ = try await fixture.store.beginForget(alpha, losesData: false)
        let leader = try await Leader(fixture)
        await expect(.conflict, "/only/here") { try await leader.forgetter.resume() }
        let record = try await fixture.store.servers()[0]
        #expect(record.forget == nil && record.drain != nil)
        #expect(try await fixture.store.entry(sole.id)?.content?.replicas == [alpha])
        await expect(.conflict, "/only/here") { _ = try await leader.forgetter.forget(alpha, losesData: false) }
        #expect(try await leader.forgetter.forget(alpha, losesData: true) == 1)
        #expect(try await fixture.store.entry(sole.id)?.content?.replicas == [])
    }

    @Test func aFileWrittenToItWhileItIsForgottenIsNotLost() async throws {
        let fixture = try await Fixture(servers: ["alpha", "bravo"])
        let alpha = try name("alpha")
        let leader = try await Leader(fixture)
        try await leader.admin.drain(alpha)
        let old = try await fixture.store.view()
        // By now only who counts with an older view may name it.
        leader.clock.duringNextSleep {
            #expect(try await fixture.store.view().forgotten == [alpha])
            try await fixture.file("/late", on: ["alpha"], view: old)
        }
        await expect(.conflict, "/late") { _ = try await leader.forgetter.forget(alpha, losesData: false) }
        let late = try await fixture.namespace.file(at: try BrimPath(parsing: "/late"), version: nil).0
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
