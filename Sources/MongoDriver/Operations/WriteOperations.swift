import CMongo

struct BulkWriteOperation: Operation {
    var target: Target
    var models: [WriteModel]
    var ordered = true

    func execute(on connection: Connection) throws -> BulkWriteResult {
        guard !models.isEmpty else { return BulkWriteResult() }
        var options: BSONDocument = ["ordered": .bool(ordered)]
        if let variables = try letVariables() { options["let"] = .document(variables) }
        return try connection.bulkWrite(
            try models.map { try $0.write() }, to: target, options: target.writeOptions(options, on: connection))
    }

    /// One set of variables goes with the whole bulk.
    private func letVariables() throws -> BSONDocument? {
        let variables = Set(models.map(\.letVariables))
        guard variables.count <= 1 else {
            throw MongoError(.invalidArgument, "the models of one bulk must have the same letVariables")
        }
        return variables.first ?? nil
    }
}

struct InsertOperation: Operation {
    var target: Target
    var documents: [BSONDocument]
    var ordered = true

    /// The ids, in the order of the documents.
    func execute(on connection: Connection) throws -> [BSONValue] {
        var ids: [BSONValue] = []
        let models = documents.map { document in
            let (complete, id) = document.withID()
            ids.append(id)
            return WriteModel.insertOne(complete)
        }
        _ = try BulkWriteOperation(target: target, models: models, ordered: ordered).execute(on: connection)
        return ids
    }
}

/// One update or replacement.
struct UpdateOperation: Operation {
    var target: Target
    var model: WriteModel

    func execute(on connection: Connection) throws -> UpdateResult {
        let result = try BulkWriteOperation(target: target, models: [model]).execute(on: connection)
        return UpdateResult(matched: result.matched, modified: result.modified, upsertedID: result.upsertedIDs[0])
    }
}

struct DeleteOperation: Operation {
    var target: Target
    var model: WriteModel

    func execute(on connection: Connection) throws -> Int {
        try BulkWriteOperation(target: target, models: [model]).execute(on: connection).deleted
    }
}

/// Changes one document, or removes it when there is no update, and gives it as it was before or after.
struct FindAndModifyOperation: Operation {
    var target: Target
    var filter: BSONDocument
    var update: MongoUpdate?
    var returnNew = false
    var upsert = false
    var sort: BSONDocument?
    var projection: BSONDocument?
    var options = UpdateOptions()

    func execute(on connection: Connection) throws -> BSONDocument? {
        try update?.check()
        var fields = options.document
        if let variables = options.letVariables { fields["let"] = .document(variables) }
        let reply = try connection.findAndModify(self, options: target.writeOptions(fields, on: connection))
        return reply["value"]?.documentValue
    }
}

extension BSONDocument {
    /// The document with an `_id`, made if there is none, and that `_id`.
    func withID() -> (BSONDocument, BSONValue) {
        if let id = self["_id"] { return (self, id) }
        let id = BSONValue.objectID(ObjectID())
        return (BSONDocument(elements: [(key: "_id", value: id)] + elements), id)
    }
}

extension WriteModel {
    var letVariables: BSONDocument? {
        switch self {
        case .updateOne(_, _, _, let options), .updateMany(_, _, _, let options): options.letVariables
        case .insertOne, .replaceOne, .deleteOne, .deleteMany: nil
        }
    }

    /// Checked, and as libmongoc takes it. Its own checks are off: they would refuse names that MongoDB allows.
    func write() throws(MongoError) -> Connection.Write {
        switch self {
        case .insertOne(let document):
            return Connection.Write(kind: CMONGO_INSERT, target: document.withID().0, options: ["validate": false])
        case .updateOne(let filter, let update, let upsert, let options):
            return try Self.update(CMONGO_UPDATE_ONE, filter, update, upsert, options)
        case .updateMany(let filter, let update, let upsert, let options):
            return try Self.update(CMONGO_UPDATE_MANY, filter, update, upsert, options)
        case .replaceOne(let filter, let replacement, let upsert):
            if let key = replacement.keys.first, key.hasPrefix("$") {
                throw MongoError(.invalidArgument, "a replacement cannot begin with the operator \(key)")
            }
            return Connection.Write(
                kind: CMONGO_REPLACE_ONE, target: filter, change: .document(replacement),
                options: ["validate": false, "upsert": .bool(upsert)])
        case .deleteOne(let filter, let hint):
            return Connection.Write(kind: CMONGO_DELETE_ONE, target: filter, options: Self.hint(hint))
        case .deleteMany(let filter, let hint):
            return Connection.Write(kind: CMONGO_DELETE_MANY, target: filter, options: Self.hint(hint))
        }
    }

    private static func update(
        _ kind: cmongo_write_kind, _ filter: BSONDocument, _ update: MongoUpdate, _ upsert: Bool,
        _ options: UpdateOptions
    ) throws(MongoError) -> Connection.Write {
        try update.check()
        var fields = options.document
        fields["validate"] = false
        fields["upsert"] = .bool(upsert)
        return Connection.Write(kind: kind, target: filter, change: update, options: fields)
    }

    private static func hint(_ hint: MongoHint?) -> BSONDocument {
        hint.map { ["hint": $0.value] } ?? [:]
    }
}

extension MongoUpdate {
    /// What the server would take for a replacement, or for nothing at all, is refused.
    func check() throws(MongoError) {
        switch self {
        case .document(let document):
            guard !document.isEmpty else { throw MongoError(.invalidArgument, "an empty update") }
            if let key = document.keys.first(where: { !$0.hasPrefix("$") }) {
                throw MongoError(
                    .invalidArgument, "an update consists of operators such as $set, not of fields: \(key)")
            }
        case .pipeline(let stages):
            guard !stages.isEmpty else { throw MongoError(.invalidArgument, "an empty update pipeline") }
        }
    }
}

extension BulkWriteResult {
    /// From the reply of a bulk write.
    init(_ reply: BSONDocument) {
        func count(_ key: String) -> Int { reply[key]?.intValue ?? 0 }
        self.init(
            inserted: count("nInserted"), matched: count("nMatched"), modified: count("nModified"),
            deleted: count("nRemoved"), upserted: count("nUpserted"))
        for entry in (reply["upserted"]?.arrayValue ?? []).compactMap(\.documentValue) {
            if let index = entry["index"]?.intValue { upsertedIDs[index] = entry["_id"] }
        }
    }
}
