import BrimModel
import Testing

@testable import BrimPlacement

@Suite struct ServerWatchTests {
    /// A watch with a clock: suspect after 15 s, down after 60 s.
    private struct Scene {
        var watch = ServerWatch(suspectAfter: .seconds(15), downAfter: .seconds(60))
        let start = ContinuousClock.now
        var seconds = 0
        var now: ContinuousClock.Instant { start + .seconds(seconds) }

        init(_ names: String..., state: ServerState = .up) {
            for text in names { watch.add(name(text), state: state, at: start) }
        }

        /// Lets time pass, second by second, while `speaking` are heard; what changed, as "12 b up→suspect".
        mutating func pass(_ duration: Int, speaking: String...) -> [String] {
            var changes: [String] = []
            for _ in 0..<duration {
                seconds += 1
                let heard = speaking.compactMap { watch.heard(name($0), at: now) }
                for change in heard + watch.tick(at: now) {
                    changes.append("\(seconds) \(change.server) \(change.from)→\(change.to)")
                }
            }
            return changes
        }
    }

    @Test func silenceIsJudgedSlowly() {
        var scene = Scene("a", "b", "c")
        #expect(scene.pass(200, speaking: "a", "c") == ["15 b up→suspect", "60 b suspect→down"])
        #expect(scene.watch.servers == [name("a"): .up, name("b"): .down, name("c"): .up])
    }

    @Test func aHeartbeatClearsASuspectButNotOneThatIsDown() {
        var scene = Scene("a", "b", "c")
        #expect(scene.pass(30, speaking: "a", "c") == ["15 b up→suspect"])
        #expect(scene.pass(10, speaking: "a", "b", "c") == ["31 b suspect→up"])
        #expect(scene.pass(60, speaking: "a", "c") == ["55 b up→suspect", "100 b suspect→down"])
        #expect(scene.pass(30, speaking: "a", "b", "c").isEmpty, "not reconciled")
        let back = scene.watch.reconciled(name("b"), at: scene.now)
        #expect(back?.to == .up)
        #expect(scene.watch.reconciled(name("b"), at: scene.now) == nil)
    }

    @Test func newServersAreDownUntilReconciled() {
        var scene = Scene()
        #expect(scene.watch.heard(name("a"), at: scene.now) == nil)
        #expect(scene.watch.state(name("a")) == .down)
        #expect(scene.watch.reconciled(name("a"), at: scene.now)?.from == .down)
        scene.watch.forget(name("a"))
        #expect(scene.watch.state(name("a")) == nil)
        #expect(scene.watch.reconciled(name("a"), at: scene.now) == nil)
    }

    @Test func silenceCountsOnlyWhileTheLeaderCouldHear() {
        var scene = Scene("a", "b", "c")
        _ = scene.pass(10, speaking: "a", "c")
        scene.watch.hearing(false, at: scene.now)
        #expect(scene.pass(500).isEmpty)
        scene.watch.hearing(true, at: scene.now)
        #expect(scene.pass(14, speaking: "a", "c").isEmpty)
        #expect(scene.pass(60, speaking: "a", "c") == ["525 b up→suspect", "570 b suspect→down"])
    }

    @Test func aProcessThatStoodStillCouldNotHear() {
        var scene = Scene("a", "b")
        _ = scene.pass(5, speaking: "a", "b")
        scene.seconds += 1000
        #expect(scene.pass(14).isEmpty)
        #expect(scene.pass(3).count == 2)
    }

    @Test func manyThatVanishTogetherAreNotCalledDown() {
        var scene = Scene("a", "b", "c", "d", "e")
        #expect(scene.pass(300, speaking: "a", "b", "c") == ["15 d up→suspect", "15 e up→suspect"])
        #expect(scene.watch.heldBack == [name("d"), name("e")])
        scene.watch.confirmed(name("e"))
        #expect(scene.pass(1, speaking: "a", "b", "c") == ["301 e suspect→down"])
        // The other is now alone in its silence.
        #expect(scene.pass(1, speaking: "a", "b", "c") == ["302 d suspect→down"])
        #expect(scene.watch.heldBack == [])
    }

    @Test func tenTimesTheWaitIsEnoughForMany() {
        var scene = Scene("a", "b", "c")
        let changes = scene.pass(700, speaking: "a")
        #expect(changes == ["15 b up→suspect", "15 c up→suspect", "600 b suspect→down", "600 c suspect→down"])
    }

    @Test func aThirdOfAllIsNotMany() {
        var scene = Scene("a", "b", "c", "d", "e", "f")
        let changes = scene.pass(60, speaking: "a", "b", "c", "d")
        #expect(changes.suffix(2) == ["60 e suspect→down", "60 f suspect→down"])
    }

    @Test func oneOfTwoIsNotMany() {
        var scene = Scene("a", "b")
        #expect(scene.pass(60, speaking: "a").last == "60 b suspect→down")
    }

    @Test func goodbyeIsNoMystery() {
        var scene = Scene("a", "b", "c")
        for text in ["b", "c"] {
            #expect(scene.watch.goodbye(name(text), at: scene.now)?.to == .suspect)
        }
        #expect(scene.pass(60, speaking: "a") == ["60 b suspect→down", "60 c suspect→down"])
        _ = scene.watch.heard(name("b"), at: scene.now)
        #expect(scene.watch.goodbye(name("b"), at: scene.now) == nil, "already down")
        #expect(scene.watch.goodbye(name("unknown"), at: scene.now) == nil)
    }

    @Test func whatWasSaidBeforeAGoodbyeIsNoNews() {
        var scene = Scene("a", "b")
        let before = scene.now
        scene.seconds += 1
        #expect(scene.watch.goodbye(name("b"), at: scene.now)?.to == .suspect)
        #expect(scene.watch.heard(name("b"), at: before) == nil)
        #expect(scene.watch.state(name("b")) == .suspect)
        #expect(scene.watch.heard(name("b"), at: scene.now)?.to == .up)
    }

    @Test func aServerThatFlapsWaitsLonger() {
        var scene = Scene("a", "b", "c")
        var waits: [Int] = []
        for _ in 0..<5 {
            #expect(scene.pass(60, speaking: "a", "c").last?.hasSuffix("b suspect→down") == true)
            _ = scene.pass(1, speaking: "a", "b", "c")
            let back = scene.seconds
            if scene.watch.reconciled(name("b"), at: scene.now) == nil {
                while scene.pass(1, speaking: "a", "b", "c").isEmpty, scene.seconds < back + 1000 {}
            }
            #expect(scene.watch.state(name("b")) == .up)
            waits.append(scene.seconds - back)
        }
        #expect(waits == [0, 15, 30, 60, 60])
        #expect(scene.pass(3600, speaking: "a", "b", "c").isEmpty)
        _ = scene.pass(60, speaking: "a", "c")
        #expect(scene.watch.reconciled(name("b"), at: scene.now)?.to == .up, "forgotten after an hour")
    }

    @Test func whatTheStoreSaysOtherwiseDoesNotMakeItSteady() {
        var scene = Scene("a", "b", "c")
        for _ in 0..<2 {
            _ = scene.pass(60, speaking: "a", "c")
            _ = scene.watch.heard(name("b"), at: scene.now)
            scene.watch.restate(name("b"), .down, at: scene.now)
            _ = scene.watch.heard(name("b"), at: scene.now)
            #expect(!scene.watch.waitsToBeSteady(name("b")))
            if scene.watch.reconciled(name("b"), at: scene.now) == nil {
                #expect(scene.watch.waitsToBeSteady(name("b")), "no other report is needed")
                #expect(scene.pass(20, speaking: "a", "b", "c") == ["135 b down→up"])
            }
        }
        #expect(scene.watch.state(name("b")) == .up)
    }

    @Test func silenceAfterTheReportMeansANewReport() {
        var scene = Scene("a", "b", "c", state: .down)
        for text in ["a", "b", "c"] { #expect(scene.watch.reconciled(name(text), at: scene.now) != nil) }
        for _ in 0..<2 {
            _ = scene.pass(60, speaking: "a", "c")
            _ = scene.watch.heard(name("b"), at: scene.now)
            if scene.watch.reconciled(name("b"), at: scene.now) == nil {
                // It must be steady for 15 s now, and falls silent again.
                #expect(scene.pass(200, speaking: "a", "c").isEmpty)
                #expect(scene.pass(100, speaking: "a", "b", "c").isEmpty)
            }
        }
        #expect(scene.watch.state(name("b")) == .down)
    }
}
