import BrimModel
import MongoDriver

extension MongoMetadataStore {
    public func drain(_ name: ServerName) async throws -> ServerRecord {
        try await changed(name, [:], [["$set": .document(ServerDocument.drain(since: clock()))]])
            .orThrow(Refusal.serverUnknown(name))
    }

    public func undrain(_ name: ServerName) async throws -> ServerRecord {
        let isKept: BSONDocument = ["forget": ["$exists": false]]
        if let record = try await changed(name, isKept, [["$unset": ["drain", "drainNanos"]]]) { return record }
        throw try await exists(name) ? Refusal.beingForgotten(name) : Refusal.serverUnknown(name)
    }

    public func setZone(_ name: ServerName, _ zone: String) async throws -> ServerRecord {
        try await changed(name, [:], [["$set": ["zone": .literal(.string(zone))]]])
            .orThrow(Refusal.serverUnknown(name))
    }

    public func beginForget(_ name: ServerName, losesData: Bool) async throws -> ServerRecord {
        let now = clock()
        var mark = BSONDocument()
        mark.append(time: now, as: "at")
        mark.append("losesData", .bool(losesData))
        let isAway: BSONDocument = ["$or": [["drain": ["$exists": true]], ["state": "down"]]]
        let kept: BSONValue = [
            "$mergeObjects": ["$forget", ["losesData": ["$or": ["$forget.losesData", .bool(losesData)]]]]
        ]
        let fields = ServerDocument.drain(since: now).merging([
            "forget": ["$cond": [["$eq": [["$type": "$forget"], "missing"]], .literal(.document(mark)), kept]]
        ])
        if let record = try await changed(name, isAway, [["$set": .document(fields)]]) { return record }
        throw try await exists(name) ? Refusal.stillCounts(name) : Refusal.serverUnknown(name)
    }

    public func cancelForget(_ name: ServerName) async throws -> ServerRecord {
        try await changed(name, [:], [["$unset": ["forget"]]]).orThrow(Refusal.serverUnknown(name))
    }

    public func dropReplicas(
        of server: ServerName, keeping others: Set<ServerName>?, limit: Int, view: ServerView
    ) async throws -> Int {
        guard limit > 0 else { return 0 }
        return try await translatingErrors("forgetting the copies on '\(server)'") {
            let waiting = try await all(
                Self.waiting(naming: server), in: collections.files,
                FindOptions(limit: limit, projection: ["_id": 1], hint: "former"))
            if !waiting.isEmpty {
                let files = try waiting.map { FileID(try $0.int64("_id")) }
                _ = try await settleVersions(of: files, limit: limit, view: view)
            }
            let next = try await all(
                Self.droppable(of: server, keeping: others), in: collections.files,
                FindOptions(
                    sort: ["surplus": 1, "_id": 1], limit: limit, projection: ["surplus": 1], hint: "copies"))
            guard !next.isEmpty else { return 0 }
            let chosen: BSONDocument = ["_id": ["$in": .array(next.compactMap { $0["_id"] })]]
            let (collections, now) = (collections, clock())
            return try await transaction { tx in
                let namespace = NamespaceTransaction(tx, collections, now: now)
                // The condition once more: what is another holder now may be none when this comes to its file.
                let result = try namespace.files.updateMany(
                    Self.droppable(of: server, keeping: others).merging(chosen), Pipelines.removing(server, view: view))
                try namespace.buryEmptied(chosen)
                return result.matched
            }
        }
    }

    /// Files with former versions that name the server.
    static func waiting(naming server: ServerName) -> BSONDocument {
        waiting(nil).merging(["former.replicas": .server(server)])
    }

    /// Files that name the server and can do without it. The second condition is an expression, so that it is the first
    /// from which the range of the index follows.
    static func droppable(of server: ServerName, keeping others: Set<ServerName>?) -> BSONDocument {
        let named: BSONDocument = ["replicas": .server(server), "type": "file"]
        guard let others else { return named }
        let hasOther: BSONValue = [
            "$gt": [["$size": ["$setIntersection": ["$replicas", .literal(.servers(others.sorted()))]]], 0]
        ]
        return named.merging(["$expr": ["$or": [["$ne": ["$state", "live"]], hasOther]]])
    }

    public func endForget(_ name: ServerName, id: String) async throws {
        try await translatingErrors("forgetting server '\(name)'") {
            _ = try await collections.deletions.updateMany(
                ["servers": .server(name)], ["$pull": ["servers": .server(name)]])
            // Before the document goes: a join that comes late finds one of the two.
            var tombstone: BSONDocument = ["_id": .string(id), "name": .server(name)]
            tombstone.append(time: clock(), as: "at")
            try await Schema.unlessPresent { _ = try await collections.forgotten.insertOne(tombstone) }
            _ = try await collections.servers.deleteOne(["_id": .server(name), "id": .string(id)])
        }
    }

    public func forgotten(since time: Timestamp) async throws -> [ForgottenServer] {
        try await translatingErrors("reading which servers were forgotten") {
            try await all(["at": ["$gte": .date(time)]], in: collections.forgotten, FindOptions(sort: ["at": 1])).map {
                ForgottenServer(
                    id: try $0.string("_id"),
                    name: try $0.read("name") { $0.stringValue.flatMap(ServerName.init(rawValue:)) },
                    at: try $0.time("at"))
            }
        }
    }

    public func isForgotten(id: String) async throws -> Bool {
        try await translatingErrors("looking whether a server was forgotten") {
            try await collections.forgotten.findOne(["_id": .string(id)]) != nil
        }
    }

    public func copies(on server: ServerName, after: BlobID?, limit: Int) async throws -> [HeldCopy] {
        guard limit > 0 else { return [] }
        return try await translatingErrors("listing the copies on '\(server)'") {
            var filter: BSONDocument = ["replicas": .server(server), "type": "file", "state": "live"]
            if let after { filter.append("blob", ["$gt": .blob(after)]) }
            let options = FindOptions(
                sort: ["blob": 1], limit: limit, projection: ["blob": 1, "size": 1, "n": 1, "replicas": 1],
                hint: "holders")
            return try await all(filter, in: collections.files, options).map {
                HeldCopy(
                    file: FileID(try $0.int64("_id")), blob: try $0.blob("blob"), size: try $0.int64("size"),
                    n: try $0.int("n"), replicas: try $0.servers("replicas"))
            }
        }
    }

    // MARK: - Details

    /// The server's document after a change; nil when there is none that fits.
    private func changed(
        _ name: ServerName, _ condition: BSONDocument, _ pipeline: [BSONDocument]
    ) async throws -> ServerRecord? {
        try await translatingErrors("changing server '\(name)'") {
            let document = try await collections.servers.findOneAndUpdate(
                BSONDocument([("_id", .server(name))]).merging(condition), .pipeline(pipeline), returnNew: true)
            return try document.map { try ServerDocument.record($0) }
        }
    }

    private func exists(_ name: ServerName) async throws -> Bool {
        try await translatingErrors("looking for server '\(name)'") {
            try await collections.servers.findOne(["_id": .server(name)]) != nil
        }
    }
}

extension ServerDocument {
    /// For `$set` in a pipeline: draining since then, unless it is already.
    static func drain(since time: Timestamp) -> BSONDocument {
        var document = BSONDocument()
        document.append(time: time, as: "drain")
        let isNew: BSONValue = ["$eq": [["$type": "$drain"], "missing"]]
        return BSONDocument(
            document.map { ($0.key, ["$cond": [isNew, .literal($0.value), .string("$" + $0.key)]]) })
    }

    static func forgetMark(_ document: BSONDocument?) throws(BrimError) -> ForgetMark? {
        guard let document else { return nil }
        return ForgetMark(at: try document.time("at"), losesData: try document.bool("losesData"))
    }
}

extension Optional {
    fileprivate func orThrow(_ error: BrimError) throws(BrimError) -> Wrapped {
        guard let self else { throw error }
        return self
    }
}
