extension MongoCollection {
    /// Gives the `_id`, which is made (an ObjectID) if there is none.
    @discardableResult
    public func insertOne(_ document: BSONDocument) async throws -> BSONValue {
        try await insertMany([document])[0]
    }

    /// As `insertOne`, of a value that encodes as a document.
    @discardableResult
    public func insertOne(_ value: some Encodable) async throws -> BSONValue {
        try await insertOne(try BSONEncoder().encode(value))
    }

    /// Gives the ids in the order of the documents. Ordered: stops at the first that is refused; else all are tried.
    @discardableResult
    public func insertMany(_ documents: [BSONDocument], ordered: Bool = true) async throws -> [BSONValue] {
        try await client.run(InsertOperation(target: target, documents: documents, ordered: ordered))
    }

    /// As `insertMany`, of values that encode as documents.
    @discardableResult
    public func insertMany(_ values: [some Encodable], ordered: Bool = true) async throws -> [BSONValue] {
        try await insertMany(try values.map { try BSONEncoder().encode($0) }, ordered: ordered)
    }

    @discardableResult
    public func updateOne(
        _ filter: BSONDocument, _ update: MongoUpdate, _ options: UpdateOptions = UpdateOptions(), upsert: Bool = false
    ) async throws -> UpdateResult {
        try await client.run(
            UpdateOperation(target: target, model: .updateOne(filter, update, upsert: upsert, options: options)))
    }

    /// Not atomic as a whole, and not retried after a network error.
    @discardableResult
    public func updateMany(
        _ filter: BSONDocument, _ update: MongoUpdate, _ options: UpdateOptions = UpdateOptions(), upsert: Bool = false
    ) async throws -> UpdateResult {
        try await client.run(
            UpdateOperation(target: target, model: .updateMany(filter, update, upsert: upsert, options: options)))
    }

    /// The new document keeps the old one's `_id`.
    @discardableResult
    public func replaceOne(
        _ filter: BSONDocument, _ replacement: BSONDocument, upsert: Bool = false
    ) async throws -> UpdateResult {
        try await client.run(
            UpdateOperation(target: target, model: .replaceOne(filter, replacement, upsert: upsert)))
    }

    /// Gives the number of documents deleted: 0 or 1.
    @discardableResult
    public func deleteOne(_ filter: BSONDocument, hint: MongoHint? = nil) async throws -> Int {
        try await client.run(DeleteOperation(target: target, model: .deleteOne(filter, hint: hint)))
    }

    /// Gives the number of documents deleted. Not retried after a network error.
    @discardableResult
    public func deleteMany(_ filter: BSONDocument, hint: MongoHint? = nil) async throws -> Int {
        try await client.run(DeleteOperation(target: target, model: .deleteMany(filter, hint: hint)))
    }

    /// Updates one document atomically and gives it as it was, or with `returnNew` as it is now; nil if none fits (or
    /// if one was made and the old one is wanted).
    @discardableResult
    public func findOneAndUpdate(
        _ filter: BSONDocument, _ update: MongoUpdate, returnNew: Bool = false, upsert: Bool = false,
        sort: BSONDocument? = nil, projection: BSONDocument? = nil, _ options: UpdateOptions = UpdateOptions()
    ) async throws -> BSONDocument? {
        try await client.run(
            FindAndModifyOperation(
                target: target, filter: filter, update: update, returnNew: returnNew, upsert: upsert, sort: sort,
                projection: projection, options: options))
    }

    /// As `findOneAndUpdate`, decoded.
    public func findOneAndUpdate<T: Decodable>(
        _ filter: BSONDocument, _ update: MongoUpdate, returnNew: Bool = false, upsert: Bool = false,
        sort: BSONDocument? = nil, projection: BSONDocument? = nil, _ options: UpdateOptions = UpdateOptions(),
        as type: T.Type
    ) async throws -> T? {
        try await findOneAndUpdate(
            filter, update, returnNew: returnNew, upsert: upsert, sort: sort, projection: projection, options
        ).map { try BSONDecoder().decode(type, from: $0) }
    }

    /// Deletes one document and gives it; nil if none fits.
    @discardableResult
    public func findOneAndDelete(
        _ filter: BSONDocument, sort: BSONDocument? = nil, projection: BSONDocument? = nil
    ) async throws -> BSONDocument? {
        try await client.run(
            FindAndModifyOperation(target: target, filter: filter, sort: sort, projection: projection))
    }

    /// As `findOneAndDelete`, decoded.
    public func findOneAndDelete<T: Decodable>(
        _ filter: BSONDocument, sort: BSONDocument? = nil, projection: BSONDocument? = nil, as type: T.Type
    ) async throws -> T? {
        try await findOneAndDelete(filter, sort: sort, projection: projection)
            .map { try BSONDecoder().decode(type, from: $0) }
    }

    /// Many writes in few exchanges, not atomic as a whole. When some are refused the error names them by index and
    /// has what was done as `partialResult`. Ordered: stops at the first that is refused; else all are tried.
    @discardableResult
    public func bulkWrite(_ models: [WriteModel], ordered: Bool = true) async throws -> BulkWriteResult {
        try await client.run(BulkWriteOperation(target: target, models: models, ordered: ordered))
    }
}
