import BrimModel
import MongoDriver

/// Collections, validators, indexes and views, created where missing at each start of a master.
enum Schema {
    /// Of the documents; a master refuses a database with a greater one. The fields `of`, `former` and `discarded` of
    /// trash and old versions are optional and came later, without a new version.
    static let version: Int64 = 1

    struct Collection {
        var name: String
        var validator: BSONDocument?
        var indexes: [IndexModel] = []
    }

    struct View {
        var name: String
        var source: String
        var pipeline: [BSONDocument]
    }

    static let collections = [
        Collection(name: "files", validator: filesValidator, indexes: filesIndexes),
        Collection(name: "servers", validator: serversValidator),
        // Ids of servers that never join again.
        Collection(
            name: "forgotten",
            validator: schema(required: ["name", "at"], ["_id": string, "name": string, "at": date]),
            indexes: [IndexModel(["at": 1])]),
        Collection(name: "counters", validator: schema(required: ["value"], ["value": integer])),
        Collection(name: "settings"),
        Collection(name: "leases"),
        Collection(
            name: "masters",
            validator: schema(
                required: ["url", "version", "started", "heartbeat"],
                [
                    "_id": string, "url": string, "version": string, "started": date, "heartbeat": date,
                    "ahead": integer,
                ])),
        Collection(
            name: "deletions",
            validator: schema(
                required: ["at", "servers"], ["_id": objectID, "at": date, "file": integer, "servers": names]),
            indexes: [IndexModel(["servers": 1, "_id": 1]), IndexModel(["at": 1])]),
        Collection(
            name: "events",
            validator: schema(
                required: ["file", "kind", "at"],
                ["file": integer, "blob": objectID, "server": string, "kind": string, "reason": string, "at": date]),
            indexes: [IndexModel(["file": 1, "at": 1])]),
        // Requests that changed names and were done, or were refused.
        Collection(
            name: "requests",
            validator: schema(
                required: ["at"],
                ["_id": string, "at": date, "entry": ["bsonType": "object"], "refused": ["bsonType": "object"]]),
            indexes: [IndexModel(["at": 1], expireAfter: requestMemory)]),
    ]

    /// How long it is known what became of a request: much longer than anybody repeats it.
    private static let requestMemory = Duration.seconds(86_400)

    static let views = [
        View(name: "health", source: "settings", pipeline: Pipelines.healthView),
        View(name: "richest", source: "servers", pipeline: Pipelines.richestView),
    ]

    /// Not among `views`: its pipeline changes with the servers.
    static let neediest = View(name: "neediest", source: "files", pipeline: Pipelines.neediestView(sizeLimits: []))

    // MARK: Indexes

    private static let filesIndexes: [IndexModel] = [
        // Names; every look-up says `state: "live"`.
        IndexModel(["parent": 1, "name": 1], name: "place", unique: true, partialFilterExpression: ["state": "live"]),
        // A blob belongs to one document; what has none is not in the index.
        IndexModel(["blob": 1], name: "blob", unique: true, sparse: true),
        IndexModel(
            ["readable": 1, "k": 1, "surplus": 1, "size": 1, "_id": 1], name: "neediest",
            partialFilterExpression: ["state": "live", "type": "file"]),
        // Copies by surplus. What may be given up is added up from this index alone, so its filter, too, is about a field
        // that is in it.
        IndexModel(
            ["replicas": 1, "surplus": -1, "_id": -1, "size": 1, "k": 1], name: "copies",
            partialFilterExpression: ["replicas": ["$exists": true]]),
        // Reports are compared with metadata in the order of blobs.
        IndexModel(["replicas": 1, "blob": 1], name: "holders", partialFilterExpression: ["type": "file"]),
        // Least and most surplus and the histogram are read from this index alone. Its filter is about an indexed field:
        // for any other MongoDB would read the documents to check it.
        IndexModel(
            ["state": 1, "readable": 1, "surplus": 1, "size": 1, "k": 1], name: "levels",
            partialFilterExpression: ["readable": ["$exists": true]]),
        // Files whose reads policies are to look at.
        IndexModel(["reads.due": 1], name: "reads", partialFilterExpression: ["reads.due": ["$exists": true]]),
        IndexModel(["of": 1, "version": 1], name: "versions", partialFilterExpression: ["of": ["$exists": true]]),
        // Versions just overwritten, whose blobs are not in the index of blobs until they have documents of their own.
        IndexModel(["former.blob": 1], name: "former", partialFilterExpression: ["former.blob": ["$exists": true]]),
        // Removed files by path, of one path the last removed first.
        IndexModel(
            ["discarded.path": 1, "discarded.at": -1, "_id": -1], name: "removed",
            partialFilterExpression: ["discarded.path": ["$exists": true]]),
        // The trash by age; its sums are read from this index alone.
        IndexModel(
            ["state": 1, "discarded.at": 1, "k": 1, "size": 1], name: "trash",
            partialFilterExpression: ["discarded.at": ["$exists": true]]),
    ]

    /// Those of `files` that others took the place of.
    private static let formerIndexes: Set = ["richest", "surplus"]

    // MARK: Validators

    private static let string: BSONDocument = ["bsonType": "string"]
    private static let integer: BSONDocument = ["bsonType": ["int", "long"]]
    private static let natural: BSONDocument = ["bsonType": ["int", "long"], "minimum": 0]
    private static let number: BSONDocument = ["bsonType": ["int", "long", "double"]]
    private static let date: BSONDocument = ["bsonType": "date"]
    private static let bool: BSONDocument = ["bsonType": "bool"]
    private static let objectID: BSONDocument = ["bsonType": "objectId"]
    private static let names: BSONDocument = [
        "bsonType": "array", "items": ["bsonType": "string"], "uniqueItems": true,
    ]
    private static func oneOf(_ values: [String]) -> BSONDocument { ["enum": .strings(values)] }

    private static func schema(
        required: [String], _ properties: KeyValuePairs<String, BSONDocument>
    ) -> BSONDocument {
        ["$jsonSchema": .document(object(required: required, properties))]
    }

    private static func object(
        required: [String], _ properties: KeyValuePairs<String, BSONDocument>
    ) -> BSONDocument {
        [
            "bsonType": "object", "required": .strings(required),
            "properties": .document(BSONDocument(properties.map { ($0.key, .document($0.value)) })),
        ]
    }

    private static let fileFields = [
        "version", "blob", "size", "checksum", "n", "k", "surplus", "readable", "replicas",
    ]

    private static let filesValidator: BSONDocument = [
        "$and": [
            .document(
                schema(
                    required: ["state", "parent", "name", "type", "mode", "created", "modified", "rev"],
                    [
                        "_id": integer, "state": oneOf(["live", "old", "trash"]), "parent": integer, "name": string,
                        "type": oneOf(["file", "directory", "symlink", "link", "fifo", "socket", "device"]),
                        "mode": natural, "uid": natural, "gid": natural, "nlink": natural,
                        "created": date, "modified": date, "changed": date, "rev": natural,
                        "attributes": ["bsonType": "object"], "target": string,
                        "version": natural, "blob": objectID, "size": natural, "checksum": string, "request": string,
                        "former": ["bsonType": "array"], "of": integer,
                        "discarded": object(
                            required: ["at", "n"], ["at": date, "path": string, "n": integer, "policy": string]),
                        "n": integer, "k": natural, "surplus": integer,
                        "readable": bool, "replicas": names, "policy": string,
                        "reads": object(
                            required: ["at"],
                            ["at": date, "day": number, "week": number, "month": number, "due": date]),
                    ])),
            [
                "$or": [
                    ["type": ["$ne": "file"]],
                    [
                        "$and": .array(
                            fileFields.map { .document([$0: ["$exists": true]]) } + [
                                ["$expr": ["$eq": ["$surplus", ["$subtract": ["$k", "$n"]]]]]
                            ])
                    ],
                ]
            ],
        ]
    ]

    private static let serversValidator = schema(
        required: ["id", "address", "zone", "state", "quota", "used", "files", "free", "load", "heartbeat", "version"],
        [
            "_id": string, "id": string, "address": string, "zone": string,
            "state": oneOf(ServerState.judgements.map(\.rawValue)), "quota": natural, "requestedQuota": natural,
            "used": natural, "reserved": natural, "writing": natural, "diskFree": integer, "files": natural,
            "free": natural,
            "load": object(
                required: ["cpu", "network", "disk", "transfers"],
                ["cpu": number, "network": number, "disk": number, "transfers": natural]),
            "heartbeat": date, "report": date, "version": string, "requestedZone": string, "drain": date,
            "term": integer,
            "forget": object(required: ["at", "losesData"], ["at": date, "losesData": bool]),
        ])

    // MARK: Creating

    /// Creates what is missing and renews what differs. Safe for several masters at once.
    static func ensure(in database: MongoDatabase) async throws {
        let present = try await database.listCollections()
        func options(_ name: String) -> BSONDocument? {
            present.first { $0["name"]?.stringValue == name }.map { $0["options"]?.documentValue ?? [:] }
        }
        for collection in collections {
            if let options = options(collection.name) {
                if options["validator"]?.documentValue != collection.validator {
                    try await database.collMod(
                        collection.name, ["validator": .document(collection.validator ?? [:])])
                }
            } else {
                try await unlessPresent {
                    try await database.createCollection(collection.name, validator: collection.validator)
                }
            }
            try await database.collection(collection.name).createIndexes(collection.indexes)
        }
        try await dropFormerIndexes(of: database.collection("files"))
        for view in views + [neediest] {
            if let options = options(view.name) {
                if view.name != neediest.name, options["pipeline"] != .documents(view.pipeline) {
                    try await renew(view, in: database)
                }
            } else {
                try await unlessPresent {
                    try await database.createView(view.name, on: view.source, pipeline: view.pipeline)
                }
            }
        }
    }

    private static func dropFormerIndexes(of files: MongoCollection) async throws {
        for index in try await files.listIndexes().compactMap({ $0["name"]?.stringValue })
        where formerIndexes.contains(index) {
            do {
                try await files.dropIndex(index)
            } catch let error as MongoError where error.code == indexNotFound {
                // Another master was a moment ahead.
                continue
            }
        }
    }

    private static let indexNotFound = 27

    static func renew(_ view: View, in database: MongoDatabase) async throws {
        try await database.collMod(
            view.name, ["viewOn": .string(view.source), "pipeline": .documents(view.pipeline)])
    }

    /// Another master may be a moment ahead.
    static func unlessPresent(_ create: () async throws -> Void) async throws {
        do {
            try await create()
        } catch let error as MongoError where error.kind == .alreadyExists || error.kind == .duplicateKey {
            return
        }
    }
}
