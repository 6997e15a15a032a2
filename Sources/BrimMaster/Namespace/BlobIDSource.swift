import BrimModel
import Synchronization

/// Makes blob and request ids for one master.
final class BlobIDSource: Sendable {
    private struct State {
        var random: any RandomNumberGenerator & Sendable
        var blobs: BlobIDGenerator
    }
    private let state: Mutex<State>
    private let clock: any BrimClock

    /// `random` makes ids unique among all masters of the swarm.
    init(
        clock: any BrimClock = SystemClock(),
        random: any RandomNumberGenerator & Sendable = SystemRandomNumberGenerator()
    ) {
        var random = random
        let blobs = BlobIDGenerator(using: &random)
        state = Mutex(State(random: random, blobs: blobs))
        self.clock = clock
    }

    func next() -> BlobID {
        let seconds = UInt32(truncatingIfNeeded: clock.timestamp.seconds)
        return state.withLock { $0.blobs.next(seconds: seconds) }
    }

    /// 32 hex digits.
    func request() -> String {
        let (high, low) = state.withLock { ($0.random.next(), $0.random.next()) }
        return [high, low].map { half in
            let digits = String(half, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
    }
}
