import BrimMetadata
import BrimModel

/// A `MetadataStore` in memory, for tests and simulation: plain dictionaries, each method obviously right.
///
/// It is the model that the MongoDB store is compared with, so it prefers scans to indexes.
public actor InMemoryMetadataStore: MetadataStore {
    struct Tombstone {
        var at: Timestamp
        var file: FileID
        var servers: Set<ServerName>
    }

    /// A live entry with what callers do not see.
    struct Record {
        var entry: Entry
        /// Of the last commit.
        var request: String?
    }

    let clock: @Sendable () -> Timestamp
    var swarm: (id: String, proof: String)?
    var lastID = FileID.root.rawValue
    var term: Int64 = 0
    var records: [FileID: Record] = [:]
    var places: [EntryPlace: FileID] = [:]
    var abandoned: [BlobID: Timestamp] = [:]
    var tombstones: [BlobID: Tombstone] = [:]
    var serverRecords: [ServerName: ServerRecord] = [:]
    var forgottenServers: [String: ForgottenServer] = [:]
    var published = ServerView(epoch: 0, counted: [], readable: [], up: [])
    /// What was recorded, oldest first.
    public private(set) var events: [FileEvent] = []

    /// `clock` gives the times that the store itself sets.
    public init(clock: @escaping @Sendable () -> Timestamp = { .now }) {
        self.clock = clock
    }

    public func prepare(passwordProof: String) throws -> String {
        if let swarm {
            guard swarm.proof == passwordProof else { throw Refusal.otherPassword }
            return swarm.id
        }
        let now = clock()
        records[.root] = Record(
            entry: Entry(id: .root, parent: nil, name: nil, type: .directory, mode: 0o755, created: now, modified: now))
        let id = String(UInt64.random(in: 0 ... .max), radix: 16)
        swarm = (id, passwordProof)
        return id
    }

    public func beginTerm(holder: String) -> Int64 {
        term += 1
        return term
    }

    public func close() {}

    public func record(_ events: [FileEvent]) {
        self.events += events
    }

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

    /// Takes an entry out, leaving a tombstone for its blob.
    func delete(_ entry: Entry) {
        records[entry.id] = nil
        if let parent = entry.parent, let name = entry.name {
            places[EntryPlace(parent: parent, name: name)] = nil
            touch(parent)
        }
        bury(entry)
    }

    /// Leaves a tombstone for the blob of an entry that is removed or overwritten.
    func bury(_ entry: Entry) {
        guard let content = entry.content else { return }
        tombstones[content.blob] = Tombstone(at: clock(), file: entry.id, servers: Set(content.replicas))
    }
}
