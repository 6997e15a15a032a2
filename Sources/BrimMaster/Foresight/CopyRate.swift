import BrimModel
import Synchronization

/// How fast the swarm makes copies, measured over the time in which any were under way.
final class CopyRate: Sendable {
    /// What was measured before counts half when this time is full.
    private static let window = Duration.seconds(3600)

    private struct State {
        /// The end of what is measured; nil while nothing is under way.
        var until: ContinuousClock.Instant?
        var bytes: Double = 0
        var busy = Duration.zero
    }

    private let state = Mutex(State())

    /// Copies were ordered.
    func began(at now: ContinuousClock.Instant) {
        state.withLock { state in
            if state.until == nil { state.until = now }
        }
    }

    /// Copies arrived, or failed (0 bytes).
    func arrived(_ bytes: Int64, othersUnderWay: Bool, at now: ContinuousClock.Instant) {
        state.withLock { state in
            if let until = state.until { state.busy += until.duration(to: now) }
            state.bytes += Double(bytes)
            state.until = othersUnderWay ? now : nil
            if state.busy > Self.window {
                state.busy /= 2
                state.bytes /= 2
            }
        }
    }

    /// nil before the first copy.
    var bytesPerSecond: Double? {
        state.withLock { state in
            state.bytes > 0 && state.busy > .zero ? state.bytes / state.busy.inSeconds : nil
        }
    }
}
