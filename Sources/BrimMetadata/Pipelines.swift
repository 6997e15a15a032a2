import BrimModel
import MongoDriver

/// The pipelines that drive replication, defined once: the store runs them, and MongoDB's views of the same definitions
/// show them to anyone with a shell. Each is answered from an index, which a test proves with `explain`.
enum Pipelines {
    // MARK: Updates

    /// The last stages of every update of `replicas`, `n` or the sets of servers: k, readable and surplus follow.
    static func counting(_ view: ServerView) -> [BSONDocument] {
        [
            ["$set": ["k": k(view), "readable": isReadable(view)]],
            ["$set": ["surplus": ["$subtract": ["$k", "$n"]]]],
        ]
    }

    /// Whether `counting` would change nothing.
    static func isCounted(_ view: ServerView) -> BSONValue {
        [
            "$and": [
                ["$eq": ["$k", k(view)]], ["$eq": ["$readable", isReadable(view)]],
                ["$eq": ["$surplus", ["$subtract": [k(view), "$n"]]]],
            ]
        ]
    }

    private static func k(_ view: ServerView) -> BSONValue { ["$size": holders(view.counted)] }
    private static func isReadable(_ view: ServerView) -> BSONValue { ["$gt": [["$size": holders(view.readable)], 0]] }

    /// Those of a file's holders that are among these servers.
    static func holders(_ servers: Set<ServerName>) -> BSONValue {
        ["$setIntersection": ["$replicas", .literal(.servers(servers.sorted()))]]
    }

    static func adding(_ server: ServerName, view: ServerView) -> MongoUpdate {
        let name = BSONValue.literal(.server(server))
        return setting(
            [
                "replicas": [
                    "$cond": [["$in": [name, "$replicas"]], "$replicas", ["$concatArrays": ["$replicas", [name]]]]
                ]
            ], view: view)
    }

    static func removing(_ server: ServerName, view: ServerView) -> MongoUpdate {
        setting(
            [
                "replicas": [
                    "$filter": ["input": "$replicas", "cond": ["$ne": ["$$this", .literal(.server(server))]]]
                ]
            ], view: view)
    }

    /// Sets fields to expressions, then what follows from them.
    static func setting(_ fields: BSONDocument, view: ServerView) -> MongoUpdate {
        .pipeline((fields.isEmpty ? [] : [["$set": .document(fields)]]) + counting(view))
    }

    // MARK: Conditions

    static let readableLive: BSONDocument = ["state": "live", "readable": true]
    static let unreachableLive: BSONDocument = ["state": "live", "readable": false]

    /// Files that can take one more copy: one branch for each k, which the index answers in the order that is wanted.
    static func needy(sizeLimits: [Int64], after: NeedyPosition?) -> BSONDocument {
        var branches: [BSONDocument] = []
        // An `$or` needs a branch; this one is empty.
        let limits = sizeLimits.isEmpty ? [(k: -1, bytes: Int64(0))] : sizeLimits.enumerated().map { ($0, $1) }
        for (k, bytes) in limits {
            func branch(_ surplus: BSONValue?, _ size: BSONDocument, _ id: BSONValue? = nil) {
                var branch: BSONDocument = ["state": "live", "type": "file", "readable": true, "k": .int(k)]
                if let surplus { branch.append("surplus", surplus) }
                branch.append("size", .document(size))
                if let id { branch.append("_id", id) }
                branches.append(branch)
            }
            guard let after else {
                branch(nil, ["$lte": .int64(bytes)])
                continue
            }
            branch(["$gt": .int(after.surplus)], ["$lte": .int64(bytes)])
            branch(.int(after.surplus), ["$gt": .int64(after.size), "$lte": .int64(bytes)])
            if after.size <= bytes {
                branch(.int(after.surplus), ["$eq": .int64(after.size)], ["$gt": .id(after.file)])
            }
        }
        return ["$or": .documents(branches)]
    }

    // MARK: Decisions

    static func neediest(sizeLimits: [Int64], after: NeedyPosition?, limit: Int) -> [BSONDocument] {
        [
            ["$match": .document(needy(sizeLimits: sizeLimits, after: after))],
            ["$sort": ["surplus": 1, "size": 1, "_id": 1]],
            ["$limit": .int(limit)],
        ]
    }

    /// Copies on a server, most surplus first; `holds` says which server.
    static func richest(holds: BSONDocument, limit: Int) -> [BSONDocument] {
        var match = holds
        match.append("type", "file")
        return [
            ["$match": .document(match)],
            // The same direction throughout: another one for the tie-break would be a blocking sort.
            ["$sort": ["surplus": -1, "_id": -1]],
            ["$limit": .int(limit)],
            ["$project": ["blob": 1, "size": 1, "surplus": 1, "replicas": 1]],
        ]
    }

    /// The readable live file with the least (`direction` 1) or most (−1) surplus.
    static func extreme(_ direction: Int) -> [BSONDocument] {
        [
            ["$match": .document(readableLive)],
            ["$sort": ["surplus": .int(direction)]],
            ["$limit": 1],
            ["$project": ["_id": 0, "surplus": 1]],
        ]
    }

    /// Files and bytes by readable and surplus: a scan, but of an index alone.
    static let histogram: [BSONDocument] = [
        ["$match": ["state": "live", "readable": ["$in": [true, false]]]],
        [
            "$group": [
                "_id": ["readable": "$readable", "surplus": "$surplus"], "files": ["$sum": 1],
                "bytes": ["$sum": "$size"],
                "wanted": ["$sum": ["$multiply": ["$size", ["$subtract": ["$k", "$surplus"]]]]],
            ]
        ],
        ["$sort": ["_id": 1]],
    ]

    /// Readable files that the loss of two servers may take.
    static let withFewCopies: BSONDocument = readableLive.merging(["type": "file", "k": ["$lte": 2]])

    /// Readable files with these numbers of copies, least surplus first.
    static func poorest(ks: Range<Int>, atMost surplus: Int?, limit: Int) -> [BSONDocument] {
        let branches = ks.map { k in
            var branch = readableLive.merging(["type": "file", "k": .int(k)])
            if let surplus { branch.append("surplus", ["$lte": .int(surplus)]) }
            return branch
        }
        return [["$match": ["$or": .documents(branches)]], ["$sort": ["surplus": 1]], ["$limit": .int(limit)]]
    }

    /// Bytes of the copies on a server that may be given up, by surplus and k, all trash as one: read from an index alone.
    static func reclaimable(on server: ServerName) -> [BSONDocument] {
        let isTrash: BSONValue = ["$gte": ["$surplus", .int(Trash.leastSurplus)]]
        let key: BSONDocument = [
            "surplus": ["$min": ["$surplus", .int(Trash.leastSurplus)]], "k": ["$cond": [isTrash, 0, "$k"]],
        ]
        return [
            ["$match": ["replicas": .server(server), "surplus": ["$gt": 0]]],
            ["$group": ["_id": .document(key), "bytes": ["$sum": "$size"]]],
        ]
    }

    /// Everything in the trash: read from an index alone.
    static let trash: BSONDocument = [
        "state": .document(Documents.discardedStates), "discarded.at": ["$gt": Documents.beginning],
    ]

    /// How many documents there are in the trash, and the bytes of their counted copies.
    static func trashTotals(_ match: BSONDocument?) -> [BSONDocument] {
        [
            ["$match": .document(match ?? trash)],
            [
                "$group": [
                    "_id": .null, "files": ["$sum": 1], "bytes": ["$sum": ["$multiply": ["$k", "$size"]]],
                ]
            ],
        ]
    }

    // MARK: Views

    /// `db.neediest.find()`: the sizes that servers can take are constants, renewed when servers change.
    static func neediestView(sizeLimits: [Int64]) -> [BSONDocument] {
        neediest(sizeLimits: sizeLimits, after: nil, limit: 500) + [
            [
                "$project": [
                    "parent": 1, "name": 1, "size": 1, "n": 1, "k": 1, "surplus": 1, "replicas": 1, "blob": 1,
                ]
            ]
        ]
    }

    /// `db.richest.find({server: "alpha"})`, on `servers`: each row is a copy and names its server.
    static let richestView: [BSONDocument] = [
        ["$project": ["_id": 0, "server": "$_id"]],
        [
            "$lookup": [
                "from": "files", "localField": "server", "foreignField": "replicas", "as": "copy",
                "pipeline": .documents(richest(holds: [:], limit: 20)),
            ]
        ],
        ["$unwind": "$copy"],
        [
            "$project": [
                "server": 1, "file": "$copy._id", "blob": "$copy.blob", "size": "$copy.size",
                "surplus": "$copy.surplus", "replicas": "$copy.replicas",
            ]
        ],
    ]

    /// `db.health.find()`, on `settings`, so that there is a row in an empty swarm too: least and most surplus, and how
    /// many files are at risk or unreachable.
    static let healthView: [BSONDocument] =
        [["$match": ["_id": "swarm"]], ["$project": ["_id": 1]]]
        + [
            extreme(1) + [["$project": ["minSurplus": "$surplus"]]],
            extreme(-1) + [["$project": ["maxSurplus": "$surplus"]]],
            [["$match": .document(readableLive.merging(["surplus": ["$lt": 0]]))], ["$count": "filesAtRisk"]],
            [["$match": .document(unreachableLive)], ["$count": "unreachable"]],
        ].map { ["$unionWith": ["coll": "files", "pipeline": .documents($0)]] } + [
            [
                "$group": [
                    "_id": "health", "minSurplus": ["$max": "$minSurplus"], "maxSurplus": ["$max": "$maxSurplus"],
                    "filesAtRisk": ["$sum": "$filesAtRisk"], "unreachable": ["$sum": "$unreachable"],
                ]
            ]
        ]
}

extension BSONDocument {
    func merging(_ other: BSONDocument) -> BSONDocument {
        var merged = self
        merged.merge(other)
        return merged
    }
}
