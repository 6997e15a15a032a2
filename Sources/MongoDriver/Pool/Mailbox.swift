import Foundation
import Synchronization

/// Hands jobs to one thread, which sleeps while there are none.
final class Mailbox: Sendable {
    private struct Content {
        var jobs: [Job] = []
        var isClosed = false
    }

    private let content = Mutex(Content())
    private let filled = DispatchSemaphore(value: 0)

    func put(_ job: Job) {
        content.withLock { $0.jobs.append(job) }
        filled.signal()
    }

    /// What is in the box is still taken out.
    func close() {
        content.withLock { $0.isClosed = true }
        filled.signal()
    }

    /// Blocks until there is a job; nil when the box is closed.
    func take() -> Job? {
        while true {
            let (job, isClosed) = content.withLock { content in
                (content.jobs.isEmpty ? nil : content.jobs.removeFirst(), content.isClosed)
            }
            if let job { return job }
            if isClosed { return nil }
            filled.wait()
        }
    }
}

/// Work for a thread of the pool. Exactly one of the two closures is called, once.
struct Job: Sendable {
    struct Outcome {
        /// A cursor was left open on the connection: keep it for the next call.
        var keepsLease: Bool
        /// Tells the waiting task; called when the pool knows that the job has ended.
        var report: @Sendable () -> Void
    }

    let run: @Sendable (Connection) -> Outcome
    let fail: @Sendable (MongoError) -> Void
}
