import BrimModel
import MongoDriver

/// Reads several collections as they were at one moment, page by page in the order of their ids.
///
/// Each page is a find of its own at that moment, so that nothing has to be held open. MongoDB remembers it for five
/// minutes, unless `minSnapshotHistoryWindowInSeconds` says otherwise.
struct SnapshotReads {
    let database: MongoDatabase
    /// The moment; chosen by MongoDB with the first read.
    private(set) var time: BSONTimestamp?

    init(_ database: MongoDatabase) { self.database = database }

    /// Documents whose ids come after `after`; none at the end.
    mutating func page(of collection: String, after: BSONValue?, limit: Int) async throws -> [BSONDocument] {
        let filter: BSONDocument = after.map { ["_id": ["$gt": $0]] } ?? [:]
        return try await run([
            "find": .string(collection), "filter": .document(filter), "sort": ["_id": 1], "hint": ["_id": 1],
            "limit": .int(limit), "batchSize": .int(limit), "singleBatch": true,
        ])
    }

    mutating func count(_ collection: String) async throws -> Int64 {
        let found = try await run([
            "aggregate": .string(collection), "pipeline": [["$group": ["_id": nil, "count": ["$sum": 1]]]],
            "cursor": [:],
        ])
        return try found.first?.int64("count") ?? 0
    }

    mutating func run(_ command: BSONDocument) async throws -> [BSONDocument] {
        var concern: BSONDocument = ["level": "snapshot"]
        if let time { concern.append("atClusterTime", .timestamp(time)) }
        var command = command
        command.append("readConcern", .document(concern))
        command.append("maxTimeMS", .int64(MongoMetadataStore.timeLimit.wholeMilliseconds))
        let cursor: BSONDocument
        do {
            cursor = try await database.runCommand(command)["cursor"]?.documentValue ?? [:]
        } catch let error as MongoError where error.kind == .snapshotLost {
            throw BrimError(
                .unavailable, "MongoDB does not remember any more what was there when this began: \(error)",
                advice: "Try again; or have it remember for longer, as with the parameter "
                    + "minSnapshotHistoryWindowInSeconds=3600, or write to a faster place", retryable: false)
        }
        let documents = (cursor["firstBatch"]?.arrayValue ?? []).compactMap(\.documentValue)
        guard let moment = time ?? cursor["atClusterTime"]?.timestampValue else {
            // Of a collection that is not there it tells no moment.
            if documents.isEmpty { return [] }
            throw BrimError(
                .unsupported, "MongoDB does not read as of one moment",
                advice: "It must be a replica set of version 5 or later")
        }
        time = moment
        return documents
    }
}
