import BrimModel

/// One entry in the change feed and in a snapshot: all that a copy of the namespace keeps of it.
public struct FeedEntry: Sendable, Hashable {
    /// k, readable and reads are of no meaning: they are not told.
    public var entry: Entry
    public init(_ entry: Entry) { self.entry = entry }
}

extension FeedEntry: Codable {
    private enum Key: String, CodingKey {
        case id, parent, name, type, mode, created, modified, rev, attributes, target
        case version, blob, size, checksum, n, policy, replicas
    }

    public init(from decoder: any Decoder) throws {
        let json = try decoder.container(keyedBy: Key.self)
        entry = Entry(
            id: try json.decode(FileID.self, forKey: .id),
            parent: try json.decodeIfPresent(FileID.self, forKey: .parent),
            name: try json.decodeIfPresent(EntryName.self, forKey: .name),
            type: try json.decode(EntryType.self, forKey: .type),
            mode: try json.decode(Int.self, forKey: .mode),
            created: try json.decode(Timestamp.self, forKey: .created),
            modified: try json.decode(Timestamp.self, forKey: .modified),
            rev: try json.decode(Int64.self, forKey: .rev),
            attributes: try json.decodeIfPresent([String: AttributeValue].self, forKey: .attributes) ?? [:],
            target: try json.decodeIfPresent(String.self, forKey: .target))
        if entry.type == .directory { entry.copies = try json.decodeIfPresent(Int.self, forKey: .n) }
        guard entry.type == .file else { return }
        entry.content = FileContent(
            version: try json.decode(Int64.self, forKey: .version),
            blob: try json.decode(BlobID.self, forKey: .blob),
            size: try json.decode(Int64.self, forKey: .size),
            checksum: try json.decode(Checksum.self, forKey: .checksum),
            n: try json.decode(Int.self, forKey: .n), k: 0, readable: false,
            replicas: try json.decode([ServerName].self, forKey: .replicas),
            policy: try json.decode(String.self, forKey: .policy))
    }

    public func encode(to encoder: any Encoder) throws {
        var json = encoder.container(keyedBy: Key.self)
        try json.encode(entry.id, forKey: .id)
        try json.encodeIfPresent(entry.parent, forKey: .parent)
        try json.encodeIfPresent(entry.name, forKey: .name)
        try json.encode(entry.type, forKey: .type)
        try json.encode(entry.mode, forKey: .mode)
        try json.encode(entry.created, forKey: .created)
        try json.encode(entry.modified, forKey: .modified)
        try json.encode(entry.rev, forKey: .rev)
        if !entry.attributes.isEmpty { try json.encode(entry.attributes, forKey: .attributes) }
        try json.encodeIfPresent(entry.target, forKey: .target)
        try json.encodeIfPresent(entry.copies, forKey: .n)
        guard let content = entry.content else { return }
        try json.encode(content.version, forKey: .version)
        try json.encode(content.blob, forKey: .blob)
        try json.encode(content.size, forKey: .size)
        try json.encode(content.checksum, forKey: .checksum)
        try json.encode(content.n, forKey: .n)
        try json.encode(content.policy, forKey: .policy)
        try json.encode(content.replicas, forKey: .replicas)
    }
}

/// An element of a `changes` event of `GET /v1/changes`: an entry as it is now, or the number of one that is gone.
public struct FeedChange: Sendable, Codable, Hashable {
    public var entry: FeedEntry?
    public var removed: FileID?
    /// With `removed`: an entry of a greater rev may come back. Without, the number is never used again.
    public var rev: Int64?

    public init(entry: FeedEntry) { self.entry = entry }
    public init(removed: FileID, rev: Int64?) {
        self.removed = removed
        self.rev = rev
    }
}

/// The events of `GET /v1/changes`, as their `event:` says.
public enum FeedEvent: String, Sendable {
    /// Data is an array of `FeedChange`, `id` the position after them.
    case changes
    /// Once a second or so: data is `FeedAlive`, `id` the position up to which all was told.
    case alive
    /// Data is `SwarmReply`: at the beginning, and when something of it changed.
    case swarm
    /// The changes after the position are not to be had any more; the last event. Take a snapshot.
    case gone
}

/// Data of the event `alive`.
public struct FeedAlive: Sendable, Codable, Hashable {
    /// Seconds since what was told was all there was; null while older changes are being told.
    @Nullable public var age: Double?
    /// Seconds since the stream began. What is told later than others were, by this and the listener's own clock, was held
    /// up on its way: its age is that much more.
    public var at: Double
    public init(age: Double?, at: Double) {
        _age = Nullable(wrappedValue: age)
        self.at = at
    }
}

/// `GET /v1/snapshot?after=ID&limit=1000`: all entries in order of their numbers, in pages.
public struct SnapshotReply: Sendable, Codable {
    /// As of before this page: the changes that complete a snapshot are those after the position of its first page.
    public var position: String
    public var entries: [FeedEntry]
    /// Give this as `after` for the next page; nil on the last.
    public var next: FileID?
    public init(position: String, entries: [FeedEntry], next: FileID?) {
        self.position = position
        self.entries = entries
        self.next = next
    }
}

/// `GET /v1/swarm`, on masters and slaves: where the swarm is.
public struct SwarmReply: Sendable, Codable, Hashable {
    public struct Server: Sendable, Codable, Hashable {
        public var name: ServerName
        /// `host:port`.
        public var address: String
        public var zone: String
        public var state: ServerState
        public init(name: ServerName, address: String, zone: String, state: ServerState) {
            self.name = name
            self.address = address
            self.zone = zone
            self.state = state
        }
    }

    /// The id of the swarm; nil on a slave that was told of none yet.
    public var swarm: String?
    /// URLs of masters, the leader's first.
    public var masters: [String]
    /// All servers that are not forgotten, by name.
    public var servers: [Server]
    /// Slaves only: what it has of the namespace.
    public var replica: ReplicaStatus?
    public init(swarm: String?, masters: [String], servers: [Server], replica: ReplicaStatus? = nil) {
        self.swarm = swarm
        self.masters = masters
        self.servers = servers
        self.replica = replica
    }
}

/// A slave's copy of the namespace.
public struct ReplicaStatus: Sendable, Codable, Hashable {
    /// Whose it is.
    public var server: ServerName
    /// Seconds since it was known to be as the masters have it.
    public var age: Double
    /// Entries it holds.
    public var entries: Int64
    /// Whether it holds all entries, or only directories, links and the files that this server has.
    public var scope: ReplicaScope
    public init(server: ServerName, age: Double, entries: Int64, scope: ReplicaScope) {
        self.server = server
        self.age = age
        self.entries = entries
        self.scope = scope
    }
}

public enum ReplicaScope: String, Sendable, Codable, CaseIterable {
    case full, own
}
