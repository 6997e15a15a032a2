import BrimModel

/// Removed files and old versions: kept, brought back, and buried.
///
/// A file is *live*; then it may be removed, which makes its document *trash*. A version that is overwritten first waits in
/// its file's document (*former*), until it becomes an *old* document of its own. All of these keep their copies and have
/// an n of `Trash.n(at:)`. To bury one is to delete its document and leave a tombstone for its blob, in one transaction.
public protocol TrashStore: Sendable {
    /// Removed files, by path in order of bytes, of one path the last removed first; strictly after `after`.
    func removedFiles(_ scope: TrashScope, after: TrashPosition?, limit: Int) async throws -> [RemovedFile]

    /// The trash with this id; nil when it is live again, was buried, or never was.
    func removedFile(_ id: FileID) async throws -> RemovedFile?

    /// Makes a removed file live again under a name, with its id, the n it had, and its old versions. Throws `.notFound`
    /// when it is not in the trash any more or the directory is missing, `.exists` when the name is taken, `.notDirectory`.
    func undelete(_ id: FileID, to place: EntryPlace, view: ServerView, request: String?) async throws -> Entry

    /// Versions that a live or removed file had, without its current one: newest first, those below `before` only.
    func formerVersions(of file: FileID, before: Int64?, limit: Int) async throws -> [FormerVersion]

    /// Makes a former version the current one of a live file, as a new version: its blob and copies move, the file keeps
    /// its n, and what was current becomes a former version. No effect when it is the current one. Throws `.notFound` when
    /// file or version are not there any more.
    func restore(_ version: Int64, of file: FileID, view: ServerView, request: String?) async throws -> Entry

    /// Makes former versions documents of their own, of these files or of all, at most about `limit`; returns how many
    /// there were. To be repeated until that is 0. Does each once, however often and by however many it is called.
    func settleVersions(of files: [FileID]?, limit: Int, view: ServerView) async throws -> Int

    /// Buries removed files (each with its old versions) or old versions, discarded before a time, at most `limit`. To be
    /// repeated until nothing was buried.
    func purge(_ scope: PurgeScope, before: Timestamp?, limit: Int) async throws -> Purged

    /// Files and old versions in the trash, and the bytes of all their counted copies; with a scope, removed files alone.
    func trashTotals(_ scope: TrashScope?) async throws -> TrashTotals
}

/// The same without ids of requests.
extension TrashStore {
    public func undelete(_ id: FileID, to place: EntryPlace, view: ServerView) async throws -> Entry {
        try await undelete(id, to: place, view: view, request: nil)
    }

    public func restore(_ version: Int64, of file: FileID, view: ServerView) async throws -> Entry {
        try await restore(version, of: file, view: view, request: nil)
    }
}

/// An entry to be removed, as it was read, and the path that it is removed from.
public struct Removal: Sendable, Hashable {
    public var entry: Entry
    /// For people, and to find it again. Not a `BrimPath`: what was moved may lie deeper than one reaches.
    public var path: String
    public init(_ entry: Entry, path: String) {
        self.entry = entry
        self.path = path
    }
}

public enum TrashScope: Sendable, Hashable {
    /// Removed from exactly this path.
    case at(String)
    /// Removed from any path below this directory.
    case below(String)
}

/// A removed file in the order of a listing.
public struct TrashPosition: Sendable, Hashable {
    public var path: String
    /// Only its milliseconds count.
    public var removed: Timestamp
    public var file: FileID
    public init(path: String, removed: Timestamp, file: FileID) {
        self.path = path
        self.removed = removed
        self.file = file
    }
}

/// A file in the trash.
public struct RemovedFile: Sendable, Hashable {
    /// Its content has the n of trash.
    public var entry: Entry
    public var path: String
    public var removed: Timestamp
    /// The n it had, and will have again.
    public var formerN: Int
    public init(entry: Entry, path: String, removed: Timestamp, formerN: Int) {
        self.entry = entry
        self.path = path
        self.removed = removed
        self.formerN = formerN
    }
    public var position: TrashPosition { TrashPosition(path: path, removed: removed, file: entry.id) }
}

/// A version that was overwritten.
public struct FormerVersion: Sendable, Hashable {
    /// Its n is that of trash.
    public var content: FileContent
    /// The file's time of modification then.
    public var modified: Timestamp
    /// When it was overwritten.
    public var discarded: Timestamp
    public init(content: FileContent, modified: Timestamp, discarded: Timestamp) {
        self.content = content
        self.modified = modified
        self.discarded = discarded
    }
}

/// What has a blob.
public struct BlobOwner: Sendable, Hashable {
    public enum Kind: Sendable, Hashable { case live, trash, old, former }
    public var kind: Kind
    /// The document that names the blob: the file, or the old version.
    public var file: FileID
    public var content: FileContent
    public init(kind: Kind, file: FileID, content: FileContent) {
        self.kind = kind
        self.file = file
        self.content = content
    }
}

/// What a purge buries.
public enum PurgeScope: Sendable, Hashable {
    case all(trash: Bool, versions: Bool)
    /// Removed files.
    case removed(TrashScope)
    /// Old versions of these files.
    case versions(of: [FileID])
}

public struct Purged: Sendable, Hashable {
    /// Removed files and old versions.
    public var files: Int64
    /// The bytes of all their copies.
    public var bytes: Int64
    public init(files: Int64 = 0, bytes: Int64 = 0) {
        self.files = files
        self.bytes = bytes
    }
}

public struct TrashTotals: Sendable, Hashable {
    public var files: Int64
    public var bytes: Int64
    public init(files: Int64 = 0, bytes: Int64 = 0) {
        self.files = files
        self.bytes = bytes
    }
}

extension Refusal {
    package static func notInTrash(_ id: FileID) -> BrimError {
        BrimError(
            .notFound, "the removed file \(id) cannot be brought back: its room was needed, or it was purged",
            advice: "brim undelete --list shows what is left")
    }
    package static func versionGone(_ version: Int64) -> BrimError {
        BrimError(
            .notFound, "version \(version) is not kept any more: its room was needed, or it was purged",
            advice: "brim versions lists those that are left")
    }
    package static func noVersion(_ version: Int64) -> BrimError {
        BrimError(.notFound, "there has not been a version \(version)", advice: "brim versions lists them")
    }
}
