/// How to change a document: by operators, or by a pipeline of stages that see its present fields.
///
/// A dictionary literal is the former, an array literal the latter.
public enum MongoUpdate: Sendable, Hashable {
    /// Operators such as `$set` only; for whole documents there is `replaceOne`.
    case document(BSONDocument)
    case pipeline([BSONDocument])
}

extension MongoUpdate: ExpressibleByDictionaryLiteral, ExpressibleByArrayLiteral {
    public init(dictionaryLiteral elements: (String, BSONValue)...) {
        self = .document(BSONDocument(elements))
    }

    public init(arrayLiteral elements: BSONDocument...) {
        self = .pipeline(elements)
    }
}

/// One write of a bulk; the first document of each is the filter.
public enum WriteModel: Sendable {
    /// An `_id` is made if there is none.
    case insertOne(BSONDocument)
    case updateOne(BSONDocument, MongoUpdate, upsert: Bool = false, options: UpdateOptions = UpdateOptions())
    case updateMany(BSONDocument, MongoUpdate, upsert: Bool = false, options: UpdateOptions = UpdateOptions())
    case replaceOne(BSONDocument, BSONDocument, upsert: Bool = false)
    case deleteOne(BSONDocument, hint: MongoHint? = nil)
    case deleteMany(BSONDocument, hint: MongoHint? = nil)
}

public struct UpdateResult: Sendable, Equatable {
    /// Documents that fit the filter; an upserted one does not count.
    public var matched: Int
    /// Those among them that were different before.
    public var modified: Int
    /// Of the document that was made, if one was.
    public var upsertedID: BSONValue?

    public init(matched: Int, modified: Int, upsertedID: BSONValue? = nil) {
        self.matched = matched
        self.modified = modified
        self.upsertedID = upsertedID
    }
}

public struct BulkWriteResult: Sendable, Equatable {
    public var inserted: Int
    public var matched: Int
    public var modified: Int
    public var deleted: Int
    public var upserted: Int
    /// By index of the model.
    public var upsertedIDs: [Int: BSONValue]

    public init(
        inserted: Int = 0, matched: Int = 0, modified: Int = 0, deleted: Int = 0, upserted: Int = 0,
        upsertedIDs: [Int: BSONValue] = [:]
    ) {
        self.inserted = inserted
        self.matched = matched
        self.modified = modified
        self.deleted = deleted
        self.upserted = upserted
        self.upsertedIDs = upsertedIDs
    }
}
