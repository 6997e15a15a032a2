import CMongo

/// A command as it is given.
struct CommandOperation: Operation {
    var database: String
    var command: BSONDocument
    var kind = CMONGO_COMMAND_PLAIN
    var options: BSONDocument = [:]

    func execute(on connection: Connection) throws -> BSONDocument {
        guard !command.isEmpty else { throw MongoError(.invalidArgument, "an empty command") }
        return try connection.command(command, on: database, kind: kind, options: options)
    }
}

/// Counts what really matches, by an aggregation.
struct CountOperation: Operation {
    var target: Target
    var filter: BSONDocument
    var options: CountOptions

    func execute(on connection: Connection) throws -> Int {
        var pipeline: [BSONDocument] = [["$match": .document(filter)]]
        if let skip = options.skip { pipeline.append(["$skip": .int(skip)]) }
        if let limit = options.limit { pipeline.append(["$limit": .int(limit)]) }
        pipeline.append(["$group": ["_id": nil, "count": ["$sum": 1]]])
        let aggregate = AggregateOperation(
            target: target, pipeline: pipeline, options: AggregateOptions(hint: options.hint, maxTime: options.maxTime))
        guard let result = try aggregate.execute(on: connection).first else { return 0 }
        guard let count = result["count"]?.intValue else {
            throw MongoError(.command, "the server's answer has no count", reply: result)
        }
        return count
    }
}

struct DistinctOperation: Operation {
    var target: Target
    var field: String
    var filter: BSONDocument

    func execute(on connection: Connection) throws -> [BSONValue] {
        let command: BSONDocument = [
            "distinct": .string(target.collection), "key": .string(field), "query": .document(filter),
        ]
        let reply = try connection.command(
            command, on: target.database, kind: CMONGO_COMMAND_READ, options: target.readOptions(on: connection))
        guard let values = reply["values"]?.arrayValue else {
            throw MongoError(.command, "the server's answer has no values", reply: reply)
        }
        return values
    }
}

/// Drops a collection or view; one that is not there is no error.
struct DropOperation: Operation {
    var target: Target

    func execute(on connection: Connection) throws {
        do {
            _ = try connection.command(
                ["drop": .string(target.collection)], on: target.database, kind: CMONGO_COMMAND_WRITE,
                options: target.writeOptions(on: connection))
        } catch {
            guard error.kind == .namespaceNotFound else { throw error }
        }
    }
}
