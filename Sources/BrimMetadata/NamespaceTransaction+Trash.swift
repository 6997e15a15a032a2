import BrimModel
import MongoDriver

/// How files leave the namespace, and come back.
extension NamespaceTransaction {
    static func discarded(_ id: FileID) -> BSONDocument {
        ["_id": .id(id), "state": .document(Documents.discardedStates)]
    }

    /// Takes entries out of the namespace: files that have copies become trash, unless `now`; all else is deleted.
    func takeOut(_ removals: [Removal], now isNow: Bool, view: ServerView) throws {
        var kept: [WriteModel] = []
        var buried: [FileID] = []
        var deleted: [BSONValue] = []
        for removal in removals {
            let entry = removal.entry
            guard let content = entry.content else {
                deleted.append(.id(entry.id))
                continue
            }
            if isNow || content.replicas.isEmpty {
                buried.append(entry.id)
            } else {
                kept.append(
                    .updateOne(
                        Self.live(entry.id).merging(["rev": .int64(entry.rev)]),
                        Pipelines.setting(Documents.trashing(path: removal.path, at: now), view: view)))
            }
        }
        let result = try files.bulkWrite(kept)
        guard result.matched == kept.count else { throw Self.vanished }
        if !deleted.isEmpty {
            guard try files.deleteMany(["_id": ["$in": .array(deleted)], "state": "live"]) == deleted.count else {
                throw Self.vanished
            }
        }
        _ = try bury(buried)
    }

    private static let vanished = BrimError(.conflict, "an entry vanished while it was removed")

    /// Versions that go with their files in one transaction. What is beyond gives way by itself, or is purged.
    static let buriedVersions = 5000

    /// Deletes files, removed files and old versions, with the versions that a file among them had, and leaves
    /// tombstones for all their blobs. Throws `.conflict` unless each is there.
    func bury(_ ids: [FileID]) throws -> Purged {
        guard !ids.isEmpty else { return Purged() }
        let wanted: BSONValue = ["$in": .ids(ids)]
        let fields: BSONDocument = ["blob": 1, "size": 1, "replicas": 1, "former": 1, "of": 1]
        let found = try files.find(["_id": wanted, "type": "file"], FindOptions(projection: fields))
        guard found.count == ids.count else { throw Self.vanished }
        let versions = try files.find(
            ["of": wanted, "state": "old"], FindOptions(limit: Self.buriedVersions, projection: fields))
        var documents: [BSONValue: BSONDocument] = [:]
        for document in found + versions { documents[document["_id"] ?? .null] = document }
        guard try files.deleteMany(["_id": ["$in": .array(Array(documents.keys))]]) == documents.count else {
            throw Self.vanished
        }
        var buried = Purged()
        var tombstones: [BSONDocument] = []
        for document in documents.values {
            let owner = FileID(try document.int64(document["of"] == nil ? "_id" : "of"))
            for version in [document] + Documents.formers(document) {
                let holders = try version.servers("replicas")
                tombstones.append(Documents.tombstone(try version.blob("blob"), on: holders, of: owner, at: now))
                buried.files += 1
                buried.bytes += try version.int64("size") * Int64(holders.count)
            }
        }
        try deletions.insertMany(tombstones)
        return buried
    }

    /// Buries what is in the trash, among these documents, and has no copy any more: nobody can bring it back.
    func buryEmptied(_ chosen: BSONDocument) throws {
        let emptied: BSONDocument = [
            "replicas": [], "state": .document(Documents.discardedStates), "discarded.at": ["$exists": true],
        ]
        let gone = try files.find(chosen.merging(emptied), FindOptions(projection: ["_id": 1]))
        _ = try bury(try gone.map { FileID(try $0.int64("_id")) })
    }

    /// Gives up the last copies of what was discarded: each is deleted on condition that this is the last copy, so that an
    /// undelete wins or loses whole, together with all that belonged to it.
    func giveUpLast(_ changes: [ReplicaChange]) throws {
        guard !changes.isEmpty else { return }
        let conditions = changes.map { change in
            Self.discarded(change.file).merging([
                "blob": .blob(change.blob), "replicas": .servers([change.server]),
            ])
        }
        guard
            try files.find(["$or": .documents(conditions)], FindOptions(projection: ["_id": 1])).count == changes.count
        else { throw BrimError(.conflict, "what was to be given up changed meanwhile") }
        _ = try bury(changes.map(\.file))
    }

    // MARK: Coming back

    func undelete(_ id: FileID, to place: EntryPlace, view: ServerView) throws -> Entry {
        let trash: BSONDocument = ["_id": .id(id), "state": "trash", "discarded.path": ["$exists": true]]
        guard let document = try files.findOne(trash) else { throw Refusal.notInTrash(id) }
        let discarded = try document.read("discarded") { $0.documentValue }
        try requireDirectory(of: place)
        guard try find(place) == nil else { throw Refusal.exists(place.name) }
        try touch([place.parent])
        var fields: BSONDocument = [
            "state": "live", "parent": .id(place.parent), "name": .literal(.string(place.name.text)),
            "rev": ["$add": ["$rev", 1]], "n": .int(try discarded.int("n")),
            "policy": .literal(discarded["policy"] ?? "default"),
        ]
        fields.append(time: now, as: "changed")
        let update: [BSONDocument] =
            [["$set": .document(fields)], ["$unset": ["discarded"]]] + Pipelines.counting(view)
        guard let live = try files.findOneAndUpdate(trash, .pipeline(update), returnNew: true) else {
            throw Refusal.notInTrash(id)
        }
        return try Documents.entry(live)
    }

    /// The file with the old version's blob; nil when that version has no document of its own.
    func restore(_ version: Int64, of id: FileID, view: ServerView) throws -> Entry? {
        guard let document = try files.findOne(Self.live(id)) else { throw Refusal.gone(id) }
        let entry = try Documents.entry(document)
        guard let content = entry.content else {
            throw BrimError(.isDirectory, "only files have versions", advice: "Name a file")
        }
        if content.version == version { return entry }
        guard version < content.version, version > 0 else { throw Refusal.noVersion(version) }
        let filter: BSONDocument = ["of": .id(id), "version": .int64(version), "state": "old"]
        // First, as a blob belongs to one document.
        guard let old = try files.findOneAndDelete(filter) else { return nil }
        var fields: BSONDocument = ["rev": ["$add": ["$rev", 1]], "version": .int64(content.version + 1)]
        for name in ["blob", "size", "checksum", "modified", "modifiedNanos", "replicas"] {
            fields.append(name, .literal(old[name] ?? .null))
        }
        // That of the version which is replaced.
        fields.append("request", "$$REMOVE")
        fields.append(time: now, as: "changed")
        if content.replicas.isEmpty || Documents.formers(document).count >= Limits.formerVersions {
            try bury([entry])
        } else {
            fields.merge(Documents.keepingVersion(at: now))
        }
        let restored = try files.findOneAndUpdate(
            Self.live(id).merging(["rev": .int64(entry.rev)]), Pipelines.setting(fields, view: view), returnNew: true)
        guard let restored else { throw Refusal.changed(entry.name) }
        return try Documents.entry(restored)
    }

    // MARK: Former versions

    /// Gives former versions of these files documents with new ids, as long as there are ids; returns how many.
    func settleVersions(of ids: [BSONValue], as newIDs: [FileID], view: ServerView) throws -> Int {
        let documents = try files.find(
            ["_id": ["$in": .array(ids)], "type": "file"], FindOptions(sort: ["_id": 1]))
        var free = newIDs[...]
        var inserts: [BSONDocument] = []
        var emptied: [BSONValue] = []
        for document in documents {
            let versions = Documents.formers(document)
            guard !versions.isEmpty, versions.count <= free.count else { continue }
            for version in versions {
                inserts.append(
                    try Documents.old(version, of: document, id: free.removeFirst(), view: view, now: now))
            }
            emptied.append(document["_id"] ?? .null)
        }
        guard !inserts.isEmpty else { return 0 }
        try files.insertMany(inserts)
        // A version that joins meanwhile makes this transaction fail, as it writes the same document.
        try files.updateMany(["_id": ["$in": .array(emptied)]], ["$set": ["former": []]])
        return inserts.count
    }
}
