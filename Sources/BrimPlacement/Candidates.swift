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
    /// Whether its blobs can be read now: up, or suspect, or draining.
    public var readable: Bool
    /// Bytes it may ever hold.
    public var quota: Int64
    /// Bytes up to which it is filled with spare copies; at most `quota`.
    public var brim: Int64
    /// Bytes in use now: what the slave last said, and what was ordered since.
    public var used: Int64
    /// Bytes its disk can still take whatever the quota says.
    public var diskFree: Int64
    public var load: ServerLoad

    public init(
        name: ServerName, zone: String, receives: Bool = true, readable: Bool = true, quota: Int64, brim: Int64,
        used: Int64, diskFree: Int64 = .max, load: ServerLoad = ServerLoad()
    ) {
        self.name = name
        self.zone = zone
        self.receives = receives
        self.readable = readable
        self.quota = quota
        self.brim = brim
        self.used = used
        self.diskFree = diskFree
        self.load = load
    }
}
