import BrimModel

/// Where a blob is, or is to be.
public struct Peer: Sendable, Hashable, Codable {
    public var server: ServerName
    /// `host:port`.
    public var address: String
    public init(server: ServerName, address: String) {
        self.server = server
        self.address = address
    }
}

/// What a writer may do with one blob; it travels inside a signed token from master to client to slaves, and back to a
/// master when the write is committed, so that no part in between can change it.
public struct WriteGrant: Sendable, Hashable, Codable {
    /// Names the commit: asking twice has one effect.
    public var request: String
    public var blob: BlobID
    /// The directory, the name in it and, for messages only, the whole path.
    public var parent: FileID
    public var name: EntryName
    public var path: String
    /// Bytes announced; nil when the length is not known beforehand.
    public var size: Int64?
    /// The chain: the client sends to the first, each streams on to the next.
    public var targets: [Peer]
    /// Permission bits.
    public var mode: Int
    /// nil: the time of the commit.
    public var modified: Timestamp?
    /// The n the writer asked for.
    public var n: Int?
    /// The n that the directory, or one above it, said.
    public var inherited: Int?
    public var attributes: [String: AttributeValue]
    public var ifMatch: IfMatch
    /// The master (URL) that granted this and that is asked to commit; any other master will do.
    public var master: String

    public init(
        request: String, blob: BlobID, parent: FileID, name: EntryName, path: String, size: Int64?, targets: [Peer],
        mode: Int, modified: Timestamp?, n: Int?, inherited: Int? = nil, attributes: [String: AttributeValue],
        ifMatch: IfMatch, master: String
    ) {
        self.request = request
        self.blob = blob
        self.parent = parent
        self.name = name
        self.path = path
        self.size = size
        self.targets = targets
        self.mode = mode
        self.modified = modified
        self.n = n
        self.inherited = inherited
        self.attributes = attributes
        self.ifMatch = ifMatch
        self.master = master
    }
}

/// What must hold of the file that a write replaces.
public enum IfMatch: Sendable, Hashable, Codable {
    case anything
    case absent
    case present
    case version(Int64)
}

/// What a reader may do: read this blob; `version` and `name` are for the reply's headers.
public struct ReadGrant: Sendable, Hashable, Codable {
    public var blob: BlobID
    public var version: Int64
    public var name: String
    public init(blob: BlobID, version: Int64, name: String) {
        self.blob = blob
        self.version = version
        self.name = name
    }
}

/// Asks for leave to write files: `POST /v1/writes`.
public struct WritesRequest: Sendable, Codable {
    public var writes: [WriteRequest]
    public init(writes: [WriteRequest]) { self.writes = writes }
}

public struct WriteRequest: Sendable, Codable {
    public var path: BrimPath
    /// Bytes; nil when not known.
    public var size: Int64?
    /// Permission bits; 0o644 when nil.
    public var mode: Int?
    public var modified: Timestamp?
    public var n: Int?
    public var attributes: [String: AttributeValue]?
    public var ifMatch: IfMatch?
    /// Servers that failed this writer just now and should not be chosen again.
    public var avoid: [ServerName]?
    /// The URL granted before for this same write, whose outcome the writer does not know: either that write has been
    /// committed, and the answer says so (`done`), or it never will be, even if a server that froze goes on with it.
    public var replaces: String?
    public init(
        path: BrimPath, size: Int64?, mode: Int? = nil, modified: Timestamp? = nil, n: Int? = nil,
        attributes: [String: AttributeValue]? = nil, ifMatch: IfMatch? = nil, avoid: [ServerName]? = nil,
        replaces: String? = nil
    ) {
        self.path = path
        self.size = size
        self.mode = mode
        self.modified = modified
        self.n = n
        self.attributes = attributes
        self.ifMatch = ifMatch
        self.avoid = avoid
        self.replaces = replaces
    }
}

/// One answer per write asked for, in order: a URL to PUT the bytes to, or that it is done already, or an error.
public struct WritesReply: Sendable, Codable {
    public struct Item: Sendable, Codable {
        /// `http://host:port/v1/blobs/ID?token=…` of the first target.
        public var url: String?
        public var targets: [Peer]?
        /// What the write that this one `replaces` came to.
        public var done: WriteReply?
        public var error: BrimError?
        public init(done: WriteReply) { self.done = done }
        public init(url: String, targets: [Peer]) {
            self.url = url
            self.targets = targets
        }
        public init(error: BrimError) { self.error = error }
    }
    public var writes: [Item]
    public init(writes: [Item]) { self.writes = writes }
}

/// What a slave answers (201, or 200 for an overwrite) once a write is committed; also the body of a PUT by curl.
public struct WriteReply: Sendable, Codable {
    public var path: String
    public var version: Int64
    public var size: Int64
    public var checksum: Checksum
    public var n: Int
    public var k: Int
    public var replicas: [ServerName]
    public var created: Bool
    public init(
        path: String, version: Int64, size: Int64, checksum: Checksum, n: Int, k: Int, replicas: [ServerName],
        created: Bool
    ) {
        self.path = path
        self.version = version
        self.size = size
        self.checksum = checksum
        self.n = n
        self.k = k
        self.replicas = replicas
        self.created = created
    }
}

/// What a later target of a chain answers to the one before it once the blob is durable there (201).
public struct ChainReply: Sendable, Codable {
    public var size: Int64
    public var checksum: Checksum
    /// This target and all after it.
    public var made: [ServerName]
    /// What they use with the blob; nil from one that does not tell.
    public var usages: [TargetUsage]?
    public init(size: Int64, checksum: Checksum, made: [ServerName], usages: [TargetUsage]?) {
        self.size = size
        self.checksum = checksum
        self.made = made
        self.usages = usages
    }
}

/// What a target of a write uses after it has stored the blob.
public struct TargetUsage: Sendable, Codable, Hashable {
    public var server: ServerName
    public var usage: ServerUsage
    public init(server: ServerName, usage: ServerUsage) {
        self.server = server
        self.usage = usage
    }
}

/// Asks where files can be read: `POST /v1/reads`.
public struct ReadsRequest: Sendable, Codable {
    public var paths: [BrimPath]
    /// Of each file this version instead of the current one.
    public var version: Int64?
    public init(paths: [BrimPath], version: Int64? = nil) {
        self.paths = paths
        self.version = version
    }
}

public struct ReadsReply: Sendable, Codable {
    public struct Item: Sendable, Codable {
        public var plan: ReadPlan?
        public var error: BrimError?
        public init(plan: ReadPlan) { self.plan = plan }
        public init(error: BrimError) { self.error = error }
    }
    public var reads: [Item]
    public init(reads: [Item]) { self.reads = reads }
}

/// A file's copies, best first.
public struct ReadPlan: Sendable, Codable {
    public struct Copy: Sendable, Codable {
        public var server: ServerName
        /// `http://host:port/v1/blobs/ID?token=…`
        public var url: String
        public init(server: ServerName, url: String) {
            self.server = server
            self.url = url
        }
    }
    public var file: FileStat
    public var copies: [Copy]
    public init(file: FileStat, copies: [Copy]) {
        self.file = file
        self.copies = copies
    }
}
