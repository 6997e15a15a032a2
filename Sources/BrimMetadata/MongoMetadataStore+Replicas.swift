import BrimModel
import BrimPlacement
import MongoDriver

extension MongoMetadataStore {
    /// Documents in one bulk, which bounds messages and transactions.
    static let chunk = 500

    // MARK: Looking

    public func neediest(
        after: NeedyPosition?, limit: Int, brims: [Int64], maxCopies: Int
    ) async throws -> [Entry] {
        guard limit > 0 else { return [] }
        return try await translatingErrors("finding the neediest files") {
            try await aggregate(
                Pipelines.neediest(
                    sizeLimits: sizeLimits(brims: brims, maxCopies: maxCopies), after: after, limit: limit)
            ).map(Documents.entry)
        }
    }

    public func richest(on server: ServerName, minSurplus: Int, limit: Int) async throws -> [Victim] {
        guard limit > 0 else { return [] }
        return try await translatingErrors("finding the richest files on '\(server)'") {
            let holds: BSONDocument = ["replicas": .server(server), "surplus": ["$gte": .int(minSurplus)]]
            return try await aggregate(Pipelines.richest(holds: holds, limit: limit)).map { document in
                Victim(
                    file: FileID(try document.int64("_id")), blob: try document.blob("blob"),
                    size: try document.int64("size"), surplus: try document.int("surplus"),
                    replicas: try document.servers("replicas"))
            }
        }
    }

    public func maxSurplus(on server: ServerName) async throws -> Int? {
        try await translatingErrors("finding the most surplus on '\(server)'") {
            let holds: BSONDocument = ["replicas": .server(server), "surplus": ["$lt": .int(Trash.leastSurplus)]]
            return try await aggregate(Pipelines.richest(holds: holds, limit: 1)).first?.int("surplus")
        }
    }

    public func reclaimable(on server: ServerName) async throws -> Reclaimable {
        try await translatingErrors("adding up what '\(server)' could give up") {
            var sum = Reclaimable()
            for row in try await aggregate(Pipelines.reclaimable(on: server), hint: "copies") {
                let key = try row.read("_id") { $0.documentValue }
                sum.add(surplus: try key.int("surplus"), k: try key.int("k"), bytes: try row.int64("bytes"))
            }
            return sum
        }
    }

    public func surplusBounds() async throws -> ClosedRange<Int>? {
        try await translatingErrors("reading the least and most surplus") {
            guard let least = try await aggregate(Pipelines.extreme(1)).first?.int("surplus"),
                let most = try await aggregate(Pipelines.extreme(-1)).first?.int("surplus")
            else { return nil }
            // The two are read one after the other.
            return min(least, most)...max(least, most)
        }
    }

    public func histogram() async throws -> SurplusHistogram {
        try await translatingErrors("counting files by surplus") {
            var histogram = SurplusHistogram()
            for row in try await histogramRows() {
                let key = try row.read("_id") { $0.documentValue }
                let level = SurplusHistogram.Level(
                    surplus: try key.int("surplus"), files: try row.int64("files"), bytes: try row.int64("bytes"))
                if try key.bool("readable") {
                    histogram.levels.append(level)
                    histogram.wanted += try row.int64("wanted")
                } else {
                    histogram.unreachableFiles += level.files
                    histogram.unreachableBytes += level.bytes
                }
            }
            return histogram
        }
    }

    /// As of one moment: a walk over the index as it changes would meet a file twice, or not at all, whose surplus
    /// changes meanwhile. A server that cannot keep that moment for as long as the walk takes is asked for such a walk:
    /// numbers that are off by what changed are better than none.
    private func histogramRows() async throws -> [BSONDocument] {
        do {
            return try await aggregate(Pipelines.histogram, readConcern: .snapshot)
        } catch let error as MongoError where error.kind == .snapshotLost {
            logger.debug("Counted without a snapshot", metadata: ["error": "\(error)"])
            return try await aggregate(Pipelines.histogram)
        }
    }

    public func files(withBlobs blobs: [BlobID]) async throws -> [BlobID: Entry] {
        try await translatingErrors("looking for the files of \(blobs.count) blobs") {
            var found: [BlobID: Entry] = [:]
            for blobs in blobs.chunks(of: 4 * Self.chunk) {
                let filter: BSONDocument = ["blob": ["$in": .blobs(blobs)], "state": "live"]
                for document in try await all(filter, in: collections.files, FindOptions()) {
                    found[try document.blob("blob")] = try Documents.entry(document)
                }
            }
            return found
        }
    }

    public func blobs(
        on server: ServerName, after: BlobID?, through: BlobID?, limit: Int
    ) async throws -> [ReplicaChange] {
        guard limit > 0 else { return [] }
        return try await translatingErrors("listing the blobs of '\(server)'") {
            var range = BSONDocument()
            if let after { range.append("$gt", .blob(after)) }
            if let through { range.append("$lte", .blob(through)) }
            var filter: BSONDocument = ["replicas": .server(server), "type": "file"]
            if !range.isEmpty { filter.append("blob", .document(range)) }
            let options = FindOptions(sort: ["blob": 1], limit: limit, projection: ["blob": 1], hint: "holders")
            return try await all(filter, in: collections.files, options).map {
                ReplicaChange(file: FileID(try $0.int64("_id")), blob: try $0.blob("blob"), server: server)
            }
        }
    }

    // MARK: Changing

    public func addReplicas(_ changes: [ReplicaChange], view: ServerView) async throws -> [Bool] {
        try await translatingErrors("entering \(changes.count) copies") {
            try await add(changes, to: "live", view: view)
        }
    }

    public func adopt(_ changes: [ReplicaChange], view: ServerView) async throws -> [Bool] {
        try await translatingErrors("adopting \(changes.count) copies") {
            try await add(changes, to: Self.anyState, view: view)
        }
    }

    static let anyState: BSONValue = ["$in": ["live", "trash", "old"]]

    private func add(_ changes: [ReplicaChange], to state: BSONValue, view: ServerView) async throws -> [Bool] {
        var answers: [Bool] = []
        for changes in changes.chunks(of: Self.chunk) {
            // One command for each server: to build and to read a condition and a pipeline for each file takes longer
            // than the update. A blob is never of two files, so that the two lists match in pairs.
            for server in view.remembered(changes.map(\.server).withoutRepeats) {
                let changes = changes.filter { $0.server == server }
                _ = try await collections.files.updateMany(
                    [
                        "_id": ["$in": .array(changes.map { .id($0.file) })],
                        "blob": ["$in": .blobs(changes.map(\.blob))], "state": state,
                    ], Pipelines.adding(server, view: view))
            }
            // It does not say for which the condition held.
            let filter: BSONDocument = ["blob": ["$in": .blobs(changes.map(\.blob))], "state": state]
            var holders: [BlobID: (file: FileID, servers: [ServerName])] = [:]
            for document in try await all(
                filter, in: collections.files, FindOptions(projection: ["blob": 1, "replicas": 1]))
            {
                holders[try document.blob("blob")] = (
                    FileID(try document.int64("_id")), try document.servers("replicas")
                )
            }
            answers += changes.map { change in
                guard let holder = holders[change.blob], holder.file == change.file else { return false }
                return holder.servers.contains(change.server)
            }
        }
        return answers
    }

    public func giveUp(_ changes: [ReplicaChange], minSurplus: [Int], view: ServerView) async throws -> [Bool] {
        guard changes.count == minSurplus.count else {
            throw BrimError(.invalid, "\(changes.count) copies and \(minSurplus.count) bounds do not fit together")
        }
        return try await translatingErrors("giving up \(changes.count) copies") {
            var answers: [Bool] = []
            for wanted in Array(zip(changes, minSurplus)).chunks(of: Self.chunk) {
                let (collections, now) = (collections, clock())
                // A transaction, since only it can tell which copies went by this call and not by another.
                answers += try await transaction { tx in
                    try Self.giveUp(wanted, view: view, in: NamespaceTransaction(tx, collections, now: now))
                }
            }
            return answers
        }
    }

    private static func giveUp(
        _ wanted: [(change: ReplicaChange, minSurplus: Int)], view: ServerView, in namespace: NamespaceTransaction
    ) throws -> [Bool] {
        let files = namespace.files
        var contents: [BlobID: (file: FileID, isLive: Bool, content: FileContent)] = [:]
        for document in try files.find(["blob": ["$in": .blobs(wanted.map(\.change.blob))], "state": anyState]) {
            let content = try Documents.content(document)
            contents[content.blob] = (
                FileID(try document.int64("_id")), document["state"] == "live", content.with(view: view)
            )
        }
        var updates: [WriteModel] = []
        var last: [ReplicaChange] = []
        let answers = wanted.map { change, minSurplus in
            guard let (file, isLive, content) = contents[change.blob], file == change.file,
                content.replicas.contains(change.server), content.surplus >= minSurplus
            else { return false }
            let others = content.replicas.filter { $0 != change.server }
            // Never the last copy that can be read now, unless it is in the trash.
            guard !isLive || others.contains(where: view.up.contains) else { return false }
            contents[change.blob] = (file, isLive, content.with(replicas: others, view: view))
            if others.isEmpty {
                last.append(change)
                return true
            }
            let present: BSONDocument =
                isLive
                ? ["$all": [.server(change.server)], "$in": .servers(others.filter(view.up.contains))]
                : ["$all": [.server(change.server)]]
            let state: BSONValue = isLive ? "live" : .document(Documents.discardedStates)
            updates.append(
                .updateOne(
                    unchanged(change, state)
                        .merging(["replicas": .document(present)]), Pipelines.removing(change.server, view: view)))
            return true
        }
        guard try files.bulkWrite(updates).matched == updates.count else {
            throw BrimError(.conflict, "a file changed while a copy of it was given up")
        }
        try namespace.giveUpLast(last)
        return answers
    }

    public func loseReplicas(_ changes: [ReplicaChange], view: ServerView) async throws {
        try await translatingErrors("removing \(changes.count) lost copies") {
            for changes in changes.chunks(of: Self.chunk) {
                let (collections, now) = (collections, clock())
                try await transaction { tx in
                    let namespace = NamespaceTransaction(tx, collections, now: now)
                    try namespace.files.bulkWrite(
                        changes.map {
                            .updateOne(
                                Self.unchanged($0, Self.anyState).merging(["replicas": .server($0.server)]),
                                Pipelines.removing($0.server, view: view))
                        })
                    try namespace.buryEmptied(["_id": ["$in": .array(changes.map { .id($0.file) })]])
                }
            }
        }
    }

    /// The file, on condition that it still is this blob, and in this state.
    private static func unchanged(_ change: ReplicaChange, _ state: BSONValue) -> BSONDocument {
        ["_id": .id(change.file), "blob": .blob(change.blob), "state": state]
    }

    public func recount(
        _ server: ServerName, from progress: RecountProgress, rising: Bool, limit: Int, view: ServerView
    ) async throws -> RecountProgress {
        try await translatingErrors("recounting the files of '\(server)'") {
            let after = progress.epoch == view.epoch ? progress.after : nil
            // As they are now, as an update would find them, not as a majority had them: the note below fails where they are
            // not those of the primary any more. To see that nothing is to be done takes far less than doing nothing to each.
            let next = try await aggregate(
                [
                    ["$match": .document(Self.held(by: server, after: after, rising: rising))],
                    ["$sort": rising ? ["surplus": -1, "_id": -1] : ["surplus": 1, "_id": 1]],
                    ["$limit": .int(max(1, limit))],
                    ["$project": ["surplus": 1, "isCounted": Pipelines.isCounted(view)]],
                ], readConcern: .local)
            let wrong = next.filter { $0["isCounted"] != true }
            if !wrong.isEmpty {
                _ = try await collections.files.updateMany(
                    ["_id": ["$in": .array(wrong.compactMap { $0["_id"] })], "type": "file"],
                    Pipelines.setting([:], view: view))
            }
            var result = RecountProgress(epoch: view.epoch, after: after, finished: next.count < max(1, limit))
            if let last = next.last {
                result.after = RecountPosition(surplus: try last.int("surplus"), file: FileID(try last.int64("_id")))
            }
            try await noteRecount(server, result)
            return result
        }
    }

    /// Files on a server beyond a position. Files that have been recounted move to the other side of it: their surplus
    /// falls where the search goes up, and rises where it goes down.
    private static func held(by server: ServerName, after: RecountPosition?, rising: Bool) -> BSONDocument {
        let held: BSONDocument = ["replicas": .server(server), "type": "file"]
        guard let after else { return held }
        let beyond = rising ? "$lt" : "$gt"
        return [
            "$or": [
                .document(held.merging(["surplus": .int(after.surplus), "_id": [beyond: .id(after.file)]])),
                .document(held.merging(["surplus": [beyond: .int(after.surplus)]])),
            ]
        ]
    }
}

extension Array {
    /// In pieces of at most `count`.
    func chunks(of count: Int) -> [[Element]] {
        stride(from: 0, to: self.count, by: count).map { Array(self[$0..<Swift.min($0 + count, self.count)]) }
    }
}
