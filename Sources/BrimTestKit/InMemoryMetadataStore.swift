import BrimMetadata
import BrimModel
import BrimPlacement

/// A `MetadataStore` in memory, for tests and simulation: plain dictionaries, each method obviously right.
///
/// It is the model that the MongoDB store is compared with, so it prefers scans to indexes.
public actor InMemoryMetadataStore: MetadataStore {
    struct Tombstone {
        var at: Timestamp
        var file: FileID
        var servers: Set<ServerName>
    }

    /// A live or removed entry with what callers do not see.
    struct Record {
        var entry: Entry
        /// Of the last commit.
        var request: String?
        var former: [FormerVersion] = []
        /// Removed files only.
        var removed: Removed?

        struct Removed {
            var path: String
            var at: Timestamp
            var formerN: Int
            var formerPolicy: String
        }
    }

    /// An old version.
    struct Old {
        var of: FileID
        var version: FormerVersion
    }

    let clock: @Sendable () -> Timestamp
    var swarm: (id: String, proof: String)?
    var lastID = FileID.root.rawValue
    var term: Int64 = 0
    var lease: (holder: String, url: String, expires: Timestamp)?
    /// The latest term in which each server was claimed or judged.
    var claims: [ServerName: Int64] = [:]
    var metMasters: [String: MasterRecord] = [:]
    var requests: [String: RequestOutcome] = [:]
    var records: [FileID: Record] = [:]
    var trash: [FileID: Record] = [:]
    var olds: [FileID: Old] = [:]
    var places: [EntryPlace: FileID] = [:]
    var abandoned: [BlobID: Timestamp] = [:]
    var tombstones: [BlobID: Tombstone] = [:]
    var serverRecords: [ServerName: ServerRecord] = [:]
    var forgottenServers: [String: ForgottenServer] = [:]
    var published = ServerView(epoch: 0, counted: [], readable: [], up: [])
    /// What was recorded, oldest first.
    public internal(set) var events: [FileEvent] = []
    var stored = StoredSettings()
    var lastDrill: DrillReport?
    var storedRules = StoredRules()
    var lastPass: PolicyPass?
    var growthSamples: [Growth.Sample] = []
    var readsDue: [FileID: Timestamp] = [:]
    var faults: [FaultyCall: (fault: Fault, times: Int)] = [:]
    var changeLog = ChangeLog()

    /// `clock` gives the times that the store itself sets.
    public init(clock: @escaping @Sendable () -> Timestamp = { .now }) {
        self.clock = clock
    }

    public func prepare(passwordProof: String) throws -> String {
        if let swarm {
            guard swarm.proof == passwordProof else { throw Refusal.otherPassword(database: "memory") }
            return swarm.id
        }
        let now = clock()
        records[.root] = Record(
            entry: Entry(id: .root, parent: nil, name: nil, type: .directory, mode: 0o755, created: now, modified: now))
        let id = String(UInt64.random(in: 0 ... .max), radix: 16)
        swarm = (id, passwordProof)
        return id
    }

    public func close() {}

    /// Nothing is begun here that is not finished at once.
    public func endStalledTransactions(after idle: Duration) -> Int { 0 }

    // MARK: What the topics share

    var files: some Sequence<(entry: Entry, content: FileContent)> {
        records.values.lazy.compactMap { record in record.entry.content.map { (record.entry, $0) } }
    }

    func takeID() -> FileID {
        lastID += 1
        return FileID(lastID)
    }

    /// The directory that `place` is in. Throws `.notFound`, `.notDirectory`.
    @discardableResult
    func directory(of place: EntryPlace) throws -> Entry {
        guard let parent = records[place.parent]?.entry else { throw Refusal.parentGone(place) }
        guard parent.type == .directory else { throw Refusal.notDirectory(place.name) }
        return parent
    }

    func isEmpty(_ directory: FileID) -> Bool {
        !records.values.contains { $0.entry.parent == directory }
    }

    /// A directory's time of change is that of its list of names.
    func touch(_ directory: FileID) {
        records[directory]?.entry.modified = clock()
    }

    func insert(_ record: Record, at place: EntryPlace) {
        records[record.entry.id] = record
        places[place] = record.entry.id
        touch(place.parent)
    }

    /// Takes an entry out of the namespace: a file that has copies becomes trash, unless `now`.
    func takeOut(_ removal: Removal, now isNow: Bool, view: ServerView) {
        let entry = removal.entry
        if let parent = entry.parent, let name = entry.name {
            places[EntryPlace(parent: parent, name: name)] = nil
            touch(parent)
        }
        guard var record = records.removeValue(forKey: entry.id), let content = entry.content else { return }
        let at = clock()
        record.entry.rev += 1
        record.entry.content = content.with(n: Trash.n(at: at), policy: PolicyName.trash, view: view)
        record.removed = Record.Removed(
            path: removal.path, at: at, formerN: content.n, formerPolicy: content.policy)
        trash[entry.id] = record
        if isNow || content.replicas.isEmpty { bury(entry.id) }
    }

    /// Deletes a removed file with all its versions, or an old version, leaving tombstones.
    @discardableResult
    func bury(_ id: FileID) -> Purged {
        var buried = Purged()
        func bury(_ content: FileContent, of file: FileID) {
            tombstones[content.blob] = Tombstone(at: clock(), file: file, servers: Set(content.replicas))
            buried.files += 1
            buried.bytes += content.size * Int64(content.replicas.count)
        }
        if let record = trash.removeValue(forKey: id) {
            if let content = record.entry.content { bury(content, of: id) }
            for version in record.former { bury(version.content, of: id) }
            for (oldID, old) in olds where old.of == id {
                bury(old.version.content, of: id)
                olds[oldID] = nil
            }
        }
        if let old = olds.removeValue(forKey: id) { bury(old.version.content, of: old.of) }
        return buried
    }

    /// What a file holds becomes a former version, or leaves a tombstone where it cannot.
    func discardVersion(of record: inout Record) {
        guard var content = record.entry.content else { return }
        guard !content.replicas.isEmpty, record.former.count < Limits.formerVersions else {
            tombstones[content.blob] = Tombstone(
                at: clock(), file: record.entry.id, servers: Set(content.replicas))
            return
        }
        content.n = Trash.n(at: clock())
        (content.policy, content.reads) = (PolicyName.trash, nil)
        content.k = content.replicas.count
        content.readable = true
        record.former.append(
            FormerVersion(content: content, modified: record.entry.modified, discarded: clock()))
    }
}
