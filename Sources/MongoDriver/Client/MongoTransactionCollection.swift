/// A collection within a transaction: the operations of ``MongoCollection``, blocking. Read and write concern are the
/// transaction's.
public struct MongoTransactionCollection {
    let transaction: MongoTransaction
    let target: Target

    /// The documents that fit, all of them.
    public func find(
        _ filter: BSONDocument = [:], _ options: FindOptions = FindOptions()
    ) throws -> [BSONDocument] {
        try transaction.run(FindOperation(target: target, filter: filter, options: options))
    }

    /// As `find`, each decoded.
    public func find<T: Decodable>(
        _ filter: BSONDocument = [:], _ options: FindOptions = FindOptions(), as type: T.Type
    ) throws -> [T] {
        try find(filter, options).map { try BSONDecoder().decode(type, from: $0) }
    }

    /// The first document that fits, nil if none does.
    public func findOne(
        _ filter: BSONDocument = [:], _ options: FindOptions = FindOptions()
    ) throws -> BSONDocument? {
        try transaction.run(FindOneOperation(target: target, filter: filter, options: options))
    }

    /// As `findOne`, decoded.
    public func findOne<T: Decodable>(
        _ filter: BSONDocument = [:], _ options: FindOptions = FindOptions(), as type: T.Type
    ) throws -> T? {
        try findOne(filter, options).map { try BSONDecoder().decode(type, from: $0) }
    }

    public func aggregate(
        _ pipeline: [BSONDocument], _ options: AggregateOptions = AggregateOptions()
    ) throws -> [BSONDocument] {
        try transaction.run(AggregateOperation(target: target, pipeline: pipeline, options: options))
    }

    /// As `aggregate`, each document decoded.
    public func aggregate<T: Decodable>(
        _ pipeline: [BSONDocument], _ options: AggregateOptions = AggregateOptions(), as type: T.Type
    ) throws -> [T] {
        try aggregate(pipeline, options).map { try BSONDecoder().decode(type, from: $0) }
    }

    public func countDocuments(_ filter: BSONDocument = [:], _ options: CountOptions = CountOptions()) throws -> Int {
        try transaction.run(CountOperation(target: target, filter: filter, options: options))
    }

    public func distinct(_ field: String, _ filter: BSONDocument = [:]) throws -> [BSONValue] {
        try transaction.run(DistinctOperation(target: target, field: field, filter: filter))
    }

    /// Gives the `_id`, which is made (an ObjectID) if there is none.
    @discardableResult
    public func insertOne(_ document: BSONDocument) throws -> BSONValue {
        try insertMany([document])[0]
    }

    /// As `insertOne`, of a value that encodes as a document.
    @discardableResult
    public func insertOne(_ value: some Encodable) throws -> BSONValue {
        try insertOne(try BSONEncoder().encode(value))
    }

    /// Gives the ids in the order of the documents. A refused document ends the transaction.
    @discardableResult
    public func insertMany(_ documents: [BSONDocument]) throws -> [BSONValue] {
        try transaction.run(InsertOperation(target: target, documents: documents))
    }

    /// As `insertMany`, of values that encode as documents.
    @discardableResult
    public func insertMany(_ values: [some Encodable]) throws -> [BSONValue] {
        try insertMany(try values.map { try BSONEncoder().encode($0) })
    }

    @discardableResult
    public func updateOne(
        _ filter: BSONDocument, _ update: MongoUpdate, _ options: UpdateOptions = UpdateOptions(), upsert: Bool = false
    ) throws -> UpdateResult {
        try transaction.run(
            UpdateOperation(target: target, model: .updateOne(filter, update, upsert: upsert, options: options)))
    }

    @discardableResult
    public func updateMany(
        _ filter: BSONDocument, _ update: MongoUpdate, _ options: UpdateOptions = UpdateOptions(), upsert: Bool = false
    ) throws -> UpdateResult {
        try transaction.run(
            UpdateOperation(target: target, model: .updateMany(filter, update, upsert: upsert, options: options)))
    }

    /// The new document keeps the old one's `_id`.
    @discardableResult
    public func replaceOne(
        _ filter: BSONDocument, _ replacement: BSONDocument, upsert: Bool = false
    ) throws -> UpdateResult {
        try transaction.run(UpdateOperation(target: target, model: .replaceOne(filter, replacement, upsert: upsert)))
    }

    /// Gives the number of documents deleted: 0 or 1.
    @discardableResult
    public func deleteOne(_ filter: BSONDocument, hint: MongoHint? = nil) throws -> Int {
        try transaction.run(DeleteOperation(target: target, model: .deleteOne(filter, hint: hint)))
    }

    /// Gives the number of documents deleted.
    @discardableResult
    public func deleteMany(_ filter: BSONDocument, hint: MongoHint? = nil) throws -> Int {
        try transaction.run(DeleteOperation(target: target, model: .deleteMany(filter, hint: hint)))
    }

    /// Updates one document and gives it as it was, or with `returnNew` as it is now; nil if none fits.
    @discardableResult
    public func findOneAndUpdate(
        _ filter: BSONDocument, _ update: MongoUpdate, returnNew: Bool = false, upsert: Bool = false,
        sort: BSONDocument? = nil, projection: BSONDocument? = nil, _ options: UpdateOptions = UpdateOptions()
    ) throws -> BSONDocument? {
        try transaction.run(
            FindAndModifyOperation(
                target: target, filter: filter, update: update, returnNew: returnNew, upsert: upsert, sort: sort,
                projection: projection, options: options))
    }

    /// Deletes one document and gives it; nil if none fits.
    @discardableResult
    public func findOneAndDelete(
        _ filter: BSONDocument, sort: BSONDocument? = nil, projection: BSONDocument? = nil
    ) throws -> BSONDocument? {
        try transaction.run(
            FindAndModifyOperation(target: target, filter: filter, sort: sort, projection: projection))
    }

    /// Many writes in few exchanges; a refused one ends the transaction.
    @discardableResult
    public func bulkWrite(_ models: [WriteModel]) throws -> BulkWriteResult {
        try transaction.run(BulkWriteOperation(target: target, models: models))
    }
}
