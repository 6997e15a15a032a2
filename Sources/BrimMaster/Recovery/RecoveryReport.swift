import BrimModel
import BrimWire

/// What a recovery came to, or would come to.
public struct RecoveryReport: Sendable, Codable {
    public struct Server: Sendable, Codable, Hashable {
        public var name: ServerName
        public var address: String
        public var blobs: Int
        /// Of its copy of the namespace, and when that was what the masters had; null where it had none.
        @Nullable public var entries: Int?
        @Nullable public var asOf: Timestamp?
    }

    public struct Silent: Sendable, Codable, Hashable {
        /// null when nobody has told it.
        @Nullable public var name: ServerName?
        public var address: String
        public var reason: String
    }

    /// Two slaves know different things of one name.
    public struct Conflict: Sendable, Codable, Hashable {
        public var path: String
        /// What was decided, and why.
        public var what: String
    }

    /// Paths and conflicts that are told one by one.
    static let listed = 1000

    /// False: nothing was changed.
    public var applied = false
    public var swarm: String
    /// Whose copy of the namespace tells what is there, and as of when; null where no slave had a whole one.
    @Nullable public var namespace: ServerName?
    @Nullable public var asOf: Timestamp?
    public var servers: [Server] = []
    public var silent: [Silent] = []
    public var files = 0
    public var bytes: Int64 = 0
    public var directories = 0
    public var links = 0
    /// Removed files that can be brought back.
    public var removed = 0
    public var formerVersions = 0
    /// Files of which no slave that answered has a copy.
    public var unreachable = 0
    /// The first of them.
    public var unreachableFiles: [String] = []
    /// Blobs of which nobody knows whose they are: they stay where they are.
    public var unknownBlobs = 0
    public var conflicts: [Conflict] = []
    /// What could not be rebuilt, in words.
    public var notes: [String] = []

    init(swarm: String) { self.swarm = swarm }

    mutating func note(unreachable path: String) {
        unreachable += 1
        if unreachableFiles.count < Self.listed { unreachableFiles.append(path) }
    }

    mutating func note(conflict what: String, at path: String) {
        if conflicts.count < Self.listed { conflicts.append(Conflict(path: path, what: what)) }
    }
}
