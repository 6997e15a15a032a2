import BrimModel
import Logging
import MongoDriver

extension MongoMetadataStore {
    public func commit(_ writes: [BlobCommit], view: ServerView) async throws -> [Result<CommitOutcome, BrimError>] {
        var outcomes: [Result<CommitOutcome, BrimError>] = []
        for batch in writes.withoutRepeatedPlaces {
            outcomes += try await translatingErrors("committing \(batch.count) writes") {
                let ids = try await takeIDs(batch.count)
                do {
                    return try await commitTogether(batch, ids: ids, view: view)
                } catch  where batch.count > 1 && !Self.isUnreachable(error) {
                    logger.debug("a batch of commits failed, trying each alone", metadata: ["error": "\(error)"])
                    return try await commitAlone(batch, ids: ids, view: view)
                }
            }
        }
        return outcomes
    }

    private func commitTogether(
        _ writes: [BlobCommit], ids: [FileID], view: ServerView
    ) async throws -> [Result<CommitOutcome, BrimError>] {
        let (collections, now) = (collections, clock())
        return try await transaction { tx in
            var batch = CommitTransaction(
                namespace: NamespaceTransaction(tx, collections, now: now), view: view, now: now)
            return try batch.run(writes, ids: ids)
        }
    }

    /// Each in a transaction of its own, so that what one cannot do harms no other.
    private func commitAlone(
        _ writes: [BlobCommit], ids: [FileID], view: ServerView
    ) async throws -> [Result<CommitOutcome, BrimError>] {
        var outcomes: [Result<CommitOutcome, BrimError>] = []
        for (write, id) in zip(writes, ids) {
            do {
                outcomes += try await translatingErrors("committing '\(write.place.name)'") {
                    try await commitTogether([write], ids: [id], view: view)
                }
            } catch {
                outcomes.append(.failure(error))
            }
        }
        return outcomes
    }

    /// Whether trying each write alone would only take longer to fail.
    private static func isUnreachable(_ error: any Error) -> Bool {
        switch (error as? MongoError)?.kind {
        case .unavailable, .notPrimary, .timeout, .closed, .cancelled, .overloaded, .writeConcern, .unauthorized: true
        default: false
        }
    }
}

extension [BlobCommit] {
    /// Cut where a place, blob or request would come a second time: a later write replaces an earlier one, and a
    /// transaction does one thing to one file.
    fileprivate var withoutRepeatedPlaces: [[BlobCommit]] {
        var batches: [[BlobCommit]] = []
        var places: Set<EntryPlace> = []
        var blobs: Set<BlobID> = []
        var requests: Set<String> = []
        for write in self {
            let repeats = places.contains(write.place) || blobs.contains(write.blob) || requests.contains(write.request)
            if repeats || batches.isEmpty {
                batches.append([])
                (places, blobs, requests) = ([], [], [])
            }
            batches[batches.count - 1].append(write)
            places.insert(write.place)
            blobs.insert(write.blob)
            requests.insert(write.request)
        }
        return batches
    }
}

/// A batch of commits as one transaction: reads what is there, decides about each write, writes all that may be.
private struct CommitTransaction {
    let namespace: NamespaceTransaction
    let view: ServerView
    let now: Timestamp

    /// A live file, and the request that wrote it.
    private struct Found {
        var entry: Entry
        var request: String?
        /// Whether the present version is kept when another takes its place.
        var isKept: Bool

        init(_ document: BSONDocument) throws {
            entry = try Documents.entry(document)
            request = document["request"]?.stringValue
            isKept =
                entry.content?.replicas.isEmpty == false
                && Documents.formers(document).count < Limits.formerVersions
        }

        var outcome: CommitOutcome { CommitOutcome(entry: entry, created: entry.content?.version == 1) }
    }

    private var parents: [FileID: EntryType] = [:]
    private var places: [EntryPlace: Found] = [:]
    /// Live files by blob; nil where the blob must not be committed.
    private var blobs: [BlobID: Found?] = [:]

    private var inserts: [BSONDocument] = []
    private var overwrites: [WriteModel] = []
    /// Files whose present version is not kept.
    private var overwritten: [Entry] = []
    private var touched: Set<FileID> = []

    init(namespace: NamespaceTransaction, view: ServerView, now: Timestamp) {
        self.namespace = namespace
        self.view = view
        self.now = now
    }

    mutating func run(_ writes: [BlobCommit], ids: [FileID]) throws -> [Result<CommitOutcome, BrimError>] {
        try read(writes)
        var outcomes: [Result<CommitOutcome, BrimError>] = []
        for (write, id) in zip(writes, ids) {
            do {
                outcomes.append(.success(try decide(write, id: id)))
            } catch {
                outcomes.append(.failure(error))
            }
        }
        try apply()
        return outcomes
    }

    private mutating func read(_ writes: [BlobCommit]) throws {
        let byParent = Dictionary(grouping: writes, by: \.place.parent)
        let ids = BSONValue.blobs(writes.map(\.blob))
        // Parents, what has the names, and what has or had the blobs: a few indexes, one command.
        var wanted: [BSONDocument] = [
            ["_id": ["$in": .ids(byParent.keys.sorted())], "state": "live"], ["blob": ["$in": ids]],
            ["former.blob": ["$in": ids]],
        ]
        for (parent, writes) in byParent {
            wanted.append([
                "state": "live", "parent": .id(parent), "name": ["$in": .strings(writes.map(\.place.name.text))],
            ])
        }
        let blobs = Set(writes.map(\.blob))
        for document in try namespace.files.find(["$or": .documents(wanted)]) {
            try note(document, isParent: { byParent[$0] != nil }, isBlob: { blobs.contains($0) })
        }
        for document in try namespace.deletions.find(["_id": ["$in": ids]], FindOptions(projection: ["_id": 1])) {
            self.blobs[try document.blob("_id")] = .some(nil)
        }
    }

    private mutating func note(
        _ document: BSONDocument, isParent: (FileID) -> Bool, isBlob: (BlobID) -> Bool
    ) throws {
        let isLive = document["state"] == "live"
        if isLive {
            let found = try Found(document)
            if isParent(found.entry.id) { parents[found.entry.id] = found.entry.type }
            if let place = found.entry.place { places[place] = found }
            if let blob = found.entry.content?.blob, isBlob(blob) { blobs[blob] = .some(found) }
        } else if document["blob"] != nil {
            blobs[try document.blob("blob")] = .some(nil)
        }
        // What was overwritten or removed does not come back by a late commit.
        for blob in try Documents.formers(document).map({ try $0.blob("blob") }) where isBlob(blob) {
            blobs[blob] = .some(nil)
        }
    }

    private mutating func decide(_ write: BlobCommit, id: FileID) throws(BrimError) -> CommitOutcome {
        try Checks.commit(write)
        let existing = places[write.place]
        if let sameBlob = blobs[write.blob] {
            if let sameBlob, sameBlob.request == write.request { return sameBlob.outcome }
            if let existing, existing.request == write.request { return existing.outcome }
            throw Refusal.blobTaken(write.blob)
        }
        if let existing, existing.request == write.request { return existing.outcome }
        guard let parent = parents[write.place.parent] else { throw Refusal.parentGone(write.place) }
        guard parent == .directory else { throw Refusal.notDirectory(write.place.name) }
        if let existing, existing.entry.type != .file {
            throw Refusal.isDirectory(write.place.name, existing.entry.type)
        }
        let former = existing?.entry.content
        try Checks.precondition(write.precondition, version: former?.version)

        var entry =
            existing?.entry
            ?? Entry(
                id: id, parent: write.place.parent, name: write.place.name, type: .file, mode: write.mode,
                created: now, modified: write.modified, rev: 0)
        entry.attributes.merge(write.attributes) { $1 }
        try Checks.attributes(entry.attributes)
        entry.rev += 1
        entry.mode = write.mode
        entry.modified = write.modified
        entry.content = FileContent(
            version: (former?.version ?? 0) + 1, blob: write.blob, size: write.size, checksum: write.checksum,
            n: 0, k: 0, readable: false, replicas: [], reads: former?.reads
        ).wanted(write, former).with(replicas: view.remembered(write.replicas.withoutRepeats), view: view)
        guard entry.content?.replicas.isEmpty == false else { throw Refusal.holdersForgotten(write.replicas) }
        if let existing {
            if !existing.isKept { overwritten.append(existing.entry) }
            overwrites.append(overwrite(existing, with: entry, by: write))
        } else {
            inserts.append(
                Documents.live(entry, request: write.request, changed: now))
            touched.insert(write.place.parent)
        }
        return CommitOutcome(entry: entry, created: existing == nil)
    }

    private func overwrite(_ former: Found, with entry: Entry, by write: BlobCommit) -> WriteModel {
        var fields: BSONDocument = [
            "rev": .int64(entry.rev), "mode": .int(entry.mode), "attributes": .literal(.attributes(entry.attributes)),
        ]
        fields.append(time: entry.modified, as: "modified")
        fields.append(time: now, as: "changed")
        if let content = entry.content {
            for (name, value) in Documents.blob(content, request: write.request) {
                fields.append(name, .literal(value))
            }
            fields.append("n", .int(content.n))
            fields.append("policy", .literal(.string(content.policy)))
            fields.append("replicas", .literal(.servers(content.replicas)))
        }
        if former.isKept { fields.merge(Documents.keepingVersion(at: now)) }
        return .updateOne(
            NamespaceTransaction.live(former.entry.id).merging(["rev": .int64(former.entry.rev)]),
            Pipelines.setting(fields, view: view))
    }

    private func apply() throws {
        try namespace.touch(touched)
        try namespace.files.insertMany(inserts)
        let result = try namespace.files.bulkWrite(overwrites)
        guard result.matched == overwrites.count else {
            throw BrimError(.conflict, "a file changed while it was overwritten")
        }
        try namespace.bury(overwritten)
    }
}
