import BrimModel
import Synchronization

/// Lets one task at a time through, in order of arrival.
final class AsyncGate: Sendable {
    private struct State {
        var isBusy = false
        var waiting: [Latch<Void>] = []
    }
    private let state = Mutex(State())

    /// Throws `CancellationError` when the task is cancelled while it waits; then it is not in.
    func enter() async throws {
        let turn = Latch<Void>()
        let isFree = state.withLock { state in
            guard state.isBusy else {
                state.isBusy = true
                return true
            }
            state.waiting.append(turn)
            return false
        }
        if isFree { return }
        do {
            try await turn.get()
        } catch {
            giveUp(turn)
            throw error
        }
    }

    func leave() {
        let next = state.withLock { state -> Latch<Void>? in
            guard !state.waiting.isEmpty else {
                state.isBusy = false
                return nil
            }
            return state.waiting.removeFirst()
        }
        next?.set(.success(()))
    }

    /// Runs `body` alone. Not to be nested. Throws what it throws, and `CancellationError` before its turn.
    func exclusively<Value: Sendable>(_ body: @Sendable () async throws -> Value) async throws -> Value {
        try await enter()
        defer { leave() }
        return try await body()
    }

    /// Takes a task out of the line; if its turn came at that very moment it passes it on.
    private func giveUp(_ turn: Latch<Void>) {
        let wasWaiting = state.withLock { state in
            guard let index = state.waiting.firstIndex(where: { $0 === turn }) else { return false }
            state.waiting.remove(at: index)
            return true
        }
        if !wasWaiting { leave() }
    }
}
