import BrimModel
import MongoDriver

/// A mark on a database that is being filled as a whole: one that was broken off midway is not taken for a swarm's.
///
/// `settings: {_id: "unfinished", what, began}`, written before anything else and removed last.
enum UnfinishedWork: String, Sendable {
    case restore, recovery

    private static let id: BSONDocument = ["_id": "unfinished"]

    /// How people begin it again.
    private var command: String { self == .restore ? "brim restore" : "brim recover --apply" }

    func begin(in settings: MongoCollection, at time: Timestamp) async throws {
        _ = try await settings.replaceOne(
            Self.id, Self.id.merging(["what": .string(rawValue), "began": .date(time)]), upsert: true)
    }

    static func end(in settings: MongoCollection) async throws {
        _ = try await settings.deleteOne(id)
    }

    static func isMarked(in settings: MongoCollection) async throws -> Bool {
        try await settings.findOne(id) != nil
    }

    /// Throws `.conflict` for a database that was not filled to the end.
    static func requireNone(in settings: MongoCollection) async throws {
        guard let found = try await settings.findOne(id) else { return }
        let what = found["what"]?.stringValue.flatMap(UnfinishedWork.init) ?? .restore
        throw BrimError(
            .conflict, "the database '\(settings.database)' holds a \(what.rawValue) that was broken off",
            advice: "Run '\(what.command)' on it once more: it begins anew", retryable: false)
    }
}
