import BrimModel
import BrimPlacement

/// Where a swarm's metadata lives, in the words of the domain.
///
/// Two stores implement it: `MongoMetadataStore`, and an in-memory one for tests and simulation. One conformance suite
/// runs against both. All methods throw `BrimError`; `.unavailable` and `.timeout` mean that the outcome is unknown and
/// that the same call may be made again.
///
/// Every method that changes replicas, n or k takes the `ServerView` to count with, and sets k, readable and surplus
/// from `replicas` in the same atomic update.
public protocol MetadataStore: NamespaceStore, LeaseStore, ServerStore, LifecycleStore, ReplicaStore, TrashStore,
    DeletionStore, EventStore, SettingsStore, ChangeStore, DrillStore, PolicyStore,
    ForesightStore, Sendable
{
    /// Creates collections, indexes, validators, views, the root directory and counters where missing, and returns the
    /// swarm's id, made at the first call. May be called by several masters at once. `passwordProof` is kept at the
    /// first call; a later one that differs throws `.denied` (another password).
    func prepare(passwordProof: String) async throws -> String

    /// Frees connections and threads.
    func close() async

    /// Ends transactions that this swarm's masters have begun and not gone on with for `idle`, because they died or
    /// hang: what they would have written is not written, and is in nobody's way. Returns how many.
    func endStalledTransactions(after idle: Duration) async throws -> Int
}

// MARK: - Namespace

public protocol NamespaceStore: Sendable {
    /// The entries along a path, the root first. Stops early at a missing entry or below a non-directory, so the path
    /// exists just when the count is one more than that of the components.
    func resolve(_ path: BrimPath) async throws -> [Entry]

    func entry(_ id: FileID) async throws -> Entry?

    /// The live entry of this name, if there is one.
    func entry(at place: EntryPlace) async throws -> Entry?

    /// The live entries of these names in a directory.
    func entries(in directory: FileID, names: [EntryName]) async throws -> [EntryName: Entry]

    /// Live entries of a directory in byte order of their names, those after `after` only, at most `limit`.
    func list(_ directory: FileID, after: EntryName?, limit: Int) async throws -> [Entry]

    /// What became of a request that carried this id, within the last day; nil: nothing yet. A change that carries the id of
    /// one that was done or refused is not made, and throws `.conflict`.
    func outcome(of request: String) async throws -> RequestOutcome?

    /// Notes that a request is refused, so that nobody who is still at it elsewhere carries it out, and returns what became of
    /// it: it may have been done, or refused otherwise, meanwhile.
    func refuse(_ request: String, with error: BrimError) async throws -> RequestOutcome

    /// Makes a directory or symbolic link. Throws `.exists` when the name is taken, `.notFound` when the parent is gone.
    func create(_ entry: NewEntry) async throws -> Entry

    /// Enters a gathered batch of finished writes, each its own outcome in the order given: one transaction for all, and
    /// each alone when that fails. Applied once however often it is asked (by `request`).
    ///
    /// An overwrite keeps the entry's id, attributes and an n that somebody set, raises version and rev, and
    /// keeps the version that it replaces among the file's former ones (see `settleVersions`). Failures: `.notFound` (parent gone), `.isDirectory` (the name is a
    /// directory or symlink), `.precondition`, `.conflict` (the blob was abandoned).
    func commit(_ writes: [BlobCommit], view: ServerView) async throws -> [Result<CommitOutcome, BrimError>]

    /// Moves an entry, found at `from`, to another name. A file at the target is replaced when `replace`: it becomes trash
    /// that was removed from `path`. A directory there must be empty. Throws `.notFound`, `.exists`, `.notEmpty`, `.notDirectory`,
    /// `.isDirectory`, and `.invalid` for a directory moved below itself.
    func rename(
        _ id: FileID, from: EntryPlace, to: EntryPlace, path: String, replace: Bool, view: ServerView, request: String?
    ) async throws -> Entry

    /// Removes entries as they were read (same id, place and rev). Files become trash, which keeps its copies until their
    /// room is needed; with `now`, and where there is no copy, they leave tombstones for their blob and for all their old
    /// versions. Directories must be empty, and leave nothing, as do links.
    /// One outcome each: nil for done, `.notFound` when already gone, `.conflict` when changed since, `.notEmpty`. The
    /// request is one that was made when all are done.
    func remove(_ removals: [Removal], now: Bool, view: ServerView, request: String?) async throws -> [BrimError?]

    /// Changes n, attributes (nil removes one), mode or modified of an entry. With `rev` only if it still has that; else
    /// `.conflict`.
    func update(_ id: FileID, _ change: EntryChange, ifRev rev: Int64?, view: ServerView) async throws -> Entry

    /// Returns when reads show whatever changes of names have met so far. A change sees what another one did a moment before
    /// others do, who are shown it when it cannot be lost any more: so whoever finds that what was read is no more, and reads
    /// again, may find it still there.
    func catchUp() async throws

    /// Sums over the direct children of these directories.
    func summarize(_ directories: [FileID]) async throws -> DirectorySummary
}

/// A name in a directory.
public struct EntryPlace: Sendable, Hashable {
    public var parent: FileID
    public var name: EntryName
    public init(parent: FileID, name: EntryName) {
        self.parent = parent
        self.name = name
    }
}

/// A directory or symbolic link to be made.
public struct NewEntry: Sendable {
    public var place: EntryPlace
    public var type: EntryType
    public var mode: Int
    public var modified: Timestamp
    /// Symbolic links only.
    public var target: String?
    /// The id of the request, if it has one.
    public var request: String?
    public init(
        place: EntryPlace, type: EntryType, mode: Int, modified: Timestamp, target: String? = nil,
        request: String? = nil
    ) {
        self.place = place
        self.type = type
        self.mode = mode
        self.modified = modified
        self.target = target
        self.request = request
    }
}

/// The same without ids of requests and without conditions.
extension NamespaceStore {
    public func update(_ id: FileID, _ change: EntryChange, view: ServerView) async throws -> Entry {
        try await update(id, change, ifRev: nil, view: view)
    }

    public func rename(
        _ id: FileID, from: EntryPlace, to: EntryPlace, path: String, replace: Bool, view: ServerView
    ) async throws -> Entry {
        try await rename(id, from: from, to: to, path: path, replace: replace, view: view, request: nil)
    }

    public func remove(_ removals: [Removal], now: Bool, view: ServerView) async throws -> [BrimError?] {
        try await remove(removals, now: now, view: view, request: nil)
    }
}

/// What must hold of the entry that a write replaces.
public enum Precondition: Sendable, Hashable {
    case none
    /// `If-None-Match: *`
    case absent
    /// `If-Match: "version"`
    case version(Int64)
    /// `If-Match: *`
    case present
}

/// What became of a request that carried an id.
public enum RequestOutcome: Sendable, Equatable {
    /// With the entry as it was then, where it is about one that is left.
    case done(Entry?)
    case refused(BrimError)
}

/// A finished write: its blob is durable on every server in `replicas`.
public struct BlobCommit: Sendable {
    /// Names this commit; asking again with the same one has no second effect.
    public var request: String
    public var place: EntryPlace
    public var blob: BlobID
    public var size: Int64
    public var checksum: Checksum
    public var replicas: [ServerName]
    public var mode: Int
    public var modified: Timestamp
    /// The n the writer asked for. Without it a file whose n somebody set keeps that, and others have what `policy` says.
    public var explicitN: Int?
    public var policy: PolicyChoice
    /// Merged into the entry's attributes.
    public var attributes: [String: AttributeValue]
    public var precondition: Precondition

    public init(
        request: String, place: EntryPlace, blob: BlobID, size: Int64, checksum: Checksum, replicas: [ServerName],
        mode: Int, modified: Timestamp, explicitN: Int?, policy: PolicyChoice,
        attributes: [String: AttributeValue] = [:],
        precondition: Precondition = .none
    ) {
        self.request = request
        self.place = place
        self.blob = blob
        self.size = size
        self.checksum = checksum
        self.replicas = replicas
        self.mode = mode
        self.modified = modified
        self.explicitN = explicitN
        self.policy = policy
        self.attributes = attributes
        self.precondition = precondition
    }
}

public struct CommitOutcome: Sendable {
    public var entry: Entry
    /// False for an overwrite.
    public var created: Bool
    public init(entry: Entry, created: Bool) {
        self.entry = entry
        self.created = created
    }
}

public struct EntryChange: Sendable {
    public var copies: CopiesChange?
    public var attributes: [String: AttributeValue?]
    public var mode: Int?
    public var modified: Timestamp?
    public init(
        n: Int? = nil, attributes: [String: AttributeValue?] = [:], mode: Int? = nil, modified: Timestamp? = nil
    ) {
        copies = n.map { .explicit($0) }
        self.attributes = attributes
        self.mode = mode
        self.modified = modified
    }
}

/// Another n. Refused with `.isDirectory` for a symbolic link.
public enum CopiesChange: Sendable, Hashable {
    /// Somebody says so, 1…`Limits.maxCopies`: of a file, or of a directory for what is made below.
    case explicit(Int)
    /// Of a file only: whatever it was, it is left to policies, which say this.
    case chosen(PolicyChoice)
    /// Of a directory only: it has none of its own.
    case none
}

public struct DirectorySummary: Sendable, Hashable {
    /// Regular files.
    public var files: Int64 = 0
    /// Their sizes, once each.
    public var bytes: Int64 = 0
    /// Their sizes times k.
    public var storedBytes: Int64 = 0
    /// Their sizes times their surplus where that is positive.
    public var spareBytes: Int64 = 0
    public var subdirectories: [FileID] = []
    public init() {}
}

// MARK: - Servers

public protocol ServerStore: Sendable {
    /// All servers, by name.
    func servers() async throws -> [ServerRecord]

    /// Enters a server that says hello. The first time it is entered as `down`, with its quota; later its address, zone,
    /// version and usage are refreshed and `requestedQuota`, when it differs from what was last requested, sets the
    /// quota; so for the zone. Throws `.exists` when another id uses the name, `.forgotten` for an id that was forgotten,
    /// `.unavailable` while it is being forgotten.
    func join(_ hello: ServerHello) async throws -> ServerRecord

    /// Notes what a server says of itself. Throws `.notFound` when no server has this name and id.
    func noteHeartbeat(_ name: ServerName, id: String, usage: ServerUsage, load: ServerLoad, at: Timestamp) async throws

    /// Changes the state if it is still `from`; false if it was not. Throws `.conflict` when a leader of a later term than
    /// `term` has claimed the servers.
    func setState(_ name: ServerName, from: ServerState, to: ServerState, term: Int64) async throws -> Bool

    func setQuota(_ name: ServerName, _ quota: Int64) async throws

    /// Notes that a complete report, begun at `at`, has been reconciled.
    func noteReport(_ name: ServerName, at: Timestamp) async throws

    /// The published view, epoch 0 and empty before the first.
    func view() async throws -> ServerView

    /// Publishes the sets with the next epoch, if `term` is still the latest; throws `.conflict` otherwise.
    func publishView(
        counted: [ServerName], readable: [ServerName], up: [ServerName], forgotten: [ServerName], term: Int64
    ) async throws -> ServerView
}

extension ServerStore {
    /// Publishes a view in which nobody is being forgotten.
    public func publishView(
        counted: [ServerName], readable: [ServerName], up: [ServerName], term: Int64
    ) async throws -> ServerView {
        try await publishView(counted: counted, readable: readable, up: up, forgotten: [], term: term)
    }
}

public struct ServerHello: Sendable {
    public var name: ServerName
    public var id: String
    public var address: String
    public var zone: String
    public var version: String
    public var requestedQuota: Int64
    public var usage: ServerUsage
    public init(
        name: ServerName, id: String, address: String, zone: String, version: String, requestedQuota: Int64,
        usage: ServerUsage
    ) {
        self.name = name
        self.id = id
        self.address = address
        self.zone = zone
        self.version = version
        self.requestedQuota = requestedQuota
        self.usage = usage
    }
}

/// One document of `servers`.
public struct ServerRecord: Sendable, Hashable {
    public var name: ServerName
    /// Random, made by the slave with its data directory.
    public var id: String
    /// `host:port` where peers and clients reach it.
    public var address: String
    public var zone: String
    public var version: String
    public var state: ServerState
    public var quota: Int64
    /// The `--quota` the slave last started with.
    public var requestedQuota: Int64
    public var usage: ServerUsage
    public var load: ServerLoad
    public var heartbeat: Timestamp
    /// When the last complete report was begun; nil before the first.
    public var report: Timestamp?
    /// The epoch of the last view that its files were fully recounted for.
    public var recount: RecountProgress?
    /// The `--zone` the slave last started with.
    public var requestedZone: String
    /// Since when it is to be emptied; nil unless it is.
    public var drain: Timestamp?
    /// Set while it is being forgotten.
    public var forget: ForgetMark?

    public init(
        name: ServerName, id: String, address: String, zone: String, version: String, state: ServerState, quota: Int64,
        requestedQuota: Int64, usage: ServerUsage, load: ServerLoad, heartbeat: Timestamp, report: Timestamp? = nil,
        recount: RecountProgress? = nil, requestedZone: String? = nil, drain: Timestamp? = nil,
        forget: ForgetMark? = nil
    ) {
        self.name = name
        self.id = id
        self.address = address
        self.zone = zone
        self.version = version
        self.state = state
        self.quota = quota
        self.requestedQuota = requestedQuota
        self.usage = usage
        self.load = load
        self.heartbeat = heartbeat
        self.report = report
        self.recount = recount
        self.requestedZone = requestedZone ?? zone
        self.drain = drain
        self.forget = forget
    }
}

/// The sets that k and readable are computed from, as the leader published them.
public struct ServerView: Sendable, Hashable {
    public var epoch: Int64
    /// Servers whose copies count: up or suspect, and not draining.
    public var counted: Set<ServerName>
    /// Servers whose copies can be read: up, suspect or draining.
    public var readable: Set<ServerName>
    /// Servers that answer and take copies: up and not draining.
    public var up: Set<ServerName>
    /// Servers that become no holders any more: being forgotten, or forgotten lately.
    public var forgotten: Set<ServerName>
    public init(
        epoch: Int64, counted: Set<ServerName>, readable: Set<ServerName>, up: Set<ServerName>,
        forgotten: Set<ServerName> = []
    ) {
        self.epoch = epoch
        self.counted = counted
        self.readable = readable
        self.up = up
        self.forgotten = forgotten
    }
}

/// How far the recount of one server's files has come; kept in its document so that another leader goes on.
public struct RecountProgress: Sendable, Hashable {
    /// The view's epoch it counts for.
    public var epoch: Int64
    /// Files up to and including this position are done; nil at the start.
    public var after: RecountPosition?
    public var finished: Bool
    public init(epoch: Int64, after: RecountPosition? = nil, finished: Bool = false) {
        self.epoch = epoch
        self.after = after
        self.finished = finished
    }
}

public struct RecountPosition: Sendable, Hashable {
    public var surplus: Int
    public var file: FileID
    public init(surplus: Int, file: FileID) {
        self.surplus = surplus
        self.file = file
    }
}

// MARK: - Replicas

public protocol ReplicaStore: Sendable {
    /// Files that could take one more copy, fewest surplus first, then smallest, then by id; strictly after `after`.
    /// Readable live files only. `brims` are the brims of the counted servers: a file with k counted copies can take
    /// another only if k < min(`maxCopies`, servers) and its size fits the (k+1)-th largest brim.
    func neediest(after: NeedyPosition?, limit: Int, brims: [Int64], maxCopies: Int) async throws -> [Entry]

    /// Brings what people see of `neediest` in a shell up to date with the servers; of no effect on decisions.
    func refreshViews(brims: [Int64], maxCopies: Int) async throws

    /// Copies on a server by surplus, most first, with at least `minSurplus`; ties in falling order of file id. Trash and
    /// old versions come before all others.
    func richest(on server: ServerName, minSurplus: Int, limit: Int) async throws -> [Victim]

    /// The most surplus of a live file that a server holds; nil when it holds none.
    func maxSurplus(on server: ServerName) async throws -> Int?

    /// What a server could give up.
    func reclaimable(on server: ServerName) async throws -> Reclaimable

    /// Least and most surplus over readable live files; nil when there is none.
    func surplusBounds() async throws -> ClosedRange<Int>?

    /// Readable live files by surplus, rising; and those without a readable copy.
    func histogram() async throws -> SurplusHistogram

    /// Enters copies: where file and blob are still the same and live, the server is added to `replicas`. One answer
    /// each: whether the server is in `replicas` of that blob afterwards.
    func addReplicas(_ changes: [ReplicaChange], view: ServerView) async throws -> [Bool]

    /// Gives copies up, each by one conditional update: still this blob on this server, surplus at least `minSurplus`, and
    /// at least one other holder in `view.up`. The last is not asked of trash and old versions: when the last copy of one
    /// goes, its document does too, and leaves a tombstone; with a removed file go its old versions.
    /// One answer each: whether the server is gone from `replicas` by this call.
    func giveUp(_ changes: [ReplicaChange], minSurplus: [Int], view: ServerView) async throws -> [Bool]

    /// Takes a server off files, trash and old versions whose blob it says it has lost. Trash of which nothing is left
    /// goes, as when it is given up.
    func loseReplicas(_ changes: [ReplicaChange], view: ServerView) async throws

    /// Sets k, readable and surplus of the next files held by `server` for the view's epoch: lowest surplus first when
    /// `rising` is false, highest first when true; stores the progress in the server's document and returns it.
    func recount(_ server: ServerName, from progress: RecountProgress, rising: Bool, limit: Int, view: ServerView)
        async throws -> RecountProgress

    /// Enters copies that a server was found to hold, as `addReplicas` does, of trash and old versions too.
    func adopt(_ changes: [ReplicaChange], view: ServerView) async throws -> [Bool]

    /// What these blobs belong to, as of one moment; of those that are missing nothing is known.
    func owners(of blobs: [BlobID]) async throws -> [BlobID: BlobOwner]

    /// The live files whose current blob is one of these. Other blobs may still be in use: see `owners`.
    func files(withBlobs blobs: [BlobID]) async throws -> [BlobID: Entry]

    /// Blobs that metadata places on a server, trash and old versions included, in order of their ids, in `after < id ≤ through`, at most `limit`.
    func blobs(on server: ServerName, after: BlobID?, through: BlobID?, limit: Int) async throws -> [ReplicaChange]
}

public struct NeedyPosition: Sendable, Hashable, Comparable {
    public var surplus: Int
    public var size: Int64
    public var file: FileID
    public init(surplus: Int, size: Int64, file: FileID) {
        self.surplus = surplus
        self.size = size
        self.file = file
    }
    public static func < (a: NeedyPosition, b: NeedyPosition) -> Bool {
        (a.surplus, a.size, a.file) < (b.surplus, b.size, b.file)
    }
}

/// One blob of one file on one server.
public struct ReplicaChange: Sendable, Hashable {
    public var file: FileID
    public var blob: BlobID
    public var server: ServerName
    public init(file: FileID, blob: BlobID, server: ServerName) {
        self.file = file
        self.blob = blob
        self.server = server
    }
}

public struct SurplusHistogram: Sendable, Hashable {
    public struct Level: Sendable, Hashable {
        public var surplus: Int
        public var files: Int64
        public var bytes: Int64
        public init(surplus: Int, files: Int64, bytes: Int64) {
            self.surplus = surplus
            self.files = files
            self.bytes = bytes
        }
    }
    /// Readable files.
    public var levels: [Level]
    /// Bytes of these files, each times its n.
    public var wanted: Int64
    /// Files without a readable copy, and their bytes.
    public var unreachableFiles: Int64
    public var unreachableBytes: Int64
    public init(
        levels: [Level] = [], wanted: Int64 = 0, unreachableFiles: Int64 = 0, unreachableBytes: Int64 = 0
    ) {
        self.levels = levels
        self.wanted = wanted
        self.unreachableFiles = unreachableFiles
        self.unreachableBytes = unreachableBytes
    }

    /// Readable files, and their bytes.
    public var files: Int64 { levels.reduce(0) { $0 + $1.files } }
    public var bytes: Int64 { levels.reduce(0) { $0 + $1.bytes } }
}

/// Bytes of copies on a server that may be given up. Of a file with k counted copies, of which some are beyond n, each
/// holder's part is surplus / k: so the sum over the counted servers is what the spare copies take.
public struct Reclaimable: Sendable, Hashable {
    /// Of live files.
    public var spare: Int64
    /// Of removed files and old versions.
    public var trash: Int64
    public init(spare: Int64 = 0, trash: Int64 = 0) {
        self.spare = spare
        self.trash = trash
    }

    /// Adds copies on the server of files with this surplus and k, `bytes` in all.
    package mutating func add(surplus: Int, k: Int, bytes: Int64) {
        if Trash.isTrash(surplus: surplus) {
            trash += bytes
        } else if surplus > 0, k > 0 {
            let (share, k) = (Int64(surplus), Int64(k))
            spare += bytes / k * share + bytes % k * share / k
        }
    }
}

/// Why a copy came or went.
public struct FileEvent: Sendable, Hashable {
    public enum Kind: String, Sendable { case written, copied, givenUp, lost, quarantined, adopted, removed }
    public var file: FileID
    public var blob: BlobID
    public var server: ServerName
    public var kind: Kind
    /// A sentence with its numbers.
    public var reason: String
    public var at: Timestamp
    public init(file: FileID, blob: BlobID, server: ServerName, kind: Kind, reason: String, at: Timestamp) {
        self.file = file
        self.blob = blob
        self.server = server
        self.kind = kind
        self.reason = reason
        self.at = at
    }
}

// MARK: - Deletions

/// Tombstones: blobs that were removed, and the servers that may still hold them.
public protocol DeletionStore: Sendable {
    /// Tombstoned blobs that `server` still has to delete, at most `limit`.
    func pendingDeletions(on server: ServerName, limit: Int) async throws -> [BlobID]

    /// Notes that `server` no longer holds these blobs.
    func deletionsDone(on server: ServerName, _ blobs: [BlobID]) async throws

    /// Notes that `server` still holds these blobs, of which it was not known: it has to delete those that are tombstoned.
    func deletionsDue(on server: ServerName, _ blobs: [BlobID]) async throws

    /// Which of these blobs are tombstoned.
    func tombstoned(_ blobs: [BlobID]) async throws -> Set<BlobID>

    /// Makes sure that blobs whose write was never committed never can be: afterwards a commit of one fails with
    /// `.conflict`. Returns those it abandoned, or had before; the others are in use by files, trash or old versions.
    func abandon(_ blobs: [BlobID]) async throws -> Set<BlobID>

    /// Until when blobs may have been made of which this database knows nothing, since it was restored from a backup or
    /// rebuilt; nil for one that never was. Such blobs may be all that is left of a file: they are not to be abandoned.
    func unknownBlobsUntil() async throws -> Timestamp?

    /// Drops tombstones that every server's last complete report (begun at `before` or later) has outlived.
    func trimTombstones(before: Timestamp) async throws
}
