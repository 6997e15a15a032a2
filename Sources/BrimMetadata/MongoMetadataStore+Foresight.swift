import BrimModel
import BrimPlacement
import MongoDriver

extension MongoMetadataStore {
    /// Branches of an `$or` that an index still answers in order.
    private static let mostBranches = 200

    public func fragileFiles(view: ServerView, limit: Int) async throws -> [FailureBudget.Group] {
        try await translatingErrors("counting what losses would do") {
            let few = try await groups([["$match": .document(Pipelines.withFewCopies)]], view)
            let ks = 3..<max(4, min(view.counted.count + 1, Self.mostBranches))
            let poorest = try await aggregate(Pipelines.poorest(ks: ks, atMost: nil, limit: 1))
            guard let least = try poorest.first?.int("surplus") else { return few }
            return few + (try await groups(Pipelines.poorest(ks: ks, atMost: least + 1, limit: limit), view))
        }
    }

    private func groups(_ files: [BSONDocument], _ view: ServerView) async throws -> [FailureBudget.Group] {
        let key: BSONDocument = [
            "counted": Pipelines.holders(view.counted), "readable": Pipelines.holders(view.readable),
            "surplus": "$surplus",
        ]
        let sums: BSONDocument = ["_id": .document(key), "files": ["$sum": 1], "bytes": ["$sum": "$size"]]
        return try await aggregate(files + [["$group": .document(sums)]]).map { row in
            let key = try row.read("_id") { $0.documentValue }
            return FailureBudget.Group(
                counted: Set(try key.servers("counted")), readable: Set(try key.servers("readable")),
                surplus: try key.int("surplus"), files: try row.int64("files"), bytes: try row.int64("bytes"))
        }
    }

    public func foresee(_ event: ForeseenEvent, view: ServerView) async throws -> [ForeseenChange] {
        try await translatingErrors("foreseeing what would become of files") {
            let live: BSONDocument = ["state": "live", "type": "file"]
            var changes: [ForeseenChange] = []
            // Each file in one of these: those that get another n may lose copies as well.
            if let copies = event.copies {
                if !copies.directories.isEmpty {
                    let inside: BSONDocument = ["parent": ["$in": .ids(copies.directories)]]
                    changes += try await self.changes(live.merging(inside), n: copies.n, event, view)
                }
                if !copies.files.isEmpty {
                    let named: BSONDocument = [
                        "_id": ["$in": .ids(copies.files)], "parent": ["$nin": .ids(copies.directories)],
                    ]
                    changes += try await self.changes(live.merging(named), n: copies.n, event, view)
                }
            }
            if !event.lost.isEmpty {
                var held = live.merging(["replicas": ["$in": .servers(event.lost.sorted())]])
                if let copies = event.copies {
                    if !copies.directories.isEmpty {
                        held.append("parent", ["$nin": .ids(copies.directories)])
                    }
                    if !copies.files.isEmpty { held.append("_id", ["$nin": .ids(copies.files)]) }
                }
                changes += try await self.changes(held, n: nil, event, view)
            }
            return changes
        }
    }

    private func changes(
        _ files: BSONDocument, n: Int?, _ event: ForeseenEvent, _ view: ServerView
    ) async throws -> [ForeseenChange] {
        let k: BSONValue = ["$size": Pipelines.holders(view.counted.subtracting(event.lost))]
        let key: BSONDocument = [
            "wasReadable": "$readable", "before": "$surplus",
            "isReadable": ["$gt": [["$size": Pipelines.holders(view.readable.subtracting(event.lost))], 0]],
            "after": ["$subtract": [k, n.map(BSONValue.int) ?? "$n"]],
        ]
        let sums: BSONDocument = ["_id": .document(key), "files": ["$sum": 1], "bytes": ["$sum": "$size"]]
        return try await aggregate([["$match": .document(files)], ["$group": .document(sums)]]).map { row in
            let key = try row.read("_id") { $0.documentValue }
            return ForeseenChange(
                before: try key.bool("wasReadable") ? try key.int("before") : nil,
                after: try key.bool("isReadable") ? try key.int("after") : nil,
                files: try row.int64("files"), bytes: try row.int64("bytes"))
        }
    }

    public func sampleFiles(_ count: Int?) async throws -> [SampledFile] {
        try await translatingErrors("taking a sample of the files") {
            // First of all: only then it is drawn by chance, without a look at every document.
            let sample: [BSONDocument] = count.map { [["$sample": ["size": .int($0)]]] } ?? []
            let fields: BSONDocument = ["parent": 1, "size": 1, "n": 1, "replicas": 1]
            return try await aggregate(
                sample + [
                    ["$match": .document(Pipelines.readableLive.merging(["type": "file"]))],
                    ["$project": .document(fields)],
                ]
            ).map { document in
                SampledFile(
                    id: FileID(try document.int64("_id")), parent: document["parent"]?.int64Value.map { FileID($0) },
                    size: try document.int64("size"), n: try document.int("n"),
                    replicas: try document.servers("replicas"))
            }
        }
    }

    // MARK: - Growth

    private static let growthID: BSONDocument = ["_id": "growth"]

    public func noteGrowth(_ sample: Growth.Sample) async throws {
        try await translatingErrors("noting how much is stored") {
            let document: BSONDocument = [
                "at": .date(sample.at), "files": .int64(sample.files), "bytes": .int64(sample.bytes),
                "wanted": .int64(sample.wanted),
            ]
            let hour = sample.at.seconds / 3600
            let update: BSONDocument = [
                "$set": ["hour": .int64(hour)],
                "$push": ["samples": ["$each": [.document(document)], "$slice": .int(-growthMemory)]],
            ]
            // Of an hour that is noted nothing matches, and the document is there.
            try await Schema.unlessPresent {
                try await collections.settings.updateOne(
                    Self.growthID.merging(["hour": ["$ne": .int64(hour)]]), .document(update), upsert: true)
            }
        }
    }

    public func growth() async throws -> [Growth.Sample] {
        try await translatingErrors("reading how much was stored") {
            let document = try await collections.settings.findOne(
                Self.growthID, FindOptions(maxTime: Self.timeLimit))
            return try (document?["samples"]?.arrayValue ?? []).compactMap(\.documentValue).map { sample in
                Growth.Sample(
                    at: try sample.time("at"), files: try sample.int64("files"), bytes: try sample.int64("bytes"),
                    wanted: try sample.int64("wanted"))
            }
        }
    }
}
