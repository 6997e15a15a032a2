import Synchronization

/// The port a server listens on, to be waited for; set once.
final class ListeningPort: Sendable {
    private enum State {
        /// Goes to `known`.
        case waiting([Int: CheckedContinuation<Int, any Error>])
        case known(Result<Int, any Error>)
    }
    private struct Waiters {
        var state = State.waiting([:])
        var next = 0
    }
    private let waiters = Mutex(Waiters())

    /// Only the first call has an effect.
    func set(_ result: Result<Int, any Error>) {
        let waiting = waiters.withLock { waiters -> [CheckedContinuation<Int, any Error>] in
            guard case .waiting(let waiting) = waiters.state else { return [] }
            waiters.state = .known(result)
            return Array(waiting.values)
        }
        for continuation in waiting { continuation.resume(with: result) }
    }

    /// Waits until it is set.
    func get() async throws -> Int {
        let id = waiters.withLock { waiters in
            waiters.next += 1
            return waiters.next
        }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let result = waiters.withLock { waiters -> Result<Int, any Error>? in
                    switch waiters.state {
                    case .known(let result): return result
                    case .waiting where Task.isCancelled: return .failure(CancellationError())
                    case .waiting(var waiting):
                        waiting[id] = continuation
                        waiters.state = .waiting(waiting)
                        return nil
                    }
                }
                if let result { continuation.resume(with: result) }
            }
        } onCancel: {
            let continuation = waiters.withLock { waiters -> CheckedContinuation<Int, any Error>? in
                guard case .waiting(var waiting) = waiters.state else { return nil }
                defer { waiters.state = .waiting(waiting) }
                return waiting.removeValue(forKey: id)
            }
            continuation?.resume(throwing: CancellationError())
        }
    }
}
