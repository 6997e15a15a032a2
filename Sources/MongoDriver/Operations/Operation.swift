/// One operation on the database: made once, run by the async calls on a thread of the pool and by a transaction on
/// its own.
protocol Operation: Sendable {
    associatedtype Output: Sendable

    /// Blocks.
    func execute(on connection: Connection) throws -> Output
}

/// A collection, and how to read and write it.
struct Target: Sendable {
    var database: String
    var collection: String
    var readConcern: MongoReadConcern
    var writeConcern: MongoWriteConcern

    /// Options with the read concern; inside a transaction that is the transaction's.
    func readOptions(_ options: BSONDocument = [:], on connection: Connection) -> BSONDocument {
        guard !connection.isInTransaction else { return options }
        var result = options
        result["readConcern"] = .document(["level": .string(readConcern.rawValue)])
        return result
    }

    /// As `readOptions`, for the write concern.
    func writeOptions(_ options: BSONDocument = [:], on connection: Connection) -> BSONDocument {
        guard !connection.isInTransaction else { return options }
        var result = options
        result["writeConcern"] = .document(writeConcern.document)
        return result
    }
}

extension Duration {
    /// At least 1 for anything above zero, so that a short limit does not become none.
    var milliseconds: Int64 {
        guard self > .zero else { return 0 }
        let (seconds, attoseconds) = components
        return max(1, seconds.multipliedReportingOverflow(by: 1000).partialValue + attoseconds / 1_000_000_000_000_000)
    }
}
