/// Where time comes from: the system's clocks, or those of a simulation.
///
/// What decides by time, or waits, asks the clock that it was given at its start, so that a whole swarm can be simulated
/// in a time of its own.
public protocol BrimClock: Sendable {
    /// Steady time, for intervals and deadlines.
    var now: ContinuousClock.Instant { get }
    /// The calendar's time, which may be set back and forth.
    var timestamp: Timestamp { get }
    /// Waits for that long. Throws `CancellationError` as soon as the task is cancelled.
    func sleep(for duration: Duration) async throws
}

/// The clocks of the system.
public struct SystemClock: BrimClock {
    public init() {}

    public var now: ContinuousClock.Instant { .now }
    public var timestamp: Timestamp { .now }
    public func sleep(for duration: Duration) async throws { try await Task.sleep(for: duration) }
}
