import BrimModel
import MongoDriver

// `$$NOW` is the clock of the database's primary: the only one that leases are measured on. Lease and view are one
// document, so that no view can be published by a leader whose term is over.
extension MongoMetadataStore {
    private static let leader: BSONDocument = ["_id": "leader"]
    /// Of leases and masters older than these fields: long ago.
    private static let never: BSONValue = .date(Timestamp(seconds: 0, nanoseconds: 0))

    public func acquireLease(
        holder: String, url: String, for duration: Duration
    ) async throws -> LeadershipLease {
        try await translatingErrors("acquiring the lease of leadership") {
            let present = try await presentLease()
            if present.left > .zero, present.holder != holder { return present }
            let isFree: BSONDocument = [
                "$or": [
                    ["$eq": ["$holder", .literal(.string(holder))]],
                    ["$lte": [["$ifNull": ["$expires", Self.never]], "$$NOW"]],
                ]
            ]
            let taken = try await collections.leases.findOneAndUpdate(
                Self.leader.merging(["$expr": .document(isFree)]),
                .pipeline([
                    [
                        "$set": [
                            "term": ["$add": ["$term", 1]], "holder": .literal(.string(holder)),
                            "url": .literal(.string(url)), "since": "$$NOW", "expires": Self.end(in: duration),
                        ]
                    ]
                ]), returnNew: true)
            guard let taken else { return try await presentLease() }
            return LeadershipLease(term: try taken.int64("term"), holder: holder, url: url, left: duration)
        }
    }

    private func presentLease() async throws -> LeadershipLease {
        let found = try await collections.leases.aggregate(
            [
                ["$match": .document(Self.leader)],
                [
                    "$project": [
                        "term": 1, "holder": 1, "url": 1,
                        "left": ["$subtract": [["$ifNull": ["$expires", Self.never]], "$$NOW"]],
                    ]
                ],
            ], AggregateOptions(maxTime: Self.timeLimit)
        ).toArray().first
        let lease = try Self.lease(found)
        return LeadershipLease(
            term: try lease.int64("term"), holder: lease["holder"]?.stringValue ?? "",
            url: lease["url"]?.stringValue ?? "", left: .milliseconds(max(0, try lease.int64("left"))))
    }

    public func renewLease(holder: String, term: Int64, for duration: Duration) async throws -> Bool {
        try await translatingErrors("renewing the lease of leadership") {
            try await collections.leases.updateOne(
                Self.own(holder, term), .pipeline([["$set": ["expires": Self.end(in: duration)]]])
            ).matched == 1
        }
    }

    public func releaseLease(holder: String, term: Int64) async throws {
        try await translatingErrors("giving the lease of leadership back") {
            _ = try await collections.leases.updateOne(
                Self.own(holder, term), .pipeline([["$set": ["expires": "$$NOW"]]]))
        }
    }

    private static func own(_ holder: String, _ term: Int64) -> BSONDocument {
        leader.merging(["holder": .string(holder), "term": .int64(term)])
    }

    private static func end(in duration: Duration) -> BSONValue {
        ["$add": ["$$NOW", .int64(duration.wholeMilliseconds)]]
    }

    static func lease(_ document: BSONDocument?) throws(BrimError) -> BSONDocument {
        guard let document else {
            throw BrimError(
                .unavailable, "the database has no lease of leadership yet", advice: "Is a master starting?")
        }
        return document
    }

    public func claimServers(term: Int64) async throws {
        try await translatingErrors("claiming the servers for term \(term)") {
            _ = try await collections.servers.updateMany(
                ServerDocument.notAbove(term), ["$set": ["term": .int64(term)]])
        }
    }

    // MARK: Masters

    public func meetMasters(_ master: MasterHello) async throws -> [MasterRecord] {
        try await translatingErrors("meeting the other masters") {
            // Not worth a sync of the journal: the next one comes in a second.
            let masters = collections.masters.with(writeConcern: MongoWriteConcern(w: .majority, journal: false))
            let ahead: BSONValue = master.ahead.map { .int64($0.wholeMilliseconds) } ?? "$$REMOVE"
            let fields: BSONDocument = [
                "url": .literal(.string(master.url)), "version": .literal(.string(master.version)),
                "started": ["$ifNull": ["$started", "$$NOW"]], "heartbeat": "$$NOW",
                "ahead": ahead,
            ]
            _ = try await masters.updateOne(
                ["_id": .string(master.id)], .pipeline([["$set": .document(fields)]]), upsert: true)
            let found = try await foundMasters()
            let (present, former) = found.reduce(into: ([MasterRecord](), [MasterRecord]())) { result, record in
                let isFormer = record.id != master.id && (record.url == master.url || record.isForgotten)
                if isFormer { result.1.append(record) } else { result.0.append(record) }
            }
            if !former.isEmpty {
                _ = try await masters.deleteMany(["_id": ["$in": .strings(former.map(\.id))]])
            }
            return present
        }
    }

    public func masters() async throws -> [MasterRecord] {
        try await translatingErrors("looking for the masters") { try await foundMasters().filter { !$0.isForgotten } }
    }

    private func foundMasters() async throws -> [MasterRecord] {
        try await collections.masters.aggregate(
            [
                ["$set": ["silence": ["$subtract": ["$$NOW", "$heartbeat"]]]],
                ["$sort": ["started": 1, "_id": 1]],
            ], AggregateOptions(maxTime: Self.timeLimit)
        ).toArray().map(Self.master)
    }

    public func leaveMasters(_ id: String) async throws {
        try await translatingErrors("leaving the list of masters") {
            _ = try await collections.masters.deleteOne(["_id": .string(id)])
        }
    }

    private static func master(_ document: BSONDocument) throws(BrimError) -> MasterRecord {
        MasterRecord(
            id: try document.string("_id"), url: try document.string("url"), version: try document.string("version"),
            started: try document.time("started"), heartbeat: try document.time("heartbeat"),
            silence: .milliseconds(max(0, try document.int64("silence"))),
            ahead: document["ahead"]?.int64Value.map { .milliseconds($0) })
    }
}
