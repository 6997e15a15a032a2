import BrimModel
import BrimWire
import Synchronization

/// A clock that stands still but for what a test makes of it: who sleeps moves it on, and is not kept waiting.
final class TestClock: BrimClock {
    private let start = ContinuousClock.now
    private let began = Timestamp.now
    private let passed = Mutex(Duration.zero)
    private let dream = Mutex<(@Sendable () async throws -> Void)?>(nil)

    var now: ContinuousClock.Instant { start + passed.withLock { $0 } }
    var timestamp: Timestamp { began.adding(passed.withLock { $0 }) }

    func advance(by time: Duration) { passed.withLock { $0 += time } }

    /// Does something while the next one sleeps.
    func duringNextSleep(_ body: @escaping @Sendable () async throws -> Void) { dream.withLock { $0 = body } }

    func sleep(for duration: Duration) async throws {
        try Task.checkCancellation()
        let body = dream.withLock { dream in
            defer { dream = nil }
            return dream
        }
        try await body?()
        advance(by: duration)
    }
}
