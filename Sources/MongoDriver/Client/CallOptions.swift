/// An index to use, by name or by keys.
public enum MongoHint: Sendable, Hashable, ExpressibleByStringLiteral, ExpressibleByDictionaryLiteral {
    case name(String)
    case keys(BSONDocument)

    public init(stringLiteral value: String) { self = .name(value) }
    public init(dictionaryLiteral elements: (String, BSONValue)...) { self = .keys(BSONDocument(elements)) }

    var value: BSONValue {
        switch self {
        case .name(let name): .string(name)
        case .keys(let keys): .document(keys)
        }
    }
}

public struct FindOptions: Sendable {
    public var sort: BSONDocument?
    /// Nil and 0: no limit.
    public var limit: Int?
    public var skip: Int?
    public var projection: BSONDocument?
    /// Documents fetched at a time, 1000 by default.
    public var batchSize: Int?
    public var hint: MongoHint?
    /// On the server.
    public var maxTime: Duration?
    /// Values for `$$name` in expressions.
    public var letVariables: BSONDocument?

    public init(
        sort: BSONDocument? = nil, limit: Int? = nil, skip: Int? = nil, projection: BSONDocument? = nil,
        batchSize: Int? = nil, hint: MongoHint? = nil, maxTime: Duration? = nil, letVariables: BSONDocument? = nil
    ) {
        self.sort = sort
        self.limit = limit
        self.skip = skip
        self.projection = projection
        self.batchSize = batchSize
        self.hint = hint
        self.maxTime = maxTime
        self.letVariables = letVariables
    }

    var effectiveBatchSize: Int { max(1, batchSize ?? BatchLimits().count) }

    /// As the command and libmongoc name them.
    func document() throws(MongoError) -> BSONDocument {
        guard (limit ?? 0) >= 0, (skip ?? 0) >= 0 else {
            throw MongoError(.invalidArgument, "limit and skip cannot be negative")
        }
        var document = BSONDocument()
        if let sort { document.append("sort", .document(sort)) }
        if let limit, limit > 0 { document.append("limit", .int(limit)) }
        if let skip { document.append("skip", .int(skip)) }
        if let projection { document.append("projection", .document(projection)) }
        // One more than the limit lets the server close the cursor with the first batch.
        let size = limit == effectiveBatchSize ? effectiveBatchSize + 1 : effectiveBatchSize
        document.append("batchSize", .int(size))
        if let hint { document.append("hint", hint.value) }
        if let maxTime { document.append("maxTimeMS", .int64(maxTime.milliseconds)) }
        if let letVariables { document.append("let", .document(letVariables)) }
        return document
    }
}

public struct AggregateOptions: Sendable {
    /// Documents fetched at a time, 1000 by default.
    public var batchSize: Int?
    public var hint: MongoHint?
    /// On the server.
    public var maxTime: Duration?
    /// Whether stages that outgrow memory may write to the server's disk.
    public var allowDiskUse: Bool?
    /// Values for `$$name` in expressions.
    public var letVariables: BSONDocument?

    public init(
        batchSize: Int? = nil, hint: MongoHint? = nil, maxTime: Duration? = nil, allowDiskUse: Bool? = nil,
        letVariables: BSONDocument? = nil
    ) {
        self.batchSize = batchSize
        self.hint = hint
        self.maxTime = maxTime
        self.allowDiskUse = allowDiskUse
        self.letVariables = letVariables
    }

    var effectiveBatchSize: Int { max(1, batchSize ?? BatchLimits().count) }

    func document() throws(MongoError) -> BSONDocument {
        var document: BSONDocument = ["batchSize": .int(effectiveBatchSize)]
        if let hint { document.append("hint", hint.value) }
        if let maxTime { document.append("maxTimeMS", .int64(maxTime.milliseconds)) }
        if let allowDiskUse { document.append("allowDiskUse", .bool(allowDiskUse)) }
        if let letVariables { document.append("let", .document(letVariables)) }
        return document
    }
}

public struct UpdateOptions: Sendable, Hashable {
    public var arrayFilters: [BSONDocument]?
    public var hint: MongoHint?
    /// Values for `$$name` in expressions; within one bulk they must be the same.
    public var letVariables: BSONDocument?

    public init(arrayFilters: [BSONDocument]? = nil, hint: MongoHint? = nil, letVariables: BSONDocument? = nil) {
        self.arrayFilters = arrayFilters
        self.hint = hint
        self.letVariables = letVariables
    }

    /// All but the variables, which have another place.
    var document: BSONDocument {
        var document = BSONDocument()
        if let arrayFilters { document.append("arrayFilters", .documents(arrayFilters)) }
        if let hint { document.append("hint", hint.value) }
        return document
    }
}

public struct CountOptions: Sendable {
    /// Stop counting there.
    public var limit: Int?
    public var skip: Int?
    public var hint: MongoHint?
    /// On the server.
    public var maxTime: Duration?

    public init(limit: Int? = nil, skip: Int? = nil, hint: MongoHint? = nil, maxTime: Duration? = nil) {
        self.limit = limit
        self.skip = skip
        self.hint = hint
        self.maxTime = maxTime
    }
}

/// How much `explain` tells; all but the plan means that the query is run.
public enum ExplainVerbosity: String, Sendable {
    case queryPlanner, executionStats, allPlansExecution
}

/// An index to create; an equal one that is there already is no error.
public struct IndexModel: Sendable {
    public var keys: BSONDocument
    /// Made of the keys if nil, as `parent_1_name_1`.
    public var name: String?
    public var unique: Bool
    public var sparse: Bool
    public var partialFilterExpression: BSONDocument?
    /// Removes documents this long after the date in the (one) key.
    public var expireAfter: Duration?

    public init(
        _ keys: BSONDocument, name: String? = nil, unique: Bool = false, sparse: Bool = false,
        partialFilterExpression: BSONDocument? = nil, expireAfter: Duration? = nil
    ) {
        self.keys = keys
        self.name = name
        self.unique = unique
        self.sparse = sparse
        self.partialFilterExpression = partialFilterExpression
        self.expireAfter = expireAfter
    }

    var document: BSONDocument {
        let implied = keys.map { "\($0.key)_\($0.value.stringValue ?? "\($0.value)")" }.joined(separator: "_")
        var document: BSONDocument = ["key": .document(keys), "name": .string(name ?? implied)]
        if unique { document.append("unique", true) }
        if sparse { document.append("sparse", true) }
        if let partialFilterExpression {
            document.append("partialFilterExpression", .document(partialFilterExpression))
        }
        if let expireAfter { document.append("expireAfterSeconds", .int64(expireAfter.components.seconds)) }
        return document
    }
}
