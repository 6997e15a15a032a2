import Synchronization

/// A value that comes later, once.
final class Promise<Value: Sendable>: Sendable {
    private struct State {
        var result: Result<Value, any Error>?
        /// By ticket, of which each waiting task draws one.
        var waiting: [Int: CheckedContinuation<Value, any Error>] = [:]
        var tickets = 0
    }
    private let state = Mutex(State())

    /// Waits for it. Throws `CancellationError` when the waiting task is cancelled.
    var value: Value {
        get async throws {
            let ticket = state.withLock { state in
                state.tickets += 1
                return state.tickets
            }
            return try await withTaskCancellationHandler {
                try await withCheckedThrowingContinuation { continuation in
                    let result = state.withLock { state -> Result<Value, any Error>? in
                        if let result = state.result { return result }
                        // Cancelled already: nobody will look for this ticket any more.
                        if Task.isCancelled { return .failure(CancellationError()) }
                        state.waiting[ticket] = continuation
                        return nil
                    }
                    if let result { continuation.resume(with: result) }
                }
            } onCancel: {
                let continuation = state.withLock { $0.waiting.removeValue(forKey: ticket) }
                continuation?.resume(throwing: CancellationError())
            }
        }
    }

    func fulfil(_ value: Value) { settle(.success(value)) }
    func fail(_ error: any Error) { settle(.failure(error)) }

    /// Only the first result counts.
    private func settle(_ result: Result<Value, any Error>) {
        let waiting = state.withLock { state -> [CheckedContinuation<Value, any Error>] in
            guard state.result == nil else { return [] }
            state.result = result
            defer { state.waiting = [:] }
            return Array(state.waiting.values)
        }
        for continuation in waiting { continuation.resume(with: result) }
    }
}

/// The name under which the leader is shown.
final class LeaderName: Sendable {
    private let name = Mutex<String?>(nil)
    var value: String? {
        get { name.withLock { $0 } }
        set { name.withLock { $0 = newValue } }
    }
}
