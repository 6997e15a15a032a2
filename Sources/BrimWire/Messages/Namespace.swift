import BrimModel

/// One entry in full: `GET /v1/stat/PATH` and `brim stat --json`.
public struct FileStat: Sendable, Codable, Hashable {
    public var path: String
    public var type: EntryType
    /// Bytes; 0 for directories, the target's length for symbolic links.
    public var size: Int64
    /// Files only, as are checksum, n, k, surplus and replicas.
    public var version: Int64?
    public var modified: Timestamp
    public var created: Timestamp
    /// Permission bits.
    public var mode: Int
    public var checksum: Checksum?
    /// Of a directory: what is made below has it, where the directory has one.
    public var n: Int?
    /// Who chose n: a rule's name, or `explicit`, `directory`, `program`, `default`.
    public var policy: String?
    public var k: Int?
    public var surplus: Int?
    public var replicas: [ServerName]?
    public var attributes: [String: AttributeValue]
    /// Symbolic links only.
    public var target: String?
    /// The entry's number.
    public var id: FileID
    /// Files only.
    public var blob: BlobID?
    /// From a slave only: seconds since what it says was known to be so.
    public var age: Double?

    public init(path: String, entry: Entry) {
        self.path = path
        id = entry.id
        type = entry.type
        size = entry.content?.size ?? Int64(entry.target?.utf8.count ?? 0)
        version = entry.content?.version
        modified = entry.modified
        created = entry.created
        mode = entry.mode
        checksum = entry.content?.checksum
        n = entry.content?.n ?? entry.copies
        policy = entry.content?.policy
        k = entry.content?.k
        surplus = entry.content?.surplus
        replicas = entry.content?.replicas
        attributes = entry.attributes
        target = entry.target
        blob = entry.content?.blob
    }

    /// The entity tag of a file's version, as in HTTP's `ETag`: `"VERSION-BLOB"`.
    public var entityTag: String? {
        guard let version, let blob else { return nil }
        return "\"\(version)-\(blob)\""
    }
}

/// One line of a listing.
public struct ListItem: Sendable, Codable, Hashable {
    public var name: EntryName
    public var type: EntryType
    public var size: Int64
    public var modified: Timestamp
    public var mode: Int
    public var n: Int?
    public var k: Int?
    public var target: String?
    /// From a slave only: seconds since what it says was known to be so.
    public var age: Double?

    public init(name: EntryName, entry: Entry) {
        self.name = name
        type = entry.type
        size = entry.content?.size ?? Int64(entry.target?.utf8.count ?? 0)
        modified = entry.modified
        mode = entry.mode
        n = entry.content?.n
        k = entry.content?.k
        target = entry.target
    }
}

/// `GET /v1/list/PATH?after=NAME&limit=1000`
public struct ListReply: Sendable, Codable {
    public var entries: [ListItem]
    /// Give this as `after` for the next page; nil on the last.
    public var next: EntryName?
    public init(entries: [ListItem], next: EntryName?) {
        self.entries = entries
        self.next = next
    }
}

/// One holder of a file: `GET /v1/where/PATH` answers an array of these.
public struct Location: Sendable, Codable, Hashable {
    public var server: ServerName
    public var address: String
    public var state: ServerState
    /// From a slave only: seconds since what it says was known to be so.
    public var age: Double?
    public init(server: ServerName, address: String, state: ServerState, age: Double? = nil) {
        self.server = server
        self.address = address
        self.state = state
        self.age = age
    }
}

/// `GET /v1/usage/PATH`: a whole tree added up.
public struct UsageReply: Sendable, Codable, Hashable {
    public var path: String
    public var files: Int64
    public var directories: Int64
    /// Sizes of files, once each.
    public var bytes: Int64
    /// Sizes times counted copies.
    public var storedBytes: Int64
    /// Of `storedBytes`: copies beyond the wanted number.
    public var spareBytes: Int64
    /// Beside all these: copies of what was removed from there.
    public var trashBytes: Int64
    public init(
        path: String, files: Int64, directories: Int64, bytes: Int64, storedBytes: Int64, spareBytes: Int64,
        trashBytes: Int64
    ) {
        self.path = path
        self.files = files
        self.directories = directories
        self.bytes = bytes
        self.storedBytes = storedBytes
        self.spareBytes = spareBytes
        self.trashBytes = trashBytes
    }
}

/// `PUT /v1/directories/PATH?parents=true`; the body may be empty.
public struct DirectoryRequest: Sendable, Codable {
    public var mode: Int?
    public var modified: Timestamp?
    public init(mode: Int? = nil, modified: Timestamp? = nil) {
        self.mode = mode
        self.modified = modified
    }
}

/// `PUT /v1/symlinks/PATH?parents=true`
public struct SymlinkRequest: Sendable, Codable {
    public var target: String
    public var modified: Timestamp?
    public init(target: String, modified: Timestamp? = nil) {
        self.target = target
        self.modified = modified
    }
}

/// `POST /v1/rename`
public struct RenameRequest: Sendable, Codable {
    public var from: BrimPath
    public var to: BrimPath
    /// Whether a file (or an empty directory, by a directory) at `to` is replaced.
    public var replace: Bool?
    public init(from: BrimPath, to: BrimPath, replace: Bool? = nil) {
        self.from = from
        self.to = to
        self.replace = replace
    }
}

/// `PATCH /v1/files/PATH`
public struct ChangeRequest: Sendable, Codable {
    /// Of a file, or of a directory for what is made below.
    public var n: Int?
    /// Whether n is left to policies again.
    public var resetN: Bool?
    /// A null removes the attribute.
    public var attributes: [String: AttributeValue?]?
    public var mode: Int?
    public var modified: Timestamp?
    public init(
        n: Int? = nil, resetN: Bool? = nil, attributes: [String: AttributeValue?]? = nil, mode: Int? = nil,
        modified: Timestamp? = nil
    ) {
        self.n = n
        self.resetN = resetN
        self.attributes = attributes
        self.mode = mode
        self.modified = modified
    }
}

/// `POST /v1/copies/PATH`: another n for a directory and all that is below.
public struct TreeChangeRequest: Sendable, Codable {
    /// nil: what policies say.
    public var n: Int?
    public init(n: Int?) { self.n = n }
}

public struct TreeChangeReply: Sendable, Codable {
    /// Files that have another n, or have theirs for another reason, than before.
    public var files: Int64
    /// Directories gone through.
    public var directories: Int64
    public init(files: Int64, directories: Int64) {
        self.files = files
        self.directories = directories
    }
}

/// `DELETE /v1/files/PATH?recursive=true&now=true`
public struct RemoveReply: Sendable, Codable {
    public var files: Int64
    public var directories: Int64
    public init(files: Int64, directories: Int64) {
        self.files = files
        self.directories = directories
    }
}
