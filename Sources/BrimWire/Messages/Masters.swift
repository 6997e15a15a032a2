import BrimModel

/// A master, as `GET /v1/masters` and the status tell of it.
public struct MasterStatus: Sendable, Codable, Hashable {
    /// Where slaves, clients and other masters reach it.
    public var url: String
    /// Whether it has the lease of leadership: at most one has.
    public var leader: Bool
    /// Whether it was heard of lately.
    public var live: Bool
    public var version: String
    /// When it was started, and when it was heard of last, by the database's clock.
    public var started: Timestamp
    public var heartbeat: Timestamp
    public init(url: String, leader: Bool, live: Bool, version: String, started: Timestamp, heartbeat: Timestamp) {
        self.url = url
        self.leader = leader
        self.live = live
        self.version = version
        self.started = started
        self.heartbeat = heartbeat
    }
}

/// `POST /v1/introduce` on a slave. Answered by an empty object.
public struct MasterURLs: Sendable, Codable {
    public var masters: [String]
    public init(masters: [String]) { self.masters = masters }
}

/// `GET /v1/masters`: the masters that were heard of within an hour.
public struct MastersReply: Sendable, Codable {
    public var masters: [MasterStatus]
    public init(masters: [MasterStatus]) { self.masters = masters }
}

/// `POST /v1/node/grant` on the leader, from another master: leave for writes that a client asked for there. The reply is a
/// `WritesReply`.
public struct GrantRequest: Sendable, Codable {
    public var writes: [WriteRequest]
    /// The address that the client has.
    public var writerHost: String?
    public init(writes: [WriteRequest], writerHost: String?) {
        self.writes = writes
        self.writerHost = writerHost
    }
}

/// `POST /v1/node/notice` on the leader, from another master: what was done there that matters to the leader. Everything in
/// it is of use only; none of it is missed for good.
public struct MasterNotice: Sendable, Codable, Equatable {
    /// Bytes of files that were written, or whose n was changed: they explain that copies are given up.
    public var explained = Int64(0)
    /// Something was done that explains any number of them.
    public var explainsAll = false
    /// Copies, room or what is wanted may have changed.
    public var changed = false
    /// Something was removed.
    public var removed = false
    /// Requests of writes that have ended: the room held for them is free.
    public var ended: [String] = []

    public init() {}

    /// Writes that one notice may name; the room held for others is free when its time has passed.
    public static let mostEnded = 10_000

    public var isEmpty: Bool { self == MasterNotice() }

    /// Both together.
    public mutating func add(_ other: MasterNotice) {
        let (sum, overflow) = explained.addingReportingOverflow(other.explained)
        explained = overflow ? .max : sum
        explainsAll = explainsAll || other.explainsAll
        changed = changed || other.changed
        removed = removed || other.removed
        ended += other.ended.prefix(Self.mostEnded - ended.count)
    }
}
