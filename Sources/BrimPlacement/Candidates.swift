import BrimModel

/// A file that could use one more copy, as the planner sees it.
public struct NeedyFile: Sendable, Hashable {
    public var file: FileID
    public var blob: BlobID
    /// Bytes.
    public var size: Int64
    public var surplus: Int
    /// Every server that holds the blob, whether or not it is up.
    public var replicas: [ServerName]

    public init(file: FileID, blob: BlobID, size: Int64, surplus: Int, replicas: [ServerName]) {
        self.file = file
        self.blob = blob
        self.size = size
        self.surplus = surplus
        self.replicas = replicas
    }
}

/// A copy on some server that might be given up.
public struct Victim: Sendable, Hashable {
    public var file: FileID
    public var blob: BlobID
    /// Bytes that giving it up frees.
    public var size: Int64
    /// The surplus of its file now.
    public var surplus: Int
    /// Every server that holds the blob.
    public var replicas: [ServerName]

    public init(file: FileID, blob: BlobID, size: Int64, surplus: Int, replicas: [ServerName]) {
        self.file = file
        self.blob = blob
        self.size = size
        self.surplus = surplus
        self.replicas = replicas
    }
}

/// A server as the planner sees it.
public struct ServerSnapshot: Sendable, Hashable {
    public var name: ServerName
    public var zone: String
    /// Whether it may receive copies: it is `up` and not draining.
    public var receives: Bool
    /// Whether what it holds was compared with the metadata since its slave started: only then are other copies given up
    /// because it has one.
    public var reconciled: Bool
    /// Whether its blobs can be read now: up, or suspect, or draining.
    public var readable: Bool
    /// Whether its copies count in k: up or suspect, and not draining.
    public var counted: Bool
    /// Bytes it may ever hold.
    public var quota: Int64
    /// Bytes up to which it is filled with spare copies; at most `quota`.
    public var brim: Int64
    /// Bytes in use, as the slave last said.
    public var used: Int64
    /// Of `used`: bytes reserved for writes of clients.
    public var writing: Int64
    /// Bytes its disk can still take whatever the quota says.
    public var diskFree: Int64
    /// With `usageCount`, which of the slave's words `used`, `writing` and `diskFree` are (see `ServerUsage`); empty when unknown.
    public var usageBoot: String
    public var usageCount: Int64
    public var load: ServerLoad

    /// A server whose numbers carry no stamp: `Planner.update` takes them as news each time.
    public init(
        name: ServerName, zone: String, receives: Bool = true, reconciled: Bool = true, readable: Bool = true,
        counted: Bool? = nil, quota: Int64,
        brim: Int64, used: Int64, diskFree: Int64 = .max, load: ServerLoad = ServerLoad()
    ) {
        self.name = name
        self.zone = zone
        self.receives = receives
        self.reconciled = reconciled
        self.readable = readable
        self.counted = counted ?? readable
        self.quota = quota
        self.brim = brim
        self.used = used
        self.writing = 0
        self.diskFree = diskFree
        self.usageBoot = ""
        self.usageCount = 0
        self.load = load
    }

    /// A server with the usage it last told.
    public init(
        name: ServerName, zone: String, receives: Bool, reconciled: Bool = true, readable: Bool, counted: Bool,
        quota: Int64, brim: Int64, usage: ServerUsage, load: ServerLoad
    ) {
        self.init(
            name: name, zone: zone, receives: receives, reconciled: reconciled, readable: readable, counted: counted,
            quota: quota, brim: brim, used: usage.used, diskFree: usage.diskFree, load: load)
        self.writing = usage.writing
        self.usageBoot = usage.boot
        self.usageCount = usage.count
    }
}
