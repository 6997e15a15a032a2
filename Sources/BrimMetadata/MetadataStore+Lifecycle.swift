import BrimModel

/// How servers leave: what is asked of them is kept in their documents, so that it outlives masters and slaves.
public protocol LifecycleStore: Sendable {
    /// Marks a server as draining, from now on unless it is already. Throws `.notFound`.
    func drain(_ name: ServerName) async throws -> ServerRecord

    /// Takes that back. Throws `.notFound`, and `.unavailable` while it is being forgotten.
    func undrain(_ name: ServerName) async throws -> ServerRecord

    /// Sets the zone until the slave starts with another `--zone` than the last time. Throws `.notFound`.
    func setZone(_ name: ServerName, _ zone: String) async throws -> ServerRecord

    /// Marks a server that is draining or down as being forgotten, and as draining; one that is marked already keeps its
    /// mark, but for `losesData` once it is true. It cannot join from then on. Throws `.notFound`, and `.conflict` for a
    /// server whose copies count.
    func beginForget(_ name: ServerName, losesData: Bool) async throws -> ServerRecord

    /// Takes the mark back; the server stays draining. No effect on one without.
    func cancelForget(_ name: ServerName) async throws -> ServerRecord

    /// Takes a server off at most `limit` of the files that name it, fewest surplus first. Live files of which none of
    /// `others` has a copy are left alone; with nil there are no such. What is in the trash and has no other copy is buried;
    /// versions that wait in their files' documents (see `settleVersions`) get documents of their own first where they name
    /// it. Returns of how many it was taken off; to be repeated until that is 0.
    func dropReplicas(of server: ServerName, keeping others: Set<ServerName>?, limit: Int, view: ServerView)
        async throws
        -> Int

    /// Ends it: what the server had to delete is dropped, its id is remembered as forgotten, its document goes. May be
    /// called again, also after that.
    func endForget(_ name: ServerName, id: String) async throws

    /// Servers that were forgotten at or after this time.
    func forgotten(since time: Timestamp) async throws -> [ForgottenServer]

    /// Whether a server with this id was forgotten.
    func isForgotten(id: String) async throws -> Bool

    /// Copies on a server in order of their blobs' ids: live files only, strictly after `after`, at most `limit`.
    func copies(on server: ServerName, after: BlobID?, limit: Int) async throws -> [HeldCopy]
}

/// A server is being forgotten.
public struct ForgetMark: Sendable, Hashable {
    public var at: Timestamp
    /// Whether files may lose their last copy by it.
    public var losesData: Bool
    public init(at: Timestamp, losesData: Bool) {
        self.at = at
        self.losesData = losesData
    }
}

/// What is left of a server that was forgotten.
public struct ForgottenServer: Sendable, Hashable {
    public var id: String
    public var name: ServerName
    public var at: Timestamp
    public init(id: String, name: ServerName, at: Timestamp) {
        self.id = id
        self.name = name
        self.at = at
    }
}

/// A copy of a live file on one server, with what tells whether the file can do without it.
public struct HeldCopy: Sendable, Hashable {
    public var file: FileID
    public var blob: BlobID
    /// Bytes.
    public var size: Int64
    public var n: Int
    public var replicas: [ServerName]
    public init(file: FileID, blob: BlobID, size: Int64, n: Int, replicas: [ServerName]) {
        self.file = file
        self.blob = blob
        self.size = size
        self.n = n
        self.replicas = replicas
    }
}

extension ServerRecord {
    /// Whether its copies count in k.
    public var isCounted: Bool { state != .down && drain == nil }
    /// Whether it answers, and may be given new copies.
    public var isReceiving: Bool { state == .up && drain == nil }
    /// How it is shown to people.
    public var shownState: ServerState { drain == nil ? state : .draining }
}
