import BrimModel

/// Which master leads, and which masters there are. All times are told and compared by the database's clock alone, so that
/// no master's clock matters.
public protocol LeaseStore: Sendable {
    /// Takes the lease of leadership for `holder` (an id that no other start of a master has) when nobody has it, it ran
    /// out or was given back, or `holder` has it already: with a new term, greater than every earlier one. Returns the
    /// lease in force then, this one or another's.
    ///
    /// `url` is where the holder is reached; `duration` counts from when the database takes the request.
    func acquireLease(holder: String, url: String, for duration: Duration) async throws -> LeadershipLease

    /// Has it run for `duration` from now; false, and nothing is changed, when another term has begun.
    func renewLease(holder: String, term: Int64, for duration: Duration) async throws -> Bool

    /// Gives the lease back, so that others need not wait for its end; no effect when another term has begun.
    func releaseLease(holder: String, term: Int64) async throws

    /// From now on no judgement over the servers that are there now is taken of lower terms (see `ServerStore.setState`).
    func claimServers(term: Int64) async throws

    /// Notes that a master lives, and returns all that were heard of within the last hour, itself included, the one that
    /// was started first before the others. One that was started at the same URL before is forgotten.
    func meetMasters(_ master: MasterHello) async throws -> [MasterRecord]

    /// All masters that were heard of within the last hour, in the order of `meetMasters`.
    func masters() async throws -> [MasterRecord]

    /// A master ends.
    func leaveMasters(_ id: String) async throws
}

/// A lease of leadership, as the database has it at the moment.
public struct LeadershipLease: Sendable, Hashable {
    public var term: Int64
    /// The id of the master that has it; empty before the first.
    public var holder: String
    /// Where that master is reached.
    public var url: String
    /// How long it lasts still; zero when nobody leads.
    public var left: Duration
    public init(term: Int64, holder: String, url: String, left: Duration) {
        self.term = term
        self.holder = holder
        self.url = url
        self.left = left
    }
}

/// What a master says of itself.
public struct MasterHello: Sendable, Hashable {
    /// Of this start.
    public var id: String
    /// Where slaves, clients and other masters reach it.
    public var url: String
    public var version: String
    /// By how much its clock is ahead of the database's; nil while that is not known.
    public var ahead: Duration?
    public init(id: String, url: String, version: String, ahead: Duration? = nil) {
        self.id = id
        self.url = url
        self.version = version
        self.ahead = ahead
    }
}

/// One document of `masters`.
public struct MasterRecord: Sendable, Hashable {
    public var id: String
    public var url: String
    public var version: String
    /// When it was heard of first and last.
    public var started: Timestamp
    public var heartbeat: Timestamp
    /// How long ago the last time was.
    public var silence: Duration
    /// By how much its clock was ahead of the database's then, to the millisecond.
    public var ahead: Duration?
    public init(
        id: String, url: String, version: String, started: Timestamp, heartbeat: Timestamp, silence: Duration,
        ahead: Duration? = nil
    ) {
        self.id = id
        self.url = url
        self.version = version
        self.started = started
        self.heartbeat = heartbeat
        self.silence = silence
        self.ahead = ahead
    }

    /// A master of which nothing was heard for so long is not counted upon.
    public static let patience = Duration.seconds(10)
    /// One of which nothing was heard for so long is shown no more.
    package static let memory = Duration.seconds(3600)

    public var isLive: Bool { silence < Self.patience }
    package var isForgotten: Bool { silence >= Self.memory }
}
