import CMongo

/// A collection or view of a database. Cheap to make and to copy; nothing is checked or created by making one.
///
/// Reads are from the primary with read concern majority, writes are acknowledged when a majority has them in its
/// journal, unless the client's options or `with` say otherwise. All calls throw ``MongoError``; those that decode also
/// `DecodingError`.
public struct MongoCollection: Sendable {
    public let client: MongoClient
    var target: Target

    public var database: String { target.database }
    public var name: String { target.collection }

    /// The same collection, read and written in another way.
    public func with(
        readConcern: MongoReadConcern? = nil, writeConcern: MongoWriteConcern? = nil
    ) -> MongoCollection {
        var copy = self
        copy.target.readConcern = readConcern ?? target.readConcern
        copy.target.writeConcern = writeConcern ?? target.writeConcern
        return copy
    }

    /// Creates those that are not there yet; one of the same name that differs is an error.
    public func createIndexes(_ models: [IndexModel]) async throws {
        guard !models.isEmpty else { return }
        try await write(["createIndexes": .string(name), "indexes": .documents(models.map(\.document))])
    }

    /// Name, key and options of each index; `.namespaceNotFound` or empty if there is no such collection.
    public func listIndexes() async throws -> [BSONDocument] {
        try await client.run(ListIndexesOperation(target: target))
    }

    public func dropIndex(_ index: String) async throws {
        try await write(["dropIndexes": .string(name), "index": .string(index)])
    }

    /// Drops the collection or view; one that is not there is no error.
    public func drop() async throws {
        try await client.run(DropOperation(target: target))
    }

    /// How the server answers a find: which index it uses and, from `executionStats` on, how much it reads.
    public func explainFind(
        _ filter: BSONDocument, _ options: FindOptions = FindOptions(),
        verbosity: ExplainVerbosity = .executionStats
    ) async throws -> BSONDocument {
        try await explain(try FindOperation(target: target, filter: filter, options: options).command(), verbosity)
    }

    /// As `explainFind`.
    public func explainAggregate(
        _ pipeline: [BSONDocument], _ options: AggregateOptions = AggregateOptions(),
        verbosity: ExplainVerbosity = .executionStats
    ) async throws -> BSONDocument {
        let operation = AggregateOperation(target: target, pipeline: pipeline, options: options)
        return try await explain(try operation.command(), verbosity)
    }

    private func explain(_ command: BSONDocument, _ verbosity: ExplainVerbosity) async throws -> BSONDocument {
        try await client.run(
            CommandOperation(
                database: database,
                command: ["explain": .document(command), "verbosity": .string(verbosity.rawValue)]))
    }

    private func write(_ command: BSONDocument) async throws {
        _ = try await client.run(
            CommandOperation(
                database: database, command: command, kind: CMONGO_COMMAND_WRITE,
                options: ["writeConcern": .document(target.writeConcern.document)]))
    }
}
