import Synchronization

/// What a change stream gives next.
public enum ChangeStreamStep: Sendable {
    /// An event in the server's form; its `_id` is the token to resume after it.
    case event(BSONDocument)
    /// Nothing came for the time that a stream waits; the token resumes after all that was given, if the server told one.
    case quiet(token: BSONDocument?)
}

public struct WatchOptions: Sendable {
    /// A token of an event or of a quiet moment; nil: from now on.
    public var resumeAfter: BSONDocument?
    /// Begins with the events of this time, the first included; not with `resumeAfter`.
    public var startAt: BSONTimestamp?
    /// Whether events of updates carry the document, as it is when the event is read, which may be later.
    public var looksUpDocuments: Bool
    /// How long the server waits for an event before it says that there is none.
    public var maxAwait: Duration
    /// Events fetched at a time.
    public var batchSize: Int

    public init(
        resumeAfter: BSONDocument? = nil, startAt: BSONTimestamp? = nil, looksUpDocuments: Bool = false,
        maxAwait: Duration = .seconds(1), batchSize: Int = 1000
    ) {
        self.resumeAfter = resumeAfter
        self.startAt = startAt
        self.looksUpDocuments = looksUpDocuments
        self.maxAwait = maxAwait
        self.batchSize = batchSize
    }

    var batch: Int { max(1, batchSize) }

    /// The stage `$changeStream`.
    var stage: BSONDocument {
        var stage: BSONDocument = [:]
        if let resumeAfter { stage.append("resumeAfter", .document(resumeAfter)) }
        if let startAt { stage.append("startAtOperationTime", .timestamp(startAt)) }
        if looksUpDocuments { stage.append("fullDocument", "updateLookup") }
        return stage
    }
}

extension MongoCollection {
    /// Follows the changes that a majority has, one after the other, and gives each to `take` at once, on a thread of the
    /// pool, which this keeps until `take` returns false: a pool needs one client for each stream besides those for all
    /// else. What `take` waits for, the stream waits for.
    ///
    /// A stream that breaks does not go on by itself: whoever follows begins another one, after the last token. Throws why
    /// it broke, `.cancelled`, and `.closed` when the client is closed meanwhile; the thread may take `maxAwait` longer to
    /// notice.
    public func watch(
        _ pipeline: [BSONDocument], _ options: WatchOptions = WatchOptions(),
        _ take: @escaping @Sendable (ChangeStreamStep) -> Bool
    ) async throws {
        let (target, pool, end) = (target, client.pool, StreamEnd())
        try await withTaskCancellationHandler {
            _ = try await pool.run { connection in
                try connection.watch(target, pipeline: pipeline, options: options) { step in
                    if !pool.isRunning { end.request(.closed) }
                    return end.reason == nil && take(step)
                }
            }
        } onCancel: {
            end.request(.cancelled)
        }
        if let reason = end.reason { throw MongoError(reason, "the changes are not followed any more") }
    }
}

/// Why a stream is to end though nobody has enough of it.
private final class StreamEnd: Sendable {
    private let wanted = Mutex<MongoError.Kind?>(nil)

    var reason: MongoError.Kind? { wanted.withLock { $0 } }

    func request(_ reason: MongoError.Kind) { wanted.withLock { $0 = $0 ?? reason } }
}
