import BrimModel

/// One version of a file: `GET /v1/versions/PATH?before=V&limit=1000` answers an array of these, newest first.
public struct VersionItem: Sendable, Codable, Hashable {
    public var version: Int64
    /// Bytes.
    public var size: Int64
    public var modified: Timestamp
    /// Of a removed file none is.
    public var current: Bool
    public init(version: Int64, size: Int64, modified: Timestamp, current: Bool) {
        self.version = version
        self.size = size
        self.modified = modified
        self.current = current
    }
}

/// A removed file that can be brought back.
public struct RemovedItem: Sendable, Codable, Hashable {
    /// From where it was removed.
    public var path: String
    public var removed: Timestamp
    /// Bytes.
    public var size: Int64
    public var modified: Timestamp
    public var version: Int64
    /// The wanted number of copies it had and will have.
    public var n: Int
    /// Copies there are now.
    public var k: Int
    public var replicas: [ServerName]
    /// The entry's number, which it keeps.
    public var id: FileID
    public init(
        path: String, removed: Timestamp, size: Int64, modified: Timestamp, version: Int64, n: Int, k: Int,
        replicas: [ServerName], id: FileID
    ) {
        self.path = path
        self.removed = removed
        self.size = size
        self.modified = modified
        self.version = version
        self.n = n
        self.k = k
        self.replicas = replicas
        self.id = id
    }
}

/// `GET /v1/trash/PATH?after=…&limit=1000`: what was removed from this path or below it, by path, the last removed first.
public struct TrashReply: Sendable, Codable {
    public var entries: [RemovedItem]
    /// Give this as `after` for the next page; nil on the last.
    public var next: String?
    public init(entries: [RemovedItem], next: String?) {
        self.entries = entries
        self.next = next
    }
}

/// `POST /v1/undelete`
public struct UndeleteRequest: Sendable, Codable {
    public var path: BrimPath
    /// Its new path; nil: where it was.
    public var to: BrimPath?
    /// Brings back all that was removed below `path`.
    public var recursive: Bool?
    public init(path: BrimPath, to: BrimPath? = nil, recursive: Bool? = nil) {
        self.path = path
        self.to = to
        self.recursive = recursive
    }
}

public struct UndeleteReply: Sendable, Codable {
    public struct Problem: Sendable, Codable {
        public var path: String
        public var error: BrimError
        public init(path: String, error: BrimError) {
            self.path = path
            self.error = error
        }
    }
    /// Files brought back, and their sizes.
    public var files: Int64
    public var bytes: Int64
    /// Files of a tree that could not be brought back; at most 1000.
    public var problems: [Problem]
    public init(files: Int64 = 0, bytes: Int64 = 0, problems: [Problem] = []) {
        self.files = files
        self.bytes = bytes
        self.problems = problems
    }
}

/// `POST /v1/restore`
public struct RestoreRequest: Sendable, Codable {
    public var path: BrimPath
    public var version: Int64
    public init(path: BrimPath, version: Int64) {
        self.path = path
        self.version = version
    }
}

/// `POST /v1/purge`
public struct PurgeRequest: Sendable, Codable {
    /// Only of this file or below this directory; nil: everywhere.
    public var path: BrimPath?
    /// Only what was removed or overwritten longer ago than this.
    public var olderThanSeconds: Double?
    /// Removed files, with their old versions; true unless said otherwise.
    public var trash: Bool?
    /// Old versions of files that are there; true unless said otherwise.
    public var versions: Bool?
    public init(path: BrimPath? = nil, olderThanSeconds: Double? = nil, trash: Bool? = nil, versions: Bool? = nil) {
        self.path = path
        self.olderThanSeconds = olderThanSeconds
        self.trash = trash
        self.versions = versions
    }
}

public struct PurgeReply: Sendable, Codable {
    /// Removed files and old versions.
    public var files: Int64
    /// The bytes of all their copies.
    public var bytes: Int64
    public init(files: Int64 = 0, bytes: Int64 = 0) {
        self.files = files
        self.bytes = bytes
    }
}
