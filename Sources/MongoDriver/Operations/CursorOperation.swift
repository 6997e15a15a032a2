import CMongo

/// Where the documents of a cursor come from; the options are libmongoc's.
enum CursorSource: Sendable {
    case find(database: String, collection: String, filter: PackedDocuments)
    /// Without a collection on the database itself.
    case aggregate(database: String, collection: String?, pipeline: PackedDocuments)
    case listCollections(database: String, options: PackedDocuments)
    case listIndexes(database: String, collection: String, options: PackedDocuments)

    /// Nil with the reason in `reply`.
    func open(client: OpaquePointer, session: OpaquePointer?, reply: inout cmongo_reply) -> OpaquePointer? {
        switch self {
        case .find(let database, let collection, let packed):
            packed.withDocuments { cmongo_find(client, session, database, collection, $0[0], $0[1], &reply) }
        case .aggregate(let database, let collection, let packed):
            packed.withDocuments { cmongo_aggregate(client, session, database, collection, $0[0], $0[1], &reply) }
        case .listCollections(let database, let packed):
            packed.withDocuments { cmongo_list_collections(client, database, $0[0], &reply) }
        case .listIndexes(let database, let collection, let packed):
            packed.withDocuments { cmongo_list_indexes(client, database, collection, $0[0], &reply) }
        }
    }
}

/// What opens a cursor. Run by itself it reads everything.
protocol CursorOperation: Operation where Output == [BSONDocument] {
    var limits: BatchLimits { get }

    func source(on connection: Connection) throws -> CursorSource
}

extension CursorOperation {
    /// The first batch; the cursor stays open on the connection unless this was all.
    func open(on connection: Connection) throws -> [BSONDocument] {
        try connection.open(try source(on: connection), limits)
    }

    func execute(on connection: Connection) throws -> [BSONDocument] {
        var documents = try open(on: connection)
        while connection.hasOpenCursor {
            documents += try connection.nextBatch(limits)
        }
        return documents
    }
}

struct FindOperation: CursorOperation {
    var target: Target
    var filter: BSONDocument
    var options: FindOptions

    var limits: BatchLimits { BatchLimits(count: options.effectiveBatchSize) }

    func source(on connection: Connection) throws -> CursorSource {
        var packed = PackedDocuments()
        try packed.add(filter)
        try packed.add(target.readOptions(try options.document(), on: connection))
        return .find(database: target.database, collection: target.collection, filter: packed)
    }

    /// The command, for explain.
    func command() throws -> BSONDocument {
        var command: BSONDocument = ["find": .string(target.collection), "filter": .document(filter)]
        command.merge(try options.document())
        return command
    }
}

/// One document at most, in one exchange.
struct FindOneOperation: Operation {
    var find: FindOperation

    init(target: Target, filter: BSONDocument, options: FindOptions) {
        var options = options
        options.limit = 1
        options.batchSize = 2
        find = FindOperation(target: target, filter: filter, options: options)
    }

    func execute(on connection: Connection) throws -> BSONDocument? {
        try find.execute(on: connection).first
    }
}

struct AggregateOperation: CursorOperation {
    var target: Target
    /// Without it the database itself is the source.
    var usesCollection = true
    var pipeline: [BSONDocument]
    var options: AggregateOptions

    var limits: BatchLimits { BatchLimits(count: options.effectiveBatchSize) }

    func source(on connection: Connection) throws -> CursorSource {
        var packed = PackedDocuments()
        try packed.add(pipeline)
        try packed.add(target.readOptions(try options.document(), on: connection))
        return .aggregate(
            database: target.database, collection: usesCollection ? target.collection : nil, pipeline: packed)
    }

    /// The command, for explain.
    func command() throws -> BSONDocument {
        var command: BSONDocument = [
            "aggregate": .string(target.collection), "pipeline": .documents(pipeline), "cursor": [:],
        ]
        var fields = try options.document()
        fields["batchSize"] = nil
        command.merge(fields)
        return command
    }
}

struct ListCollectionsOperation: CursorOperation {
    var database: String
    var filter: BSONDocument
    let limits = BatchLimits()

    func source(on connection: Connection) throws -> CursorSource {
        var packed = PackedDocuments()
        try packed.add(["filter": .document(filter)])
        return .listCollections(database: database, options: packed)
    }
}

struct ListIndexesOperation: CursorOperation {
    var target: Target
    let limits = BatchLimits()

    func source(on connection: Connection) throws -> CursorSource {
        var packed = PackedDocuments()
        try packed.add(BSONDocument())
        return .listIndexes(database: target.database, collection: target.collection, options: packed)
    }
}
