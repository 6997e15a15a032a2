import BrimModel
import ServiceLifecycle
import Synchronization

/// A background loop of a daemon, which says of itself what it is at.
public protocol BackgroundLoop: Service {
    var worker: Worker { get }
}

/// Where one background loop notes what it is at, for `brim workers`. Cheap enough to be told of every step.
public final class Worker: Sendable {
    private struct State {
        var status: WorkerStatus
        /// Items done in each of the last seconds, by second.
        var recent: [(second: Int64, items: Int64)] = []
    }
    /// Seconds over which the rate is taken.
    private static let rateSeconds: Int64 = 60

    private let state: Mutex<State>

    /// - Parameters:
    ///   - name: as people see it, in lower case.
    ///   - unit: what `did` counts, in the plural.
    public init(_ name: String, unit: String) {
        state = Mutex(State(status: WorkerStatus(name: name, place: "", unit: unit)))
    }

    /// It does something now.
    public func begins(_ what: String) {
        let now = Timestamp.now
        state.withLock { state in
            state.status.state = .working
            state.status.doing = what
            state.status.lastRun = now
            state.status.nextRun = nil
        }
    }

    /// It has finished so many items.
    public func did(_ items: Int) {
        guard items > 0 else { return }
        let now = Timestamp.now
        state.withLock { state in
            state.status.done += Int64(items)
            state.status.lastRun = now
            if let last = state.recent.last, last.second == now.seconds {
                state.recent[state.recent.count - 1].items += Int64(items)
            } else {
                state.recent.removeAll { $0.second <= now.seconds - Self.rateSeconds }
                state.recent.append((now.seconds, Int64(items)))
            }
        }
    }

    /// It has something to do, but waits.
    public func waits(for what: String, atMost limit: Duration? = nil) {
        rest(.waiting, what, limit)
    }

    /// It has nothing to do, for so long if nothing happens.
    public func rests(atMost limit: Duration? = nil) { rest(.idle, nil, limit) }

    /// What it tried went wrong; it tries again.
    public func failed(_ error: any Error, again limit: Duration? = nil) {
        guard !(error is CancellationError) else { return }
        rest(.failed, nil, limit)
        let now = Timestamp.now
        state.withLock { state in
            state.status.failures += 1
            state.status.lastError = String("\(error)".prefix(1000))
            state.status.lastErrorAt = now
        }
    }

    private func rest(_ next: WorkerStatus.State, _ what: String?, _ limit: Duration?) {
        let due = limit.map { Timestamp.now.adding($0) }
        state.withLock { state in
            state.status.state = next
            state.status.doing = what
            state.status.nextRun = due
        }
    }

    /// What it is at, for those who ask; `place` is where it runs.
    public func status(at place: String) -> WorkerStatus {
        let now = Timestamp.now
        return state.withLock { state in
            var status = state.status
            status.place = place
            let recent = state.recent.filter { $0.second > now.seconds - Self.rateSeconds }.reduce(0) { $0 + $1.items }
            status.rate = Double(recent) / Double(Self.rateSeconds)
            return status
        }
    }
}
