import BrimMetadata
import BrimModel
import BrimWire
import Testing

@testable import BrimMaster

/// Judgements as a leader comes to them and has them entered: by what slaves say, by silence, by what the database answers.
/// A server is suspect after 15 s and down after 60 s of a time that only the test lets pass.
@Suite struct ServerJudgeTests {
    private func scene(_ servers: String...) async throws -> (fixture: Fixture, leader: Leader) {
        let fixture = try await Fixture(servers: servers)
        fixture.settings.current.suspectAfter = .seconds(15)
        fixture.settings.current.downAfter = .seconds(60)
        return (fixture, try await Leader(fixture))
    }

    private func k(_ entry: Entry, _ fixture: Fixture) async throws -> Int? {
        try await fixture.store.entry(entry.id)?.content?.k
    }

    @Test func aServerThatFlapsWaitsLongerEachTime() async throws {
        let (fixture, leader) = try await scene("alpha", "bravo", "charlie")
        let bravo = try ServerName(validating: "bravo")
        var returns: [[String]] = []
        for fall in 1...5 {
            let fell = try await leader.pass(60, speaking: "alpha", "charlie")
            #expect(fell == ["15 bravo up→suspect", "60 bravo suspect→down"])
            var changes = try await leader.pass(1, speaking: "alpha", "bravo", "charlie")
            if fall > 1 {
                #expect(changes.isEmpty)
                #expect(try await !leader.heartbeat("bravo").report, "what it has is known")
                #expect(try await !fixture.store.view().counted.contains(bravo), "nor does it count meanwhile")
                changes = try await leader.pass(99, speaking: "alpha", "bravo", "charlie")
            }
            #expect(try await fixture.store.view().up.contains(bravo))
            returns.append(changes)
        }
        #expect(
            returns == [
                ["1 bravo down→up"], ["15 bravo down→up"], ["30 bravo down→up"], ["60 bravo down→up"],
                ["60 bravo down→up"],
            ])
    }

    @Test func whoSaysGoodbyeIsSuspectAtOnceAndCountsUntilItIsDown() async throws {
        let (fixture, leader) = try await scene("alpha", "bravo", "charlie")
        let (alpha, charlie) = (try ServerName(validating: "alpha"), try ServerName(validating: "charlie"))
        let bravo = try ServerName(validating: "bravo")
        let file = try await fixture.file("/f", on: ["alpha", "bravo"], n: 2)
        try await leader.goodbye("bravo")
        #expect(await leader.states["bravo"] == .suspect)
        var view = try await fixture.store.view()
        #expect(view.up == [alpha, charlie] && view.counted == [alpha, bravo, charlie])
        for _ in 0..<3 {
            let peers = try await leader.room.place(request: "w", size: 1, n: 3, avoid: [], writerHost: nil)
            #expect(!peers.contains { $0.server == bravo }, "no write goes there")
            leader.room.ended("w")
        }
        #expect(try await leader.pass(59, speaking: "alpha", "charlie").isEmpty)
        #expect(try await k(file, fixture) == 2)
        #expect(try await leader.pass(1, speaking: "alpha", "charlie") == ["1 bravo suspect→down"])
        view = try await fixture.store.view()
        #expect(view.counted == [alpha, charlie] && view.readable == [alpha, charlie])
        #expect(try await k(file, fixture) == 1)
    }

    @Test func manyThatSayGoodbyeAreNoMystery() async throws {
        let (_, leader) = try await scene("alpha", "bravo", "charlie")
        try await leader.goodbye("bravo")
        try await leader.goodbye("charlie")
        #expect(try await leader.pass(60, speaking: "alpha") == ["60 bravo suspect→down", "60 charlie suspect→down"])
    }

    @Test func manyThatVanishTogetherAreHeldBackUntilAPersonSaysSo() async throws {
        let (fixture, leader) = try await scene("alpha", "bravo", "charlie", "delta", "echo")
        let (delta, echo) = (try ServerName(validating: "delta"), try ServerName(validating: "echo"))
        let file = try await fixture.file("/f", on: ["delta", "echo"], n: 2)
        let changes = try await leader.pass(300, speaking: "alpha", "bravo", "charlie")
        #expect(changes == ["15 delta up→suspect", "15 echo up→suspect"])
        #expect(await leader.judge.heldBack == [delta, echo])
        #expect(await leader.judge.warnings.first?.contains("delta, echo fell silent together") == true)
        #expect(try await fixture.store.view().counted.isSuperset(of: [delta, echo]))
        #expect(try await k(file, fixture) == 2)
        try await leader.admin.drain(echo)
        // The other one is then alone in its silence.
        #expect(
            try await leader.pass(2, speaking: "alpha", "bravo", "charlie") == [
                "1 echo suspect→down", "2 delta suspect→down",
            ])
        #expect(await leader.judge.warnings.isEmpty)
        #expect(try await k(file, fixture) == 0)
    }

    @Test func tenTimesTheWaitIsEnoughForMany() async throws {
        let (_, leader) = try await scene("alpha", "bravo", "charlie")
        let changes = try await leader.pass(610, speaking: "alpha")
        #expect(
            changes == [
                "15 bravo up→suspect", "15 charlie up→suspect", "600 bravo suspect→down", "600 charlie suspect→down",
            ])
    }

    @Test func silenceCountsOnlyWhileTheDatabaseAnswers() async throws {
        let (fixture, leader) = try await scene("alpha", "bravo", "charlie")
        #expect(try await leader.pass(14, speaking: "alpha", "charlie").isEmpty)
        // Shorter than what would be taken for a process that stood still.
        await fixture.memory.fail(.servers, times: 10)
        for _ in 0..<10 {
            leader.clock.advance(by: .seconds(1))
            await #expect(throws: BrimError.self) { try await leader.judge.look() }
        }
        let changes = try await leader.pass(61, speaking: "alpha", "charlie")
        #expect(changes == ["16 bravo up→suspect", "61 bravo suspect→down"], "the grace began anew in second 1")
    }

    @Test func aLeaderThatStoodStillCouldNotHear() async throws {
        let (_, leader) = try await scene("alpha", "bravo", "charlie")
        #expect(try await leader.pass(5, speaking: "alpha", "charlie").isEmpty)
        leader.clock.advance(by: .seconds(1000))
        #expect(try await leader.pass(15, speaking: "alpha", "charlie").isEmpty)
        #expect(try await leader.pass(1, speaking: "alpha", "charlie") == ["1 bravo up→suspect"])
    }

    /// What was given up since under another leader, by an order that was lost, is in no such list.
    @Test func aReportFromAnotherTermSaysNothing() async throws {
        let (_, leader) = try await scene()
        try await leader.join("alpha")
        let error = await #expect(throws: BrimError.self) { try await leader.report("alpha", term: 0) }
        #expect(error?.code == .conflict)
        #expect(await leader.states == ["alpha": .down])
        try await leader.report("alpha")
        #expect(await leader.states == ["alpha": .up])
    }

    @Test func whoIsShownAsUpTakesWrites() async throws {
        let (fixture, leader) = try await scene()
        try await leader.join("alpha")
        #expect(await leader.states == ["alpha": .down])
        // The judgement is entered; what follows from it is cut off.
        await fixture.memory.fail(.publishView)
        await #expect(throws: BrimError.self) { try await leader.report("alpha") }
        #expect(await leader.states == ["alpha": .up])
        let peers = try await leader.room.place(request: "w", size: 1, n: 1, avoid: [], writerHost: nil)
        #expect(peers.map(\.server.rawValue) == ["alpha"])
    }
}
