import BrimModel

/// What one background loop of a master or slave is at: an element of `GET /v1/workers`.
public struct WorkerStatus: Sendable, Codable, Hashable {
    public enum State: String, Sendable, Codable, CaseIterable {
        /// Nothing to do.
        case idle
        case working
        /// Something is to be done, and waits for a reason that `doing` names.
        case waiting
        /// The last attempt failed; it is tried again.
        case failed
    }

    public var name: String
    /// `master`, or the server's name.
    public var place: String
    public var state: State
    /// What it does now, or waits for.
    @Nullable public var doing: String? = nil
    /// Items done since its process started.
    public var done: Int64
    /// What is counted.
    public var unit: String
    /// Items a second over the last minute.
    public var rate: Double
    /// Attempts that failed since its process started.
    public var failures: Int64
    @Nullable public var lastError: String? = nil
    @Nullable public var lastErrorAt: Timestamp? = nil
    /// When it last did something; null: never yet.
    @Nullable public var lastRun: Timestamp? = nil
    /// When it looks again by itself; null: whenever there is something to do.
    @Nullable public var nextRun: Timestamp? = nil

    enum CodingKeys: String, CodingKey {
        case name, state, doing, done, unit, rate, failures, lastError, lastErrorAt, lastRun, nextRun
        case place = "where"
    }

    public init(name: String, place: String, unit: String) {
        self.name = name
        self.place = place
        self.unit = unit
        state = .idle
        done = 0
        rate = 0
        failures = 0
    }
}

/// `GET /v1/workers` on a master: its own loops and those of all slaves that answer. A slave answers with its own.
public struct WorkersReply: Sendable, Codable {
    public var workers: [WorkerStatus]
    /// Servers that did not answer.
    public var silent: [ServerName]
    public init(workers: [WorkerStatus], silent: [ServerName] = []) {
        self.workers = workers
        self.silent = silent
    }
}
