import BrimModel
import MongoDriver

extension MongoMetadataStore {
    // MARK: Looking

    public func owners(of blobs: [BlobID]) async throws -> [BlobID: BlobOwner] {
        try await translatingErrors("looking for what has \(blobs.count) blobs") {
            var owners: [BlobID: BlobOwner] = [:]
            for blobs in blobs.chunks(of: 4 * Self.chunk) {
                let wanted = Set(blobs)
                let filter: BSONValue = ["$in": .blobs(wanted.sorted())]
                // As of one moment: a blob that goes from a file to its former versions and on to a document of its own
                // would otherwise be missed by a look that passes it.
                let found = try await transaction { [collections] tx in
                    try tx.on(collections.files).find(["$or": [["blob": filter], ["former.blob": filter]]])
                }
                for owner in try found.flatMap(Documents.owners) where wanted.contains(owner.content.blob) {
                    owners[owner.content.blob] = owner
                }
            }
            return owners
        }
    }

    public func removedFiles(
        _ scope: TrashScope, after: TrashPosition?, limit: Int
    ) async throws -> [RemovedFile] {
        guard limit > 0 else { return [] }
        return try await translatingErrors("listing removed files") {
            try await look {
                try await all(
                    Self.removed(scope, after: after), in: collections.files,
                    FindOptions(sort: ["discarded.path": 1, "discarded.at": -1, "_id": -1], limit: limit))
            }.map(Documents.removed)
        }
    }

    /// The removed files of a scope: branches that the index answers each in the order of the listing.
    static func removed(_ scope: TrashScope, after: TrashPosition?) -> BSONDocument {
        func branch(_ path: BSONDocument, _ rest: BSONDocument = [:]) -> BSONDocument {
            (["state": "trash", "discarded.path": .document(path)] as BSONDocument).merging(rest)
        }
        let range: BSONDocument =
            switch scope {
            case .at(let path): ["$eq": .string(path)]
            // "0" is the character that follows "/".
            case .below("/"): ["$gte": "/", "$lt": "0"]
            case .below(let path): ["$gte": .string(path + "/"), "$lt": .string(path + "0")]
            }
        guard let after else { return branch(range) }
        let same: BSONDocument = ["$eq": .string(after.path)]
        var branches = [
            branch(same, ["discarded.at": .date(after.removed), "_id": ["$lt": .id(after.file)]]),
            branch(same, ["discarded.at": ["$lt": .date(after.removed)]]),
        ]
        if case .below = scope { branches.append(branch(range.merging(["$gt": .string(after.path)]))) }
        return ["$or": .documents(branches)]
    }

    public func removedFile(_ id: FileID) async throws -> RemovedFile? {
        try await translatingErrors("reading the removed file \(id)") {
            try await collections.files.findOne(
                ["_id": .id(id), "state": "trash", "discarded.path": ["$exists": true]],
                FindOptions(maxTime: Self.timeLimit)
            ).map(Documents.removed)
        }
    }

    public func formerVersions(of file: FileID, before: Int64?, limit: Int) async throws -> [FormerVersion] {
        guard limit > 0 else { return [] }
        return try await translatingErrors("listing the versions of \(file)") {
            // As of one moment, so that one that gets its own document meanwhile is not missed.
            let documents = try await transaction { [collections] tx in
                let files = tx.on(collections.files)
                var filter: BSONDocument = ["of": .id(file), "state": "old"]
                if let before { filter.append("version", ["$lt": .int64(before)]) }
                let old = try files.find(filter, FindOptions(sort: ["version": -1], limit: limit))
                let live = try files.findOne(["_id": .id(file)], FindOptions(projection: ["former": 1]))
                return (live.map(Documents.formers) ?? []) + old
            }
            return try documents.map(Documents.former)
                .filter { version in before.map { version.content.version < $0 } ?? true }
                .sorted { $0.content.version > $1.content.version }
                .prefix(limit).map(\.self)
        }
    }

    public func trashTotals(_ scope: TrashScope?) async throws -> TrashTotals {
        try await translatingErrors("adding up the trash") {
            let pipeline = Pipelines.trashTotals(scope.map { Self.removed($0, after: nil) })
            guard let sum = try await aggregate(pipeline, hint: scope == nil ? "trash" : "removed").first else {
                return TrashTotals()
            }
            return TrashTotals(files: try sum.int64("files"), bytes: try sum.int64("bytes"))
        }
    }

    // MARK: Changing

    public func undelete(
        _ id: FileID, to place: EntryPlace, view: ServerView, request: String?
    ) async throws -> Entry {
        try await translatingErrors("bringing '\(place.name)' back") {
            let (collections, now) = (collections, clock())
            return try await transaction { tx in
                let namespace = NamespaceTransaction(tx, collections, now: now)
                try namespace.check(request)
                let entry = try namespace.undelete(id, to: place, view: view)
                try namespace.enter(request, entry)
                return entry
            }
        }
    }

    public func restore(
        _ version: Int64, of file: FileID, view: ServerView, request: String?
    ) async throws -> Entry {
        try await translatingErrors("restoring version \(version)") {
            for _ in 0..<Self.attempts {
                let (collections, now) = (collections, clock())
                let restored = try await transaction { tx in
                    let namespace = NamespaceTransaction(tx, collections, now: now)
                    try namespace.check(request)
                    let restored = try namespace.restore(version, of: file, view: view)
                    if let restored { try namespace.enter(request, restored) }
                    return restored
                }
                if let restored { return restored }
                // It may wait in the file's document.
                guard try await settleVersions(of: [file], limit: Limits.formerVersions, view: view) > 0 else {
                    throw Refusal.versionGone(version)
                }
            }
            throw Refusal.changed(nil)
        }
    }

    public func settleVersions(of files: [FileID]?, limit: Int, view: ServerView) async throws -> Int {
        guard limit > 0 else { return 0 }
        return try await translatingErrors("keeping old versions") {
            let waiting = try await all(
                Self.waiting(files), in: collections.files,
                FindOptions(limit: limit, projection: ["former.version": 1], hint: files == nil ? "former" : nil))
            var ids: [BSONValue] = []
            var count = 0
            for document in waiting where count < Self.settled {
                ids += [document["_id"] ?? .null]
                count += Documents.formers(document).count
            }
            guard count > 0 else { return 0 }
            let newIDs = try await takeIDs(count)
            let (collections, now, taken) = (collections, clock(), ids)
            return try await transaction { tx in
                try NamespaceTransaction(tx, collections, now: now).settleVersions(of: taken, as: newIDs, view: view)
            }
        }
    }

    /// Versions that get documents in one transaction, or a few more.
    private static let settled = 1000

    /// Files with former versions.
    static func waiting(_ files: [FileID]?) -> BSONDocument {
        let has: BSONDocument = ["former.blob": ["$exists": true]]
        return files.map { has.merging(["_id": ["$in": .ids($0)]]) } ?? has
    }

    public func purge(_ scope: PurgeScope, before: Timestamp?, limit: Int) async throws -> Purged {
        guard limit > 0, let filter = Self.filter(scope, before) else { return Purged() }
        return try await translatingErrors("purging the trash") {
            let (collections, now) = (collections, clock())
            let options = FindOptions(limit: limit, projection: ["_id": 1], maxTime: Self.timeLimit)
            return try await transaction { tx in
                let namespace = NamespaceTransaction(tx, collections, now: now)
                let found = try namespace.files.find(filter, options).compactMap { $0["_id"] }
                let versions = try namespace.files.find(
                    ["of": ["$in": .array(found)], "state": "old"], options
                ).compactMap { $0["_id"] }
                // Where there are many, the files wait until their versions are gone.
                let buried = versions.count < limit ? found : versions
                return try namespace.bury(buried.compactMap(\.int64Value).map { FileID($0) })
            }
        }
    }

    static func filter(_ scope: PurgeScope, _ before: Timestamp?) -> BSONDocument? {
        var age: BSONDocument = ["$gt": Documents.beginning]
        if let before { age.append("$lt", .date(before)) }
        switch scope {
        case .all(let trash, let versions):
            let states = (trash ? ["trash"] : []) + (versions ? ["old"] : [])
            return states.isEmpty ? nil : ["state": ["$in": .strings(states)], "discarded.at": .document(age)]
        case .removed(let scope):
            return removed(scope, after: nil).merging(["discarded.at": .document(age)])
        case .versions(let files):
            return [
                "of": ["$in": .ids(files)], "state": "old", "discarded.at": .document(age),
            ]
        }
    }
}
