import BrimModel

/// The clocks of one machine: steady time is the simulation's, the calendar may be off and jump.
struct SimulatedClock: BrimClock {
    /// 2026-01-01T00:00:00Z
    static let epoch: Int64 = 1_767_225_600
    /// Some instant to count from; which one it is makes no difference.
    private static let origin = ContinuousClock.now

    let scheduler: Scheduler
    /// Seconds by which the calendar is ahead.
    let offset: Confined<Int64>

    var now: ContinuousClock.Instant { Self.origin + .microseconds(scheduler.now) }

    var timestamp: Timestamp {
        let now = scheduler.now
        return Timestamp(
            seconds: Self.epoch + offset.value + now / 1_000_000, nanoseconds: Int32(now % 1_000_000) * 1000)
    }

    func sleep(for duration: Duration) async throws { try await scheduler.sleep(duration) }
}
