import Testing

@testable import BrimMaster

@Suite(.timeLimit(.minutes(10))) struct BellTests {
    @Test func ringsThatComeBeforeTheWaitCountAsOne() async {
        let bell = Bell()
        bell.ring()
        bell.ring()
        #expect(bell.hasRung)
        #expect(await bell.wait(atMost: .seconds(3600)))
        #expect(!bell.hasRung)
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
    @Test func letsOneThroughAtATime() async throws {
        let gate = AsyncGate()
        let inside = Counter()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<50 {
                group.addTask {
                    try await gate.enter()
                    await inside.enter()
                    await Task.yield()
                    await inside.leave()
                    gate.leave()
                }
            }
            try await group.waitForAll()
        }
        #expect(await inside.most == 1)
        #expect(await inside.visits == 50)
    }

    @Test func whoIsCancelledLeavesTheLine() async throws {
        let gate = AsyncGate()
        try await gate.enter()
        let impatient = Task { try await gate.enter() }
        let patient = Task { try await gate.exclusively { true } }
        impatient.cancel()
        await #expect(throws: CancellationError.self) { try await impatient.value }
        gate.leave()
        #expect(try await patient.value)
        try await gate.enter()
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
