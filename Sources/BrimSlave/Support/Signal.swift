import BrimWire
import Logging
import ServiceLifecycle
import Synchronization

/// Wakes one loop that waits for work; signals given while it is busy are kept as one.
package final class Signal: Sendable {
    private enum State {
        /// Goes to any other.
        case idle
        /// Given before anybody waited; goes to `idle`.
        case raised
        /// Goes to `idle`.
        case waiting(CheckedContinuation<Void, Never>)
    }
    private let state = Mutex(State.idle)

    package init() {}

    package func raise() {
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            if case .waiting(let continuation) = state {
                state = .idle
                return continuation
            }
            state = .raised
            return nil
        }
        waiter?.resume()
    }

    /// Returns once raised, or when the task is cancelled.
    package func wait() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isRaised = state.withLock { state in
                    if case .idle = state, !Task.isCancelled {
                        state = .waiting(continuation)
                        return false
                    }
                    state = .idle
                    return true
                }
                if isRaised { continuation.resume() }
            }
        } onCancel: {
            raise()
        }
    }
}

extension Signal {
    /// Does `work` each time the signal is raised, until a graceful shutdown; when it throws, again after a pause that
    /// grows.
    func eachTime(
        _ failure: String, _ logger: Logger, _ worker: Worker, _ work: @Sendable @escaping () async throws -> Void
    ) async {
        await cancelWhenGracefulShutdown {
            var backoff = Backoff()
            while !Task.isCancelled {
                await self.wait()
                do {
                    try await work()
                    worker.rests()
                    backoff = Backoff()
                } catch {
                    logger.debug("\(failure)", metadata: ["error": "\(error)"])
                    let pause = backoff.next()
                    worker.failed(error, again: pause)
                    try? await Task.sleep(for: pause)
                    self.raise()
                }
            }
        }
    }
}
