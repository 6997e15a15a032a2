import BrimModel

// What a slave tells those who rebuild lost metadata. All need a token of an administrator or of a node.

/// `GET /v1/recovery` on a slave: who it is and how much it knows.
public struct RecoveryFacts: Sendable, Codable {
    /// The slave's copy of the namespace.
    public struct Namespace: Sendable, Codable, Hashable {
        /// When it was known to be what the masters had.
        public var asOf: Timestamp
        /// The changes up to here are in it; null from slaves of versions that did not tell.
        @Nullable public var position: String?
        public var entries: Int64
        public var scope: ReplicaScope
        public init(asOf: Timestamp, position: String?, entries: Int64, scope: ReplicaScope) {
            self.asOf = asOf
            _position = Nullable(wrappedValue: position)
            self.entries = entries
            self.scope = scope
        }
    }

    /// The id of its swarm; null before the first join.
    @Nullable public var swarm: String?
    public var name: ServerName
    /// The random id of its data directory.
    public var id: String
    public var zone: String
    public var version: String
    /// Bytes in force, and as asked for at its last start.
    public var quota: Int64
    public var quotaAsked: Int64
    /// The latest term of leadership that it has heard of.
    public var term: Int64
    public var usage: ServerUsage
    /// null while it has no complete copy.
    @Nullable public var namespace: Namespace?
    public init(
        swarm: String?, name: ServerName, id: String, zone: String, version: String, quota: Int64, quotaAsked: Int64,
        term: Int64, usage: ServerUsage, namespace: Namespace?
    ) {
        _swarm = Nullable(wrappedValue: swarm)
        self.name = name
        self.id = id
        self.zone = zone
        self.version = version
        self.quota = quota
        self.quotaAsked = quotaAsked
        self.term = term
        self.usage = usage
        _namespace = Nullable(wrappedValue: namespace)
    }
}

/// `POST /v1/recovery/blobs` on a slave: these blobs, as far as they are in its catalog.
public struct RecoveryBlobsRequest: Sendable, Codable {
    /// At most `Limits.pageEntries`.
    public var blobs: [BlobID]
    public init(blobs: [BlobID]) { self.blobs = blobs }
}

/// `GET /v1/recovery/blobs?after=BLOB&limit=1000` on a slave: its catalog, in order of the blobs' ids; with
/// `fileAfter=ID&fileThrough=ID` only what is labelled with an entry's number of that range: such a page may be short, or
/// empty, and not be the last.
public struct RecoveryBlobs: Sendable, Codable {
    public struct Item: Sendable, Codable, Hashable {
        public var blob: BlobID
        /// Whether a master has confirmed it to this slave.
        public var confirmed: Bool
        public var size: Int64
        public var checksum: Checksum
        /// When it came to this slave.
        public var created: Timestamp
        /// What was known of its file then; a file of 0 means that it was not known.
        public var label: BlobLabel
        public init(
            blob: BlobID, confirmed: Bool, size: Int64, checksum: Checksum, created: Timestamp, label: BlobLabel
        ) {
            self.blob = blob
            self.confirmed = confirmed
            self.size = size
            self.checksum = checksum
            self.created = created
            self.label = label
        }
    }
    public var blobs: [Item]
    /// Give this as `after` for the next page; null on the last.
    @Nullable public var next: BlobID?
    public init(blobs: [Item], next: BlobID?) {
        self.blobs = blobs
        _next = Nullable(wrappedValue: next)
    }
}

/// `GET /v1/recovery/entries?after=ID&through=ID&limit=1000` on a slave: its copy of the namespace, in order of the entries'
/// numbers; empty where it has none.
public struct RecoveryEntries: Sendable, Codable {
    public var entries: [FeedEntry]
    /// Give this as `after` for the next page; null on the last.
    @Nullable public var next: FileID?
    /// Seconds since the copy was known to be what the masters had; null where there is none. Optional, as it joined later.
    @Nullable public var age: Double?
    public init(entries: [FeedEntry], next: FileID?, age: Double?) {
        self.entries = entries
        _next = Nullable(wrappedValue: next)
        _age = Nullable(wrappedValue: age)
    }
}
