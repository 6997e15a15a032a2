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
            // Its copies are counted as not there, and whoever does so calls it forgotten.
            let view = try await fixture.store.view()
            _ = try await fixture.store.recount(
                alpha, from: RecountProgress(epoch: view.epoch), rising: false, limit: 9, view: view)
        }
        await expect(.conflict, "/late") { _ = try await leader.forgetter.forget(alpha, losesData: false) }
        let late = try await fixture.namespace.file(at: try BrimPath(parsing: "/late")).entry
        #expect(try await fixture.store.entry(late.id)?.content?.replicas == [alpha])
        #expect(try await fixture.store.view().forgotten == [])
        #expect(try await fixture.store.servers()[0].forget == nil)
    }

    /// Who counts with a view that calls the name forgotten leaves it out of what is written or copied.
    @Test func itsNameIsFreeWhenNobodyCallsItForgottenAnyMore() async throws {
        let (fixture, leader, _) = try await drained("alpha", of: ["alpha", "bravo"])
        _ = try await leader.forgetter.forget(try name("alpha"), losesData: false)
        #expect(try await fixture.store.view().forgotten == [try name("alpha")])
        // The server itself frees nothing.
        await expect(.forgotten) { try await leader.join("alpha") }
        #expect(try await fixture.store.view().forgotten == [try name("alpha")])
        await expect(.unavailable, "6 seconds") { try await leader.join("alpha", id: "another") }
        #expect(try await fixture.store.view().forgotten == [])
        leader.clock.advance(by: .seconds(4))
        await expect(.unavailable, "2 seconds") { try await leader.join("alpha", id: "another") }
        leader.clock.advance(by: .seconds(1))
        try await leader.join("alpha", id: "another")
        #expect(try await fixture.store.servers().map(\.id) == ["another", "id-bravo"])
    }

    @Test func aFileWrittenToItAndOthersMeanwhileDoesNotHinderIt() async throws {
        let (fixture, leader, old) = try await drained("alpha", of: ["alpha", "bravo"])
        leader.clock.duringNextSleep { try await fixture.file("/late", on: ["alpha", "bravo"], view: old) }
        #expect(try await leader.forgetter.forget(try name("alpha"), losesData: false) == 0)
        let late = try await fixture.namespace.file(at: try BrimPath(parsing: "/late"))
        #expect(late.content.replicas == [try name("bravo")])
    }

    @Test func whoAgreesToLoseFilesDoesNotAgreeToLoseThoseWrittenMeanwhile() async throws {
        let (fixture, leader, old) = try await drained("alpha", of: ["alpha", "bravo"])
        let alpha = try name("alpha")
        let early = try await fixture.file("/early", on: ["alpha"])
        leader.clock.duringNextSleep { try await fixture.file("/late", on: ["alpha"], view: old) }
        await expect(.conflict, "1 files have no other copy that can be read than that on alpha: /late") {
            _ = try await leader.forgetter.forget(alpha, losesData: true)
        }
        #expect(try await fixture.store.entry(early.id)?.content?.replicas == [])
        let late = try await fixture.namespace.file(at: try BrimPath(parsing: "/late"))
        #expect(late.content.replicas == [alpha])
        // Asked again, knowing that.
        #expect(try await leader.forgetter.forget(alpha, losesData: true) == 1)
    }

    @Test func aServerWhoseForgettingWasNotAnsweredIsForgotten() async throws {
        let (fixture, leader, _) = try await drained("charlie", of: ["alpha", "bravo", "charlie"])
        let (bravo, charlie) = (try name("bravo"), try name("charlie"))
        await fixture.memory.fail(.endForget, .answerLost)
        await expect(.unavailable) { _ = try await leader.forgetter.forget(charlie, losesData: false) }
        try await leader.forgetter.resume()
        #expect(try await leader.pass(1, speaking: "alpha", "bravo").isEmpty)
        #expect(try await fixture.store.view().forgotten == [charlie])
        // A write that was granted long ago does not name it either.
        let late = try await fixture.file("/late", on: ["bravo", "charlie"])
        #expect(late.content?.replicas == [bravo])
        await expect(.forgotten) { _ = try await leader.heartbeat("charlie") }
        // It is not taken for a second one that vanished together with another.
        let changes = try await leader.pass(300, speaking: "alpha")
        #expect(changes == ["15 bravo up→suspect", "300 bravo suspect→down"])
    }

    @Test func aServerWhoseForgettingIsTakenBackIsAskedWhatItHas() async throws {
        let (fixture, leader, old) = try await drained("alpha", of: ["alpha", "bravo"])
        _ = try await leader.pass(11, speaking: "alpha", "bravo")
        #expect(try await !leader.heartbeat("alpha").report)
        let both = try await fixture.file("/both", on: ["alpha", "bravo"])
        leader.clock.duringNextSleep { try await fixture.file("/late", on: ["alpha"], view: old) }
        await fixture.memory.fail(.cancelForget, .answerLost)
        await expect(.unavailable) { _ = try await leader.forgetter.forget(try name("alpha"), losesData: false) }
        #expect(try await fixture.store.entry(both.id)?.content?.replicas == [try name("bravo")])
        try await leader.judge.look()
        #expect(try await leader.heartbeat("alpha").report)
        let reply = try await leader.report("alpha", [try fixture.report(both)])
        #expect(reply.delete.isEmpty)
        #expect(try await fixture.store.entry(both.id)?.content?.replicas.contains(try name("alpha")) == true)
    }

    /// A leader over servers of which one is draining, and the view from before that.
    private func drained(
        _ server: String, of servers: [String]
    ) async throws -> (fixture: Fixture, leader: Leader, old: ServerView) {
        let fixture = try await Fixture(servers: servers)
        let leader = try await Leader(fixture)
        let old = try await fixture.store.view()
        try await leader.admin.drain(try name(server))
        return (fixture, leader, old)
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
