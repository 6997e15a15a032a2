import Testing

@testable import BrimMaster

@Suite struct BellTests {
    @Test func ringsThatComeBeforeTheWaitCountAsOne() async {
        let bell = Bell()
        bell.ring()
        bell.ring()
        #expect(bell.hasRung)
        let began = ContinuousClock.now
        #expect(await bell.wait(atMost: .seconds(60)))
        #expect(ContinuousClock.now - began < .seconds(30))
        #expect(!bell.hasRung)
        #expect(await bell.wait(atMost: .milliseconds(1)))
    }

    @Test func waitsAgainAfterATimeHasPassed() async {
        let bell = Bell()
        let began = ContinuousClock.now
        for _ in 0..<5 { #expect(await bell.wait(atMost: .milliseconds(20))) }
        #expect(ContinuousClock.now - began >= .milliseconds(100))
        bell.ring()
        #expect(await bell.wait(atMost: .seconds(60)))
    }

    @Test func wakesALoopAgainAndAgain() async {
        let bell = Bell()
        for _ in 0..<20 {
            async let woken = bell.wait(atMost: .seconds(60))
            bell.ring()
            #expect(await woken)
        }
    }
}

@Suite struct AsyncGateTests {
    @Test func letsOneThroughAtATime() async {
        let gate = AsyncGate()
        let inside = Counter()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<50 {
                group.addTask {
                    await gate.enter()
                    await inside.enter()
                    await Task.yield()
                    await inside.leave()
                    await gate.leave()
                }
            }
        }
        #expect(await inside.most == 1)
        #expect(await inside.visits == 50)
    }

    private actor Counter {
        private var now = 0
        private(set) var most = 0
        private(set) var visits = 0
        func enter() {
            now += 1
            visits += 1
            most = max(most, now)
        }
        func leave() { now -= 1 }
    }
}
