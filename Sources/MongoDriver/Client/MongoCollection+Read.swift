import CMongo

extension MongoCollection {
    /// The documents that fit `filter`; all without one.
    public func find(
        _ filter: BSONDocument = [:], _ options: FindOptions = FindOptions()
    ) async throws -> MongoCursor<BSONDocument> {
        try await client.open(FindOperation(target: target, filter: filter, options: options)) { $0 }
    }

    /// As `find`, each decoded.
    public func find<T: Decodable & Sendable>(
        _ filter: BSONDocument = [:], _ options: FindOptions = FindOptions(), as type: T.Type
    ) async throws -> MongoCursor<T> {
        try await client.open(FindOperation(target: target, filter: filter, options: options)) {
            try BSONDecoder().decode(type, from: $0)
        }
    }

    /// The first document that fits, nil if none does.
    public func findOne(
        _ filter: BSONDocument = [:], _ options: FindOptions = FindOptions()
    ) async throws -> BSONDocument? {
        try await client.run(FindOneOperation(target: target, filter: filter, options: options))
    }

    /// As `findOne`, decoded.
    public func findOne<T: Decodable>(
        _ filter: BSONDocument = [:], _ options: FindOptions = FindOptions(), as type: T.Type
    ) async throws -> T? {
        try await findOne(filter, options).map { try BSONDecoder().decode(type, from: $0) }
    }

    public func aggregate(
        _ pipeline: [BSONDocument], _ options: AggregateOptions = AggregateOptions()
    ) async throws -> MongoCursor<BSONDocument> {
        try await client.open(AggregateOperation(target: target, pipeline: pipeline, options: options)) { $0 }
    }

    /// As `aggregate`, each document decoded.
    public func aggregate<T: Decodable & Sendable>(
        _ pipeline: [BSONDocument], _ options: AggregateOptions = AggregateOptions(), as type: T.Type
    ) async throws -> MongoCursor<T> {
        try await client.open(AggregateOperation(target: target, pipeline: pipeline, options: options)) {
            try BSONDecoder().decode(type, from: $0)
        }
    }

    /// How many documents fit, counted exactly.
    public func countDocuments(
        _ filter: BSONDocument = [:], _ options: CountOptions = CountOptions()
    ) async throws -> Int {
        try await client.run(CountOperation(target: target, filter: filter, options: options))
    }

    /// How many documents there are by the server's books: quick, and wrong after a crash or on shards.
    public func estimatedDocumentCount() async throws -> Int {
        let reply = try await client.run(
            CommandOperation(
                database: database, command: ["count": .string(name)], kind: CMONGO_COMMAND_READ))
        guard let count = reply["n"]?.intValue else {
            throw MongoError(.command, "the server's answer has no count", reply: reply)
        }
        return count
    }

    /// The different values of a field (elements, where it is an array); all of them must fit into one document.
    public func distinct(_ field: String, _ filter: BSONDocument = [:]) async throws -> [BSONValue] {
        try await client.run(DistinctOperation(target: target, field: field, filter: filter))
    }
}
