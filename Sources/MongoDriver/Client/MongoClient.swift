import CMongo
import Logging

/// A pool of connections to one MongoDB deployment.
///
/// Every operation runs on a thread of the pool and blocks there until the server has answered; the caller awaits. An
/// operation that has begun finishes even if its task is cancelled; one that still waits for a client fails with
/// `.cancelled`. Close it when done; one that is let go closes by itself.
public final class MongoClient: Sendable {
    let pool: ClientPool
    public let options: MongoClientOptions
    private let logger: Logger

    /// Does not connect: the first operation does. Throws `.invalidArgument` for a URI that cannot be right.
    public init(
        uri: String, options: MongoClientOptions = MongoClientOptions(), logger: Logger = Logger(label: "mongo")
    ) throws(MongoError) {
        _ = LibraryLog.start
        let size = max(1, options.poolSize)
        var reply = cmongo_reply()
        defer { cmongo_reply_clear(&reply) }
        let pool = options.applicationName.withCString { name in
            var native = cmongo_pool_options(
                application_name: name, size: UInt32(clamping: size),
                server_selection_timeout_ms: Int32(clamping: options.serverSelectionTimeout.milliseconds),
                connect_timeout_ms: Int32(clamping: options.connectTimeout.milliseconds),
                socket_timeout_ms: Int32(clamping: options.socketTimeout.milliseconds),
                wait_queue_timeout_ms: Int32(clamping: options.waitQueueTimeout.milliseconds),
                heartbeat_ms: Int32(clamping: options.heartbeat.milliseconds))
            return cmongo_pool_new(uri, &native, &reply)
        }
        guard let pool else {
            throw MongoError(.invalidArgument, String(cString: cmongo_reply_message(&reply)), code: Int(reply.code))
        }
        self.pool = ClientPool(
            handle: PoolHandle(pointer: pool), size: size, maxWaiting: options.maxWaiting,
            waitLimit: options.waitQueueTimeout)
        self.options = options
        self.logger = logger
        logger.debug("MongoDB client made", metadata: ["mongo.pool.size": "\(size)"])
    }

    deinit {
        pool.beginClosing()
    }

    public func database(_ name: String) -> MongoDatabase {
        MongoDatabase(client: self, name: name)
    }

    /// Whether a primary is there and answers; throws `.unavailable` after the server selection timeout.
    public func ping() async throws {
        _ = try await run(CommandOperation(database: "admin", command: ["ping": 1]))
    }

    /// What the clients are doing at this moment.
    public var poolStatus: MongoPoolStatus { pool.status }

    /// Which primary operations go to at this moment.
    public var primary: MongoPrimaryStatus { pool.primary }

    /// Fails with `.closed` what waits and what comes, lets finish what runs, ends cursors, and returns when all threads
    /// of the pool have ended. May be called more than once.
    public func close() async {
        await pool.close()
        logger.debug("MongoDB client closed")
    }

    /// Runs an operation on a thread of the pool.
    func run<O: Operation>(_ operation: O) async throws -> O.Output {
        try await pool.run { try operation.execute(on: $0) }.0
    }

    /// Opens a cursor and fetches its first batch.
    func open<Element: Sendable>(
        _ operation: some CursorOperation, _ transform: @escaping @Sendable (BSONDocument) throws -> Element
    ) async throws -> MongoCursor<Element> {
        let (batch, lease) = try await pool.run { try operation.open(on: $0) }
        return MongoCursor(
            client: self, limits: operation.limits, firstBatch: batch, lease: lease, transform: transform)
    }
}
