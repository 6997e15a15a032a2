import Synchronization

/// Resumes a waiting task once: with how its job ended or, when the task was cancelled first, with that.
final class Answer<Value: Sendable>: Sendable {
    private let waiting = Mutex<CheckedContinuation<Value, any Error>?>(nil)

    func expect(_ continuation: CheckedContinuation<Value, any Error>) { waiting.withLock { $0 = continuation } }

    /// False when nobody waits: not yet, or not any more.
    @discardableResult
    func give(_ result: Result<Value, any Error>) -> Bool {
        guard let continuation = waiting.withLock({ $0.take() }) else { return false }
        continuation.resume(with: result)
        return true
    }

    /// The task was cancelled while a thread works for it: the thread goes on, and nobody hears of its result.
    func abandon() {
        give(
            .failure(
                MongoError(
                    .cancelled, "the task was cancelled while MongoDB was asked",
                    labels: [MongoError.Label.unknownCommitResult])))
    }
}
