import BrimModel
import Logging
import MongoDriver
import Synchronization

/// The namespace's changes from a MongoDB change stream on `files`, with clients of their own: a stream holds one for as long
/// as it lasts.
///
/// A position is the token of the stream, whose text MongoDB documents to be in order, after the first part of the
/// collection's UUID: a database that was restored from a dump, or dropped, gives other ones. One whose files were set back to
/// an earlier state gives the same; but it lacks the last change that a position names.
extension MongoMetadataStore {
    public func changePosition() async throws -> ChangePosition {
        try await translatingChanges("looking where the changes are") {
            let epoch = try await feedEpoch()
            let found = Box<BSONDocument?>(nil)
            try await streamed.watch(
                [["$match": ["operationType": "none"]]], WatchOptions(maxAwait: .milliseconds(1))
            ) { step in
                guard case .quiet(let token?) = step else { return true }
                found.value.withLock { $0 = token }
                return false
            }
            guard let token = found.value.withLock({ $0 })?["_data"]?.stringValue else {
                throw BrimError(
                    .unavailable, "MongoDB does not tell where its changes are", advice: "Use version 5 or later")
            }
            return Place(epoch: epoch, token: token, last: nil).position
        }
    }

    /// Events fetched at a time: MongoDB reads each of their documents before it answers.
    private static let changeBatch = 250

    public func follow(
        after position: ChangePosition, quiet: Duration, _ take: @escaping @Sendable (ChangeStep) -> Bool
    ) async throws {
        try await translatingChanges("following the changes", isResuming: true) {
            let epoch = try await feedEpoch()
            guard let start = Place(position, epoch: epoch) else { throw PositionLost() }
            try await requireLastChange(of: start)
            let last = Box(start.last)
            let lost = Box(false)
            let logger = logger
            try await streamed.watch(
                Self.changesOfTheNamespace,
                WatchOptions(
                    resumeAfter: start.document, looksUpDocuments: true, maxAwait: quiet, batchSize: Self.changeBatch)
            ) { step in
                switch step {
                case .quiet(let token):
                    guard let token = token?["_data"]?.stringValue else { return true }
                    return take(.quiet(Place(epoch: epoch, token: token, last: last.value.withLock { $0 }).position))
                case .event(let event):
                    guard let event = Place.Change(event), Self.isOfDocuments(event.document) else {
                        lost.value.withLock { $0 = true }
                        return false
                    }
                    last.value.withLock { $0 = event.mark }
                    let position = Place(epoch: epoch, token: event.mark.token, last: event.mark).position
                    return Self.change(event.document, logger).map { take(.change($0, position)) } ?? true
                }
            }
            if lost.value.withLock({ $0 }) { throw PositionLost() }
        }
    }

    public func entries(after: FileID?, limit: Int) async throws -> [Entry] {
        guard limit > 0 else { return [] }
        return try await translatingErrors("reading all entries") {
            var filter: BSONDocument = ["state": "live"]
            if let after { filter.append("_id", ["$gt": .id(after)]) }
            return try await all(
                filter, in: collections.files, FindOptions(sort: ["_id": 1], limit: limit, hint: ["_id": 1])
            ).map(Documents.entry)
        }
    }

    // MARK: Events

    /// All but what touches only how copies are counted, and what is in the trash from the beginning.
    static let changesOfTheNamespace: [BSONDocument] = {
        let names: BSONValue = [
            "$map": [
                "input": ["$objectToArray": ["$ifNull": ["$updateDescription.updatedFields", [:]]]], "in": "$$this.k",
            ]
        ]
        func count(_ array: BSONValue) -> BSONValue { ["$size": ["$ifNull": [array, []]]] }
        let onlyCounts: BSONDocument = [
            "$and": [
                ["$setIsSubset": [names, ["k", "readable", "surplus", "former", "reads"]]],
                ["$eq": [count("$updateDescription.removedFields"), 0]],
                ["$eq": [count("$updateDescription.truncatedArrays"), 0]],
            ]
        ]
        // Not by $nor, which MongoDB 6.0 does not know how to bring into the reading of its oplog.
        return [
            [
                "$match": [
                    "$or": [
                        ["operationType": ["$nin": ["insert", "update"]]],
                        ["operationType": "insert", "fullDocument.state": "live"],
                        ["operationType": "update", "$expr": ["$not": [.document(onlyCounts)]]],
                    ]
                ]
            ],
            ["$project": ["updateDescription": 0, "fullDocument.former": 0]],
        ]
    }()

    /// Not of the collection as a whole, after which nothing more comes.
    private static func isOfDocuments(_ event: BSONDocument) -> Bool {
        ["insert", "update", "replace", "delete"].contains(event["operationType"]?.stringValue)
    }

    /// nil for what is told by a later event: that the document is gone.
    private static func change(_ event: BSONDocument, _ logger: Logger) -> NamespaceChange? {
        guard let number = event["documentKey"]?.documentValue?["_id"]?.int64Value else { return nil }
        let id = FileID(number)
        if event["operationType"] == "delete" { return .absent(id, rev: nil) }
        guard let document = event["fullDocument"]?.documentValue else { return nil }
        do {
            guard document["state"] == "live" else { return .absent(id, rev: try document.int64("rev")) }
            return .present(try Documents.entry(document))
        } catch {
            logger.error("a change is not understood", metadata: ["file.id": "\(id)", "error": "\(error)"])
            return nil
        }
    }

    // MARK: Errors

    /// What the server does not take when it is to go on from a position, it does not take because of that.
    private func translatingChanges<T>(
        _ action: String, isResuming: Bool = false, _ body: () async throws -> T
    ) async throws -> T {
        do {
            return try await body()
        } catch let error as MongoError {
            if let code = error.code, Self.lostCodes.contains(code) { throw PositionLost() }
            if error.isStreamResumable, error.kind == .command {
                throw BrimError(.unavailable, "\(action): \(error)")
            }
            if isResuming, error.kind == .command {
                logger.warning("MongoDB does not go on from a position", metadata: ["error": "\(error)"])
                throw PositionLost()
            }
            throw BrimError(error, while: action)
        } catch is CancellationError {
            throw BrimError(.unavailable, "\(action): cancelled", retryable: false)
        }
    }

    /// ChangeStreamHistoryLost, CappedPositionLost.
    static let forgottenCodes: Set<Int> = [286, 136]
    /// And ChangeStreamFatalError, InvalidResumeToken.
    private static let lostCodes = forgottenCodes.union([280, 260])
}

/// A value that a callback on another thread fills.
final class Box<Value: Sendable>: Sendable {
    let value: Mutex<Value>
    init(_ value: Value) { self.value = Mutex(value) }
}
