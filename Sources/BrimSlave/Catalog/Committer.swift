import BrimModel
import Dispatch
import GRDB
import Synchronization

/// Gathers changes that arrive while a transaction is being made durable into the next one, so that many concurrent
/// writers share one sync of the disk. Each caller goes on once its change is durable.
final class Committer: Sendable {
    /// Applies its change; the result, given once the transaction's fate is known, resumes the caller.
    private typealias Change = @Sendable (Database) throws -> @Sendable ((any Error)?) -> Void
    private struct Waiting {
        var change: Change
        var fail: @Sendable (any Error) -> Void
    }
    private struct State {
        var queue: [Waiting] = []
        var isRunning = false
        var transactions = 0
    }

    /// Changes that may wait; more are refused.
    static let limit = 16_384
    /// Changes in one transaction.
    static let batch = 1024

    private let state = Mutex(State())
    private let pool: DatabasePool
    private let health: DiskHealth
    private let thread = DispatchQueue(label: "brim.committer")

    init(pool: DatabasePool, health: DiskHealth) {
        self.pool = pool
        self.health = health
    }

    /// Transactions made so far.
    var transactions: Int { state.withLock { $0.transactions } }

    /// Makes a change within a transaction shared with others; a change that throws is undone alone. Throws
    /// `.unavailable` when too many wait, `.io` or `.full` when the transaction cannot be made durable.
    func commit<Value: Sendable>(_ change: @escaping @Sendable (Database) throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            let waiting = Waiting(
                change: { database in
                    let value = try change(database)
                    return { failure in
                        if let failure {
                            continuation.resume(throwing: failure)
                        } else {
                            continuation.resume(returning: value)
                        }
                    }
                },
                fail: { continuation.resume(throwing: $0) })
            enqueue(waiting)
        }
    }

    private func enqueue(_ waiting: Waiting) {
        let (isAccepted, starts) = state.withLock { state in
            guard state.queue.count < Self.limit else { return (false, false) }
            state.queue.append(waiting)
            defer { state.isRunning = true }
            return (true, !state.isRunning)
        }
        guard isAccepted else {
            waiting.fail(BrimError(.unavailable, "the catalog has too many changes waiting"))
            return
        }
        if starts { thread.async { self.drain() } }
    }

    private func drain() {
        while true {
            let batch = state.withLock { state -> [Waiting] in
                let batch = Array(state.queue.prefix(Self.batch))
                state.queue.removeFirst(batch.count)
                if batch.isEmpty { state.isRunning = false } else { state.transactions += 1 }
                return batch
            }
            if batch.isEmpty { return }
            run(batch)
        }
    }

    private func run(_ batch: [Waiting]) {
        var outcomes: [@Sendable ((any Error)?) -> Void] = []
        do {
            try pool.writeWithoutTransaction { database in
                try database.inTransaction(.immediate) {
                    for waiting in batch {
                        do {
                            var outcome: (@Sendable ((any Error)?) -> Void)?
                            try database.inSavepoint {
                                outcome = try waiting.change(database)
                                return .commit
                            }
                            if let outcome { outcomes.append(outcome) }
                        } catch let error where database.isInsideTransaction {
                            // Else SQLite undid the whole transaction: nobody's change has been made.
                            let failure = self.describe(error)
                            outcomes.append { waiting.fail($0 ?? failure) }
                        }
                    }
                    return .commit
                }
            }
            for outcome in outcomes { outcome(nil) }
        } catch {
            let failure = describe(error)
            for outcome in outcomes { outcome(failure) }
            for waiting in batch.dropFirst(outcomes.count) { waiting.fail(failure) }
        }
    }

    private func describe(_ error: any Error) -> any Error {
        guard let error = error as? DatabaseError else { return error }
        switch error.resultCode {
        case .SQLITE_FULL: return BrimError(.full, "no room for the catalog", advice: "Free space on the disk")
        case .SQLITE_IOERR, .SQLITE_CORRUPT, .SQLITE_NOTADB, .SQLITE_READONLY, .SQLITE_CANTOPEN:
            health.markFailing("the catalog: \(error.message ?? "\(error.resultCode)")")
            return BrimError(.io, "the catalog cannot be written: \(error.message ?? "\(error.resultCode)")")
        default: return BrimError(.internal, "the catalog refuses a change: \(error)")
        }
    }
}
