import BrimModel
import ServiceLifecycle
import Synchronization

/// Wakes one loop: rings that come while it works are remembered as one.
final class Bell: Sendable {
    private struct State {
        var rung = false
        var waiter: CheckedContinuation<Void, Never>?
    }
    private let state = Mutex(State())
    private let clock: any BrimClock

    init(clock: any BrimClock = SystemClock()) { self.clock = clock }

    func ring() {
        let waiter = state.withLock { state in
            state.rung = true
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    /// Whether it rang since the loop began its present round.
    var hasRung: Bool { state.withLock { $0.rung } }

    /// Waits for a ring or until the time has passed; false when the service is to end. For one loop.
    func wait(atMost limit: Duration) async -> Bool {
        guard !Task.isShuttingDownGracefully, !Task.isCancelled else { return false }
        await cancelWhenGracefulShutdown {
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await self.ringing() }
                group.addTask { try? await self.clock.sleep(for: limit) }
                await group.next()
                group.cancelAll()
            }
        }
        state.withLock { $0.rung = false }
        return !Task.isShuttingDownGracefully && !Task.isCancelled
    }

    /// Returns at the next ring, when it has rung already, or when cancelled.
    private func ringing() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if state.rung || Task.isCancelled { return true }
                    state.waiter = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                defer { state.waiter = nil }
                return state.waiter
            }
            waiter?.resume()
        }
    }
}
