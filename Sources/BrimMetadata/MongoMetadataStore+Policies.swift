import BrimModel
import BrimPlacement
import MongoDriver

extension MongoMetadataStore {
    public func entries(_ ids: [FileID]) async throws -> [FileID: Entry] {
        guard !ids.isEmpty else { return [:] }
        return try await translatingErrors("reading \(ids.count) entries") {
            let filter: BSONDocument = ["_id": ["$in": .ids(ids)], "state": "live"]
            let found = try await all(filter, in: collections.files, FindOptions()).map(Documents.entry)
            return Dictionary(uniqueKeysWithValues: found.map { ($0.id, $0) })
        }
    }

    public func choose(_ changes: [PolicyChange], view: ServerView) async throws -> Int {
        guard !changes.isEmpty else { return 0 }
        return try await translatingErrors("giving \(changes.count) files another n") {
            let now = clock()
            let updates = changes.map { change -> WriteModel in
                var filter = NamespaceTransaction.live(change.file).merging(["rev": .int64(change.rev), "type": "file"])
                if !change.overrules { filter.append("policy", ["$ne": .string(PolicyName.explicit)]) }
                var fields = Documents.chosen(change.choice)
                fields.append("rev", .int64(change.rev + 1))
                fields.append(time: now, as: "changed")
                return .updateOne(filter, Pipelines.setting(fields, view: view))
            }
            return Int(try await collections.files.bulkWrite(updates, ordered: false).matched)
        }
    }

    // MARK: - Rules

    private static let rulesID: BSONDocument = ["_id": "rules"]

    public func rules() async throws -> StoredRules {
        try await translatingErrors("reading the rules") {
            try Self.rules(
                try await collections.settings.findOne(Self.rulesID, FindOptions(maxTime: Self.timeLimit)))
        }
    }

    public func setRules(_ text: String, ifRevision revision: Int64?) async throws -> StoredRules {
        try await translatingErrors("changing the rules") {
            let update: BSONDocument = [
                "$set": ["text": .string(text), "changed": .date(clock())], "$inc": ["revision": .int64(1)],
            ]
            var filter = Self.rulesID
            if let revision, revision > 0 { filter.append("revision", .int64(revision)) }
            // Of revision 0 there is no document: then it must be made by this.
            if revision == 0 { filter.append("revision", ["$exists": false]) }
            do {
                let document = try await collections.settings.findOneAndUpdate(
                    filter, .document(update), returnNew: true, upsert: revision == nil || revision == 0)
                if let document { return try Self.rules(document) }
            } catch let error as MongoError where error.kind == .duplicateKey {
                // Somebody else was first.
            }
            let present = try await rules()
            throw Refusal.otherRevision(present.revision)
        }
    }

    private static func rules(_ document: BSONDocument?) throws(BrimError) -> StoredRules {
        guard let document else { return StoredRules() }
        return StoredRules(
            text: try document.string("text"), revision: try document.int64("revision"),
            changed: try document.time("changed"))
    }

    // MARK: - Passes

    private static let passID: BSONDocument = ["_id": "policyPass"]

    public func policyPass() async throws -> PolicyPass? {
        try await translatingErrors("reading how far policies are applied") {
            try await collections.settings.findOne(Self.passID, FindOptions(maxTime: Self.timeLimit)).map(Self.pass)
        }
    }

    public func beginPolicyPass() async throws -> PolicyPass {
        try await translatingErrors("beginning to apply policies") {
            let fields: BSONDocument = [
                "number": ["$add": [["$ifNull": ["$number", .int64(0)]], .int64(1)]], "begun": .date(clock()),
                "after": .int64(0), "seen": .int64(0), "changed": .int64(0), "finished": "$$REMOVE",
            ]
            for _ in 1..<Self.attempts {
                do {
                    return try await changedPass(fields)
                } catch let error as MongoError where error.kind == .duplicateKey {
                    continue
                }
            }
            return try await changedPass(fields)
        }
    }

    private func changedPass(_ fields: BSONDocument) async throws -> PolicyPass {
        let document = try await collections.settings.findOneAndUpdate(
            Self.passID, .pipeline([["$set": .document(fields)]]), returnNew: true, upsert: true)
        return try Self.pass(document ?? [:])
    }

    public func note(_ pass: PolicyPass) async throws -> Bool {
        try await translatingErrors("noting how far policies are applied") {
            var fields: BSONDocument = [
                "after": .id(pass.after), "seen": .int64(pass.seen), "changed": .int64(pass.changed),
            ]
            if let finished = pass.finished { fields.append("finished", .date(finished)) }
            let filter = Self.passID.merging(["number": .int64(pass.number)])
            return try await collections.settings.updateOne(filter, ["$set": .document(fields)]).matched == 1
        }
    }

    private static func pass(_ document: BSONDocument) throws(BrimError) -> PolicyPass {
        PolicyPass(
            number: try document.int64("number"), begun: try document.time("begun"),
            after: FileID(try document.int64("after")), seen: try document.int64("seen"),
            changed: try document.int64("changed"),
            finished: document["finished"] == nil ? nil : try document.time("finished"))
    }

    // MARK: - Reads

    public func addReads(_ reads: [BlobID: Double], at: Timestamp, due: Timestamp) async throws {
        guard !reads.isEmpty else { return }
        try await translatingErrors("entering reads of \(reads.count) files") {
            let updates = reads.sorted { $0.key < $1.key }.map { blob, count -> WriteModel in
                .updateOne(
                    ["blob": .blob(blob), "state": "live"], .pipeline(Self.adding(count, at: at, due: due)))
            }
            // What was counted twice, or not at all, because a master died, matters little: no need to wait for disks.
            let files = collections.files.with(writeConcern: MongoWriteConcern(w: .majority, journal: false))
            _ = try await files.bulkWrite(updates, ordered: false)
        }
    }

    /// As ``ReadRates/decayed(by:)`` and ``ReadRates/adding(_:)``.
    private static func adding(_ count: Double, at: Timestamp, due: Timestamp) -> [BSONDocument] {
        let elapsed: BSONValue = [
            "$max": [
                0,
                [
                    "$divide": [
                        ["$subtract": [.date(at), ["$ifNull": ["$reads.at", .date(at)]]]], .double(86_400_000),
                    ]
                ],
            ]
        ]
        func rate(_ name: String, _ days: Double) -> BSONValue {
            let decay: BSONValue = ["$exp": ["$divide": ["$$days", .double(-days)]]]
            return ["$add": [["$multiply": [["$ifNull": ["$reads.\(name)", .double(0)]], decay]], .double(count)]]
        }
        let reads: BSONValue = [
            "$let": [
                "vars": ["days": elapsed],
                "in": [
                    "at": ["$max": [.date(at), "$reads.at"]], "day": rate("day", 1), "week": rate("week", 7),
                    "month": rate("month", 30), "due": ["$min": [.date(due), "$reads.due"]],
                ],
            ]
        ]
        return [["$set": ["reads": reads]]]
    }

    public func filesWithReadsDue(by time: Timestamp, limit: Int) async throws -> [Entry] {
        guard limit > 0 else { return [] }
        return try await translatingErrors("looking for files that were read") {
            try await all(
                ["state": "live", "reads.due": ["$lte": .date(time)]], in: collections.files,
                FindOptions(sort: ["reads.due": 1], limit: limit)
            ).map(Documents.entry)
        }
    }

    public func settleReads(_ files: [SettledReads]) async throws {
        guard !files.isEmpty else { return }
        try await translatingErrors("noting what was done about reads") {
            let updates = files.map { file -> WriteModel in
                let filter = NamespaceTransaction.live(file.file).merging(["reads.at": .date(file.measured)])
                let update: BSONDocument =
                    if let due = file.due { ["$set": ["reads.due": .date(due)]] } else { ["$unset": ["reads": ""]] }
                return .updateOne(filter, .document(update))
            }
            _ = try await collections.files.bulkWrite(updates, ordered: false)
        }
    }
}
