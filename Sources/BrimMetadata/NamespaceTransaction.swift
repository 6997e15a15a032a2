import BrimModel
import MongoDriver

/// What happens to names within one transaction: blocking, and perhaps run more than once.
///
/// Whoever enters or removes a name writes the directory that it is in. Without that a directory could be removed while
/// an entry is made in it, as each transaction sees the database as it was when it began.
struct NamespaceTransaction {
    let files, deletions, counters, requests: MongoTransactionCollection
    let now: Timestamp

    init(_ transaction: MongoTransaction, _ collections: Collections, now: Timestamp) {
        files = transaction.on(collections.files)
        deletions = transaction.on(collections.deletions)
        counters = transaction.on(collections.counters)
        requests = transaction.on(collections.requests)
        self.now = now
    }

    /// Throws `.conflict` when a request was done or refused before.
    func check(_ request: String?) throws {
        guard let request else { return }
        guard try requests.findOne(["_id": .string(request)]) == nil else { throw Refusal.requestDone }
    }

    /// Notes that a request is done, with all that the transaction does, and what came of it.
    func enter(_ request: String?, _ entry: Entry? = nil) throws {
        guard let request else { return }
        try requests.insertOne(Documents.done(request, entry, at: now))
    }

    static func live(_ id: FileID) -> BSONDocument { ["_id": .id(id), "state": "live"] }

    static func live(_ place: EntryPlace) -> BSONDocument {
        ["state": "live", "parent": .id(place.parent), "name": .string(place.name.text)]
    }

    func find(_ id: FileID) throws -> Entry? { try files.findOne(Self.live(id)).map(Documents.entry) }
    func find(_ place: EntryPlace) throws -> Entry? { try files.findOne(Self.live(place)).map(Documents.entry) }

    /// Throws `.notFound` or `.notDirectory` if there is no directory for this place.
    func requireDirectory(of place: EntryPlace) throws {
        guard let parent = try find(place.parent) else { throw Refusal.parentGone(place) }
        guard parent.type == .directory else { throw Refusal.notDirectory(place.name) }
    }

    func isEmpty(_ directory: FileID) throws -> Bool {
        try files.findOne(["state": "live", "parent": .id(directory)], FindOptions(projection: ["_id": 1])) == nil
    }

    /// Writes directories whose list of names changes. `changes` makes it a change in any case: MongoDB does not see a
    /// conflict in writing what is there already.
    func touch(_ directories: Set<FileID>) throws {
        guard !directories.isEmpty else { return }
        var times = BSONDocument()
        times.append(time: now, as: "modified")
        times.append(time: now, as: "changed")
        let filter: BSONDocument = [
            "_id": ["$in": .ids(directories.sorted())], "state": "live", "type": "directory",
        ]
        let result = try files.updateMany(filter, ["$inc": ["changes": 1], "$set": .document(times)])
        guard result.matched == directories.count else {
            throw BrimError(.conflict, "a directory vanished while its entries were changed")
        }
    }

    /// Leaves tombstones for blobs that are removed or overwritten.
    func bury(_ entries: [Entry]) throws {
        let tombstones = entries.compactMap { entry in
            entry.content.map { Documents.tombstone($0.blob, on: $0.replicas, of: entry.id, at: now) }
        }
        try deletions.insertMany(tombstones)
    }

    // MARK: Rename

    /// A file that is replaced becomes trash, removed from `path`.
    func rename(
        _ id: FileID, from: EntryPlace, to: EntryPlace, path: String, replace: Bool, view: ServerView
    ) throws -> Entry {
        guard let entry = try find(id), entry.parent == from.parent, entry.name == from.name else {
            throw Refusal.gone(from)
        }
        if from == to { return entry }
        if entry.type == .directory, from.parent != to.parent {
            // Moves of directories one after the other: two at once could put each below the other.
            try counters.updateOne(["_id": "directoryMoves"], ["$inc": ["value": 1]], upsert: true)
        }
        try requireDirectory(of: to)
        if entry.type == .directory, try isBelow(to.parent, id) { throw Refusal.belowItself(from.name) }
        if let target = try find(to) {
            try checkReplacing(target, by: entry, at: to, replace: replace)
            try takeOut([Removal(target, path: path)], now: false, view: view)
        }
        try touch([from.parent, to.parent])
        var fields: BSONDocument = ["parent": .id(to.parent), "name": .string(to.name.text)]
        fields.append(time: now, as: "changed")
        let moved = try files.findOneAndUpdate(
            Self.live(id), ["$set": .document(fields), "$inc": ["rev": 1]], returnNew: true)
        guard let moved else { throw Refusal.gone(from) }
        return try Documents.entry(moved)
    }

    private func checkReplacing(_ target: Entry, by entry: Entry, at place: EntryPlace, replace: Bool) throws {
        guard replace else { throw Refusal.exists(place.name) }
        switch (entry.type, target.type) {
        case (.directory, .directory):
            guard try isEmpty(target.id) else { throw Refusal.notEmpty(place.name) }
        case (.directory, _): throw Refusal.notDirectory(place.name)
        case (_, .directory): throw Refusal.isDirectory(place.name, .directory)
        default: break
        }
    }

    /// Whether `id` is `ancestor` or lies below it.
    private func isBelow(_ id: FileID, _ ancestor: FileID) throws -> Bool {
        var next: FileID? = id
        while let current = next {
            if current == ancestor { return true }
            next = try find(current)?.parent
        }
        return false
    }

    // MARK: Remove

    /// One outcome per entry, nil for done; each sees what those before it did.
    func remove(_ removals: [Removal], now isNow: Bool, view: ServerView) throws -> [BrimError?] {
        let ids = removals.map { BSONValue.id($0.entry.id) }
        var present: [FileID: Entry] = [:]
        for document in try files.find(["_id": ["$in": .array(ids)], "state": "live"]) {
            let entry = try Documents.entry(document)
            present[entry.id] = entry
        }
        var outcomes: [BrimError?] = []
        var removing: [Removal] = []
        /// Removes what has been gathered. Directories that are themselves removed later are written too; no harm.
        func flush() throws {
            guard !removing.isEmpty else { return }
            let gone = Set(removing.map(\.entry.id))
            try touch(Set(removing.compactMap(\.entry.parent)).subtracting(gone))
            try takeOut(removing, now: isNow, view: view)
            removing = []
        }
        for removal in removals {
            let found = present[removal.entry.id]
            if found?.type == .directory { try flush() }
            if let problem = try problem(removing: removal.entry, found: found) {
                outcomes.append(problem)
            } else if let found {
                removing.append(Removal(found, path: removal.path))
                present[found.id] = nil
                outcomes.append(nil)
            }
        }
        try flush()
        return outcomes
    }

    private func problem(removing entry: Entry, found: Entry?) throws -> BrimError? {
        guard entry.id != .root else { return Refusal.root("removed") }
        guard let found else { return Refusal.gone(entry.id) }
        guard found.rev == entry.rev, found.parent == entry.parent, found.name == entry.name else {
            return Refusal.changed(entry.name)
        }
        guard found.type == .directory else { return nil }
        return try isEmpty(entry.id) ? nil : Refusal.notEmpty(entry.name)
    }
}
