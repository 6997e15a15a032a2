import BrimModel
import Foundation
import MongoDriver

extension MongoMetadataStore {
    public func servers() async throws -> [ServerRecord] {
        try await translatingErrors("reading the servers") {
            try await all([:], in: collections.servers, FindOptions(sort: ["_id": 1])).map(ServerDocument.record)
        }
    }

    public func join(_ hello: ServerHello) async throws -> ServerRecord {
        guard hello.requestedQuota >= 0 else { throw Refusal.quota(hello.requestedQuota) }
        return try await translatingErrors("entering server '\(hello.name)'") {
            if try await isForgotten(id: hello.id) { throw Refusal.serverForgotten(hello.name) }
            let zone = BSONValue.literal(.string(hello.zone))
            var fields: BSONDocument = [
                "address": .literal(.string(hello.address)),
                "zone": ["$cond": [["$eq": [["$ifNull": ["$requestedZone", "$zone"]], zone]], "$zone", zone]],
                "requestedZone": zone,
                "version": .literal(.string(hello.version)), "state": ["$ifNull": ["$state", "down"]],
                "quota": [
                    "$cond": [
                        ["$eq": ["$requestedQuota", .int64(hello.requestedQuota)]], "$quota",
                        .int64(hello.requestedQuota),
                    ]
                ],
                "requestedQuota": .int64(hello.requestedQuota),
                "load": ["$ifNull": ["$load", .literal(ServerDocument.load(ServerLoad()))]],
            ]
            fields.append(time: clock(), as: "heartbeat")
            fields.merge(ServerDocument.usage(hello.usage))
            do {
                let document = try await collections.servers.findOneAndUpdate(
                    ["_id": .server(hello.name), "id": .string(hello.id), "forget": ["$exists": false]],
                    .pipeline([["$set": .document(fields)], ServerDocument.free]), returnNew: true, upsert: true)
                guard let document else { throw Refusal.serverUnknown(hello.name) }
                if try await isForgotten(id: hello.id) {
                    // Its document went between the two looks, and was just made anew.
                    _ = try await collections.servers.deleteOne(["_id": .server(hello.name), "id": .string(hello.id)])
                    throw Refusal.serverForgotten(hello.name)
                }
                return try ServerDocument.record(document)
            } catch let error as MongoError where error.kind == .duplicateKey {
                // The name is there with another id, or the same server said hello to two masters at once.
                let present = try await collections.servers.findOne(["_id": .server(hello.name)])
                guard present?["id"]?.stringValue == hello.id else { throw Refusal.serverNameTaken(hello.name) }
                guard present?["forget"] == nil else { throw Refusal.beingForgotten(hello.name) }
                throw error
            }
        }
    }

    public func noteHeartbeat(
        _ name: ServerName, id: String, usage: ServerUsage, load: ServerLoad, at: Timestamp
    ) async throws {
        var fields: BSONDocument = ["load": .literal(ServerDocument.load(load))]
        fields.append(time: at, as: "heartbeat")
        fields.merge(ServerDocument.usage(usage))
        // Not worth a sync of the journal: the next one comes in seconds.
        let servers = collections.servers.with(writeConcern: MongoWriteConcern(w: .majority, journal: false))
        try await change(
            name, servers, ["_id": .server(name), "id": .string(id)],
            .pipeline([["$set": .document(fields)], ServerDocument.free]))
    }

    public func setState(
        _ name: ServerName, from: ServerState, to: ServerState, term: Int64
    ) async throws -> Bool {
        try await translatingErrors("changing the state of server '\(name)'") {
            let filter: BSONDocument = ["_id": .server(name), "state": .string(from.rawValue)]
            let result = try await collections.servers.updateOne(
                filter.merging(ServerDocument.notAbove(term)),
                ["$set": ["state": .string(to.rawValue), "term": .int64(term)]])
            if result.matched == 1 { return true }
            let present = try await collections.servers.findOne(["_id": .server(name)])
            if let latest = present?["term"]?.int64Value, latest > term { throw Refusal.staleTerm(term) }
            return false
        }
    }

    public func setQuota(_ name: ServerName, _ quota: Int64) async throws {
        guard quota >= 0 else { throw Refusal.quota(quota) }
        try await change(
            name, collections.servers, ["_id": .server(name)],
            [["$set": ["quota": .int64(quota)]], ServerDocument.free])
    }

    public func noteReport(_ name: ServerName, at: Timestamp) async throws {
        var fields = BSONDocument()
        fields.append(time: at, as: "report")
        try await change(name, collections.servers, ["_id": .server(name)], ["$set": .document(fields)])
    }

    func noteRecount(_ name: ServerName, _ progress: RecountProgress) async throws {
        try await change(
            name, collections.servers, ["_id": .server(name)],
            ["$set": ["recount": .document(ServerDocument.recount(progress))]])
    }

    private func change(
        _ name: ServerName, _ servers: MongoCollection, _ filter: BSONDocument, _ update: MongoUpdate
    ) async throws {
        try await translatingErrors("changing server '\(name)'") {
            guard try await servers.updateOne(filter, update).matched == 1 else { throw Refusal.serverUnknown(name) }
        }
    }

    // MARK: The view

    public func view() async throws -> ServerView {
        try await translatingErrors("reading the view of servers") {
            try ServerDocument.view(
                Self.lease(
                    try await collections.leases.findOne(["_id": "leader"], FindOptions(maxTime: Self.timeLimit))))
        }
    }

    public func publishView(
        counted: [ServerName], readable: [ServerName], up: [ServerName], forgotten: [ServerName], term: Int64
    ) async throws -> ServerView {
        try await translatingErrors("publishing the view of servers") {
            let lease = try await collections.leases.findOneAndUpdate(
                ["_id": "leader", "term": .int64(term)],
                [
                    "$inc": ["view.epoch": 1],
                    "$set": [
                        "view.counted": .servers(counted), "view.readable": .servers(readable),
                        "view.up": .servers(up), "view.forgotten": .servers(forgotten),
                        "view.published": .date(clock()),
                    ],
                ], returnNew: true)
            guard let lease else { throw Refusal.staleTerm(term) }
            return try ServerDocument.view(lease)
        }
    }
}

/// Documents of `servers`.
enum ServerDocument {
    /// Servers that no leader of a later term has claimed.
    static func notAbove(_ term: Int64) -> BSONDocument {
        ["$or": [["term": ["$exists": false]], ["term": ["$lte": .int64(term)]]]]
    }

    static func load(_ load: ServerLoad) -> BSONValue {
        [
            "cpu": .double(load.cpu), "network": .double(load.network), "disk": .double(load.disk),
            "transfers": .int(load.transfers),
        ]
    }

    /// For `$set` in a pipeline: what the slave said, unless it said what is there already later.
    static func usage(_ usage: ServerUsage) -> BSONDocument {
        let isNews: BSONValue = [
            "$or": [
                ["$ne": ["$boot", .literal(.string(usage.boot))]], ["$lte": ["$count", .int64(usage.count)]],
            ]
        ]
        let fields: BSONDocument = [
            "boot": .string(usage.boot), "count": .int64(usage.count), "used": .int64(usage.used),
            "reserved": .int64(usage.reserved), "writing": .int64(usage.writing), "diskFree": .int64(usage.diskFree),
            "files": .int64(usage.files),
        ]
        return BSONDocument(fields.map { ($0.key, ["$cond": [isNews, .literal($0.value), .string("$" + $0.key)]]) })
    }

    /// What follows from quota and usage: bytes that the server can still take.
    static let free: BSONDocument = [
        "$set": ["free": ["$max": [0, ["$min": [["$subtract": ["$quota", "$used"]], "$diskFree"]]]]]
    ]

    static func recount(_ progress: RecountProgress) -> BSONDocument {
        var document: BSONDocument = ["epoch": .int64(progress.epoch), "finished": .bool(progress.finished)]
        if let after = progress.after {
            document.append("surplus", .int(after.surplus))
            document.append("file", .id(after.file))
        }
        return document
    }

    static func record(_ document: BSONDocument) throws(BrimError) -> ServerRecord {
        let load = try document.read("load") { $0.documentValue }
        return ServerRecord(
            name: try document.read("_id") { $0.stringValue.flatMap(ServerName.init(rawValue:)) },
            id: try document.string("id"),
            address: try document.string("address"),
            zone: try document.string("zone"),
            version: try document.string("version"),
            state: try document.read("state") { $0.stringValue.flatMap(ServerState.init) },
            quota: try document.int64("quota"),
            requestedQuota: try document.int64("requestedQuota"),
            usage: ServerUsage(
                boot: try document.string("boot"), count: try document.int64("count"),
                used: try document.int64("used"), reserved: try document.int64("reserved"),
                writing: try document.int64("writing"),
                diskFree: try document.int64("diskFree"), files: try document.int64("files")),
            load: ServerLoad(
                cpu: try load.read("cpu") { $0.doubleValue }, network: try load.read("network") { $0.doubleValue },
                disk: try load.read("disk") { $0.doubleValue }, transfers: try load.int("transfers")),
            heartbeat: try document.time("heartbeat"),
            report: document["report"] == nil ? nil : try document.time("report"),
            recount: try recountProgress(document["recount"]?.documentValue),
            requestedZone: document["requestedZone"]?.stringValue,
            drain: document["drain"] == nil ? nil : try document.time("drain"),
            forget: try forgetMark(document["forget"]?.documentValue))
    }

    private static func recountProgress(_ document: BSONDocument?) throws(BrimError) -> RecountProgress? {
        guard let document else { return nil }
        var progress = RecountProgress(epoch: try document.int64("epoch"), finished: try document.bool("finished"))
        if document["file"] != nil {
            progress.after = RecountPosition(
                surplus: try document.int("surplus"), file: FileID(try document.int64("file")))
        }
        return progress
    }

    static func view(_ lease: BSONDocument) throws(BrimError) -> ServerView {
        let view = try lease.read("view") { $0.documentValue }
        return ServerView(
            epoch: try view.int64("epoch"), counted: Set(try view.servers("counted")),
            readable: Set(try view.servers("readable")), up: Set(try view.servers("up")),
            forgotten: view["forgotten"] == nil ? [] : Set(try view.servers("forgotten")))
    }
}
