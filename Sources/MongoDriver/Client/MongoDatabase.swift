import CMongo

/// A database of a client. Cheap to make and to copy; nothing is checked or created by making one.
public struct MongoDatabase: Sendable {
    public let client: MongoClient
    public let name: String

    public func collection(_ collection: String) -> MongoCollection {
        MongoCollection(
            client: client,
            target: Target(
                database: name, collection: collection, readConcern: client.options.readConcern,
                writeConcern: client.options.writeConcern))
    }

    /// Runs a command on the primary as it is: no concern is added, nothing is retried. Gives the server's reply.
    public func runCommand(_ command: BSONDocument) async throws -> BSONDocument {
        try await client.run(CommandOperation(database: name, command: command))
    }

    /// Throws `.alreadyExists` if there is a collection or view of this name.
    public func createCollection(_ collection: String, validator: BSONDocument? = nil) async throws {
        var command: BSONDocument = ["create": .string(collection)]
        if let validator { command.append("validator", .document(validator)) }
        try await write(command)
    }

    /// Throws `.alreadyExists` if there is a collection or view of this name.
    public func createView(_ view: String, on source: String, pipeline: [BSONDocument]) async throws {
        try await write(["create": .string(view), "viewOn": .string(source), "pipeline": .documents(pipeline)])
    }

    /// Changes a collection (`validator`, `validationLevel`, …) or a view (`viewOn` with `pipeline`).
    public func collMod(_ collection: String, _ changes: BSONDocument) async throws {
        var command: BSONDocument = ["collMod": .string(collection)]
        command.merge(changes)
        try await write(command)
    }

    /// Name, type and options of each collection and view.
    public func listCollections(filter: BSONDocument = [:]) async throws -> [BSONDocument] {
        try await client.run(ListCollectionsOperation(database: name, filter: filter))
    }

    /// Drops the database with all its collections.
    public func drop() async throws {
        try await write(["dropDatabase": 1])
    }

    /// Runs a pipeline whose source is not a collection, such as `$documents` or `$currentOp`.
    public func aggregate(
        _ pipeline: [BSONDocument], _ options: AggregateOptions = AggregateOptions()
    ) async throws -> MongoCursor<BSONDocument> {
        var target = collection("").target
        target.readConcern = .local
        return try await client.open(
            AggregateOperation(target: target, usesCollection: false, pipeline: pipeline, options: options)
        ) { $0 }
    }

    private func write(_ command: BSONDocument) async throws {
        _ = try await client.run(
            CommandOperation(
                database: name, command: command, kind: CMONGO_COMMAND_WRITE,
                options: ["writeConcern": .document(client.options.writeConcern.document)]))
    }
}
