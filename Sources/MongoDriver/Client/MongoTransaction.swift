import Foundation

/// A transaction under way, for the body of ``MongoClient/withTransaction(_:_:)``; of no use after that has returned.
///
/// Not `Sendable`: it stays on the thread that runs the body.
public final class MongoTransaction {
    private var connection: Connection?

    fileprivate init(_ connection: Connection) {
        self.connection = connection
    }

    /// The collection as the transaction sees and changes it.
    public func on(_ collection: MongoCollection) -> MongoTransactionCollection {
        MongoTransactionCollection(transaction: self, target: collection.target)
    }

    func run<O: Operation>(_ operation: O) throws -> O.Output {
        guard let connection else {
            throw MongoError(.invalidArgument, "a transaction is used after its end")
        }
        return try operation.execute(on: connection)
    }

    fileprivate func end() {
        connection = nil
    }
}

extension MongoClient {
    /// Runs `body` as one transaction on a thread of the pool, and commits it; gives what `body` gave.
    ///
    /// Conflicts and lost connections make it run again from the start, and an unclear commit is repeated, until the
    /// time limit; so it must have no effect but through the transaction. An error thrown by `body` aborts and comes
    /// out here. Errors of operations must be let through: the server has aborted by then. If the outcome of a commit
    /// stays unknown the error says so (`isOutcomeUnknown`).
    public func withTransaction<T: Sendable>(
        _ options: MongoTransactionOptions = MongoTransactionOptions(),
        _ body: @escaping @Sendable (MongoTransaction) throws -> T
    ) async throws -> T {
        try await pool.run { connection in
            defer { connection.endSession() }
            return try TransactionRunner(options: options).run(on: connection, body)
        }.0
    }
}

/// Attempts and commits, within the limit.
private struct TransactionRunner {
    let options: MongoTransactionOptions
    let deadline: ContinuousClock.Instant

    init(options: MongoTransactionOptions) {
        self.options = options
        deadline = .now + options.timeLimit
    }

    func run<T>(on connection: Connection, _ body: (MongoTransaction) throws -> T) throws -> T {
        var attempt = 0
        while true {
            attempt += 1
            do {
                return try runOnce(on: connection, body)
            } catch let error as MongoError
                where error.labels.contains(MongoError.Label.transientTransaction) && ContinuousClock.now < deadline
            {
                pause(attempt)
            }
        }
    }

    private func runOnce<T>(on connection: Connection, _ body: (MongoTransaction) throws -> T) throws -> T {
        try connection.beginTransaction(options)
        let transaction = MongoTransaction(connection)
        let value: T
        do {
            defer { transaction.end() }
            value = try body(transaction)
        } catch {
            connection.closeCursor()
            connection.abortTransaction()
            throw error
        }
        try commit(on: connection)
        return value
    }

    private func commit(on connection: Connection) throws {
        var attempt = 0
        while true {
            attempt += 1
            do {
                return try connection.commitTransaction()
            } catch {
                let isUnclear = error.labels.contains(MongoError.Label.unknownCommitResult) && error.kind != .timeout
                guard isUnclear, ContinuousClock.now < deadline else { throw error }
                pause(attempt)
            }
        }
    }

    /// Random, growing to 100 ms, so that those in conflict fall out of step.
    private func pause(_ attempt: Int) {
        let longest = min(0.1, 0.002 * pow(1.5, Double(attempt)))
        Thread.sleep(forTimeInterval: .random(in: 0...longest))
    }
}
