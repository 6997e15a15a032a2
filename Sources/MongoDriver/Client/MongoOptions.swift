/// How a client of MongoDB is set up. Times that the URI names win over those here; the name here wins over one there.
public struct MongoClientOptions: Sendable {
    /// Shown by the server in `currentOp` and its log.
    public var applicationName: String
    /// Clients, and threads: how many operations run at a time. At least 1.
    public var poolSize: Int
    /// How many operations may wait for a client; one more fails with `.overloaded`.
    public var maxWaiting: Int
    /// How long an operation waits for a client before it fails with `.timeout`.
    public var waitQueueTimeout: Duration
    /// How long to look for a primary before failing with `.unavailable`.
    public var serverSelectionTimeout: Duration
    public var connectTimeout: Duration
    /// The longest silence of a server within an operation: an operation that may run longer needs `maxTime` below this.
    /// A primary that is cut off, or hangs, is known as that only then by those who wait for it: they keep their threads.
    public var socketTimeout: Duration
    /// How often each server is asked how it is, at least 500 ms. One that says nothing is given up `connectTimeout` and one
    /// such time later, for all that comes.
    public var heartbeat: Duration
    /// For every read that does not say otherwise.
    public var readConcern: MongoReadConcern
    /// For every write that does not say otherwise.
    public var writeConcern: MongoWriteConcern

    public init(
        applicationName: String = "brim", poolSize: Int = 16, maxWaiting: Int = 10_000,
        waitQueueTimeout: Duration = .seconds(10), serverSelectionTimeout: Duration = .seconds(5),
        connectTimeout: Duration = .seconds(3), socketTimeout: Duration = .seconds(10),
        heartbeat: Duration = .seconds(2),
        readConcern: MongoReadConcern = .majority, writeConcern: MongoWriteConcern = .majorityInTime
    ) {
        self.applicationName = applicationName
        self.poolSize = poolSize
        self.maxWaiting = maxWaiting
        self.waitQueueTimeout = waitQueueTimeout
        self.serverSelectionTimeout = serverSelectionTimeout
        self.connectTimeout = connectTimeout
        self.socketTimeout = socketTimeout
        self.heartbeat = heartbeat
        self.readConcern = readConcern
        self.writeConcern = writeConcern
    }
}

/// Which writes a read may see. All reads go to the primary.
public enum MongoReadConcern: String, Sendable {
    /// Also those that may be rolled back.
    case local
    case available
    /// Those that a majority has.
    case majority
    case linearizable
    /// One point in time.
    case snapshot
}

/// What has to have happened before a write is acknowledged.
public struct MongoWriteConcern: Sendable, Hashable {
    public enum Acknowledgement: Sendable, Hashable {
        case majority
        /// This many nodes, at least 1.
        case nodes(Int)
    }

    public var w: Acknowledgement
    /// Whether it must be in the journal on disk.
    public var journal: Bool
    /// How long the server waits for the other nodes; the write stays when it gives up.
    public var timeout: Duration?

    public init(w: Acknowledgement, journal: Bool, timeout: Duration? = nil) {
        self.w = w
        self.journal = journal
        self.timeout = timeout
    }

    /// A majority of the nodes has it in the journal: it survives the loss of the others.
    public static let majority = MongoWriteConcern(w: .majority, journal: true)
    /// The same for writes by themselves: one that a majority does not have in time fails with `.writeConcern`, before those
    /// who wait for it give up. (A commit has `maxCommitTime`.)
    public static let majorityInTime = MongoWriteConcern(w: .majority, journal: true, timeout: .seconds(6))

    /// Nil for a majority.
    var nodeCount: Int32? {
        guard case .nodes(let count) = w else { return nil }
        return Int32(clamping: max(1, count))
    }

    var document: BSONDocument {
        var document: BSONDocument = ["w": nodeCount.map { .int32($0) } ?? "majority", "j": .bool(journal)]
        if let timeout { document["wtimeout"] = .int64(timeout.milliseconds) }
        return document
    }
}

public struct MongoTransactionOptions: Sendable {
    /// From the first attempt on; no further attempt begins later.
    public var timeLimit: Duration
    public var readConcern: MongoReadConcern
    public var writeConcern: MongoWriteConcern
    /// How long the server may work on one commit: less than the client's `socketTimeout`.
    public var maxCommitTime: Duration?

    public init(
        timeLimit: Duration = .seconds(30), readConcern: MongoReadConcern = .snapshot,
        writeConcern: MongoWriteConcern = .majority, maxCommitTime: Duration? = .seconds(6)
    ) {
        self.timeLimit = timeLimit
        self.readConcern = readConcern
        self.writeConcern = writeConcern
        self.maxCommitTime = maxCommitTime
    }
}

/// What a pool knows of the primary of its deployment.
public struct MongoPrimaryStatus: Sendable, Hashable {
    /// Rises when another member is found to be primary, or the same one elected anew, or none; before an operation goes there.
    public var changes: Int64
    /// How many members may be primary, as the present one says; 0 when there is none, or no replica set.
    public var electable: Int
}

/// What the clients of a pool are doing.
public struct MongoPoolStatus: Sendable, Equatable, CustomStringConvertible {
    public enum State: String, Sendable {
        case running, closing, closed
    }

    public var state: State
    public var size: Int
    public var idle: Int
    /// Those that run an operation.
    public var busy: Int
    /// Those that an open cursor holds.
    public var leased: Int
    /// Operations that wait for a client.
    public var waiting: Int

    public var description: String {
        "\(size) clients, \(idle) idle, \(busy) busy, \(leased) held by open cursors, \(waiting) operations waiting"
    }
}
