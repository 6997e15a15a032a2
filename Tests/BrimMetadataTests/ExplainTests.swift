import BrimModel
import MongoDriver
import Testing

@testable import BrimMetadata

/// Decisions cost O(log n): with 100,000 files, a third of them unreachable and a third capped, each is answered from an
/// index, in its order, and reads little more than it gives.
@Suite struct ExplainTests {
    static let files = 100_000
    /// Above this no server can take a copy.
    static let brims: [Int64] = [1_000_000, 1_000_000, 1_000_000]

    @Test func decisionsAreAnsweredFromIndexes() async throws {
        try await TestStore.withMongo { store in
            try await Self.fill(store)
            try await store.refreshViews(brims: Self.brims, maxCopies: 16)
            try await Self.neediest(store)
            try await Self.richest(store)
            try await Self.leaving(store)
            try await Self.sums(store)
            try await Self.names(store)
            try await Self.trash(store)
            try await Self.events(store)
        }
    }

    /// The story of one file among many, and a page of all of them.
    private static func events(_ store: MongoMetadataStore) async throws {
        let range: BSONDocument = ["$project": ["i": ["$range": [0, 20_000]]]]
        let fields: BSONDocument = [
            "file": ["$toLong": ["$mod": ["$i", 1000]]], "kind": "givenUp", "server": "alpha", "reason": "test",
            "blob": ["$toObjectId": "650000001000000000000000"], "at": "$$NOW", "atNanos": .literal(0),
        ]
        _ = try await store.collections.settings.aggregate([
            ["$match": ["_id": "swarm"]], range, ["$unwind": "$i"], ["$set": .document(fields)],
            ["$unset": ["i", "_id"]], ["$merge": ["into": "events"]],
        ]).toArray()
        #expect(try await store.events(of: FileID(7), limit: 5).count == 5)
        let story = try await store.collections.events.explainFind(
            ["file": 7], FindOptions(sort: ["file": -1, "at": -1], limit: 5))
        Plan(story).expectIndexed("a story", documents: 5, keys: 6)
        let page = try await store.collections.events.explainFind(
            ["file": ["$gt": 500]], FindOptions(sort: ["file": 1, "at": 1], limit: 100, hint: "file_1_at_1"))
        Plan(page).expectIndexed("a page of all stories", documents: 100, keys: 101)
    }

    private static func neediest(_ store: MongoMetadataStore) async throws {
        let limits = sizeLimits(brims: brims, maxCopies: 16)
        var after: NeedyPosition?
        for page in 0..<4 {
            let pipeline = Pipelines.neediest(sizeLimits: limits, after: after, limit: 500)
            let plan = Plan(try await store.collections.files.explainAggregate(pipeline))
            plan.expectIndexed("neediest, page \(page)", documents: 3000, keys: 3500)
            let files = try await store.neediest(after: after, limit: 500, brims: brims, maxCopies: 16)
            #expect(files.count == 500)
            let last = try #require(files.last)
            let content = try #require(last.content)
            #expect(files.allSatisfy { $0.content.map { $0.readable && $0.k < 3 } == true })
            after = NeedyPosition(surplus: content.surplus, size: content.size, file: last.id)
        }
        let view = store.database.collection("neediest")
        Plan(try await view.explainAggregate([])).expectIndexed("the view neediest", documents: 3000, keys: 3500)
    }

    private static func richest(_ store: MongoMetadataStore) async throws {
        let alpha = try ServerName(validating: "alpha")
        let holds: BSONDocument = ["replicas": "alpha", "surplus": ["$gte": 1]]
        let plan = Plan(
            try await store.collections.files.explainAggregate(Pipelines.richest(holds: holds, limit: 500)))
        plan.expectIndexed("richest", documents: 500, keys: 600)
        #expect(try await store.richest(on: alpha, minSurplus: 1, limit: 500).count == 500)
        let view = store.database.collection("richest")
        let viewPlan = Plan(try await view.explainAggregate([["$match": ["server": "alpha"]]]))
        // The servers themselves are scanned, there are four.
        viewPlan.expectNoBlockingSort("the view richest")
        #expect(viewPlan.documents <= 200, "the view richest reads \(viewPlan.documents)")
        let blobs = try await store.collections.files.explainFind(
            ["replicas": "alpha", "type": "file"], FindOptions(sort: ["blob": 1], limit: 500, hint: "holders"))
        Plan(blobs).expectIndexed("blobs on a server", documents: 500, keys: 600)
    }

    private static func leaving(_ store: MongoMetadataStore) async throws {
        let alpha = try ServerName(validating: "alpha")
        let files = store.collections.files
        let copies = try await files.explainFind(
            ["replicas": "alpha", "type": "file", "state": "live"],
            FindOptions(sort: ["blob": 1], limit: 500, hint: "holders"))
        Plan(copies).expectIndexed("copies on a server", documents: 500, keys: 600)
        for others in [nil, Set([try ServerName(validating: "bravo")])] {
            let drop = try await files.explainFind(
                MongoMetadataStore.droppable(of: alpha, keeping: others),
                FindOptions(sort: ["surplus": 1, "_id": 1], limit: 500, hint: "copies"))
            // With a condition it reads those that do not meet it, too: at most all of one server, and in its order.
            let most = others == nil ? 500 : Self.files
            Plan(drop).expectIndexed("copies to be dropped", documents: most, keys: most + 100)
        }
        let forgotten = try await store.collections.forgotten.explainFind(
            ["at": ["$gte": .date(.now)]], FindOptions(sort: ["at": 1]))
        Plan(forgotten).expectIndexed("who was forgotten lately", documents: 0, keys: 1)
    }

    private static func sums(_ store: MongoMetadataStore) async throws {
        for direction in [1, -1] {
            let plan = Plan(try await store.collections.files.explainAggregate(Pipelines.extreme(direction)))
            plan.expectIndexed("the surplus at one end", documents: 1, keys: 2)
        }
        // A scan, but of an index alone.
        let histogram = Plan(try await store.collections.files.explainAggregate(Pipelines.histogram))
        histogram.expectIndexed("the histogram", documents: 0, keys: files + 10)
        let few = try await store.collections.files.explainAggregate([
            ["$match": .document(Pipelines.withFewCopies)], ["$group": ["_id": "$replicas", "files": ["$sum": 1]]],
        ])
        Plan(few).expectIndexed("files with few copies", documents: files, keys: files + 10)
        let poorest = try await store.collections.files.explainAggregate(
            Pipelines.poorest(ks: 3..<20, atMost: nil, limit: 1))
        Plan(poorest).expectIndexed("the least surplus beyond two copies", documents: 17, keys: 40)
        let poor = try await store.collections.files.explainAggregate(
            Pipelines.poorest(ks: 3..<20, atMost: 0, limit: 500))
        Plan(poor).expectIndexed("files with little surplus", documents: 520, keys: 600)
        let reclaimable = Plan(
            try await store.collections.files.explainAggregate(
                Pipelines.reclaimable(on: try ServerName(validating: "alpha")), AggregateOptions(hint: "copies")))
        reclaimable.expectIndexed("what a server could give up", documents: 0, keys: files + 10)
    }

    private static func names(_ store: MongoMetadataStore) async throws {
        let place = EntryPlace(parent: .root, name: try EntryName("file-5"))
        let look = try await store.collections.files.explainFind(NamespaceTransaction.live(place))
        Plan(look).expectIndexed("a look-up by name", documents: 1, keys: 2)
        let path = NamespaceTransaction.live(EntryPlace(parent: FileID(7), name: try EntryName("file-5")))
        let along = try await store.collections.files.explainFind(
            ["$or": .documents([NamespaceTransaction.live(place), path, NamespaceTransaction.live(.root)])])
        Plan(along).expectIndexed("the entries along a path", documents: 2, keys: 4)
        let some = try await store.collections.files.explainFind(
            ["state": "live", "parent": 1, "name": ["$in": ["file-5", "file-7"]]])
        Plan(some).expectIndexed("entries of some names", documents: 2, keys: 4)
        let page = try await store.collections.files.explainFind(
            ["state": "live", "parent": 1, "name": ["$gt": "file-5"]], FindOptions(sort: ["name": 1], limit: 100))
        Plan(page).expectIndexed("a page of a directory", documents: 100, keys: 101)
    }

    /// A thousandth of the files is removed, and as many former versions wait.
    private static func trash(_ store: MongoMetadataStore) async throws {
        let files = store.collections.files
        let view = ServerView(epoch: 1, counted: [], readable: [], up: [])
        let thousandth: BSONDocument = ["$expr": ["$eq": [["$mod": ["$_id", 1000]], 5]]]
        _ = try await files.updateMany(
            thousandth.merging(["type": "file"]),
            Pipelines.setting(
                Documents.keepingVersion(at: .now).merging(
                    Documents.trashing(path: "/x", at: Timestamp(seconds: 1_800_000_000, nanoseconds: 0))), view: view))
        _ = try await files.updateMany(
            ["state": "trash"], [["$set": ["discarded.path": ["$concat": ["/removed/", "$name"]]]]])
        let count = Self.files / 1000
        #expect(try await files.countDocuments(["state": "trash"]) == count)

        func find(_ what: String, _ filter: BSONDocument, _ options: FindOptions, documents: Int, keys: Int)
            async throws
        {
            Plan(try await files.explainFind(filter, options)).expectIndexed(what, documents: documents, keys: keys)
        }
        let sort: BSONDocument = ["discarded.path": 1, "discarded.at": -1, "_id": -1]
        try await find(
            "removed files of a path", MongoMetadataStore.removed(.at("/removed/file-5"), after: nil),
            FindOptions(sort: sort, limit: 10), documents: 1, keys: 2)
        let first = try await store.removedFiles(.below("/removed"), after: nil, limit: 20)
        try await find(
            "a page of removed files",
            MongoMetadataStore.removed(.below("/removed"), after: first.last?.position),
            FindOptions(sort: sort, limit: 20), documents: 25, keys: 30)
        try await find(
            "a purge", MongoMetadataStore.filter(.all(trash: true, versions: true), .now) ?? [:],
            FindOptions(limit: 20), documents: 20, keys: 25)
        let ids = BSONValue.array((0..<20).map { .int64(Int64($0)) })
        try await find(
            "old versions", ["of": ["$in": ids], "state": "old"], FindOptions(), documents: 0, keys: 21)
        try await find(
            "waiting versions", MongoMetadataStore.waiting(nil), FindOptions(limit: 20, hint: "former"), documents: 20,
            keys: 25)
        // It reads all that wait, at most those of the last moments.
        try await find(
            "waiting versions on a server", MongoMetadataStore.waiting(naming: try ServerName(validating: "delta")),
            FindOptions(limit: 20, hint: "former"), documents: count, keys: count + 5)
        let blobs = try await files.find([:], FindOptions(limit: 20, projection: ["blob": 1])).toArray()
        let wanted: BSONValue = ["$in": .array(blobs.compactMap { $0["blob"] })]
        try await find(
            "what has blobs", ["$or": [["blob": wanted], ["former.blob": wanted]]], FindOptions(), documents: 40,
            keys: 90)
        let totals = Plan(try await files.explainAggregate(Pipelines.trashTotals(nil)))
        totals.expectIndexed("the sums of the trash", documents: 0, keys: count + 10)
        let holds: BSONDocument = ["replicas": "alpha", "surplus": ["$lt": .int(Trash.leastSurplus)]]
        let most = Plan(try await files.explainAggregate(Pipelines.richest(holds: holds, limit: 1)))
        most.expectIndexed("the most surplus on a server", documents: 1, keys: 2)
    }

    /// Fills the store on the server itself: file i is unreachable, capped or able to take a copy by i modulo 3.
    private static func fill(_ store: MongoMetadataStore) async throws {
        for (i, name) in ["alpha", "bravo", "charlie", "delta"].enumerated() {
            _ = try await store.join(
                ServerHello(
                    name: ServerName(validating: name), id: "id", address: "a:\(i)", zone: "z", version: "1",
                    requestedQuota: 1 << 40,
                    usage: ServerUsage(boot: "b", count: 0, used: 0, diskFree: 1 << 40, files: 0)))
        }
        func byKind(_ unreachable: BSONValue, _ capped: BSONValue, _ able: BSONValue) -> BSONValue {
            ["$arrayElemAt": [[unreachable, capped, able], ["$mod": ["$i", 3]]]]
        }
        let holders: BSONValue = [
            "$cond": [["$lt": [["$mod": ["$i", 6]], 3]], ["alpha"], ["alpha", "bravo"]]
        ]
        // Half of the capped ones are everywhere, half are too large for any server.
        let isLarge: BSONValue = ["$lt": [["$mod": ["$i", 6]], 3]]
        let fields: BSONDocument = [
            "_id": ["$toLong": ["$add": ["$i", 10]]], "state": "live", "parent": .literal(1),
            "name": ["$concat": ["file-", ["$toString": "$i"]]], "type": "file", "mode": .literal(0o644),
            "created": "$$NOW", "modified": "$$NOW", "rev": .literal(1), "version": .literal(1),
            "blob": [
                "$toObjectId": ["$concat": ["65000000", ["$toString": ["$add": [1_000_000_000_000_000, "$i"]]]]]
            ],
            "size": [
                "$cond": [["$and": [["$eq": [["$mod": ["$i", 3]], 1]], isLarge]], 5_000_000, ["$mod": ["$i", 997]]]
            ],
            "checksum": "crc32c:00000000", "attributes": .literal([:]), "former": .literal([]),
            "n": ["$add": [1, ["$mod": [["$floor": ["$divide": ["$i", 7]]], 4]]]],
            "replicas": byKind(["delta"], ["$cond": [isLarge, ["alpha"], ["alpha", "bravo", "charlie"]]], holders),
        ]
        let view = ServerView(
            epoch: 1, counted: Set(try ["alpha", "bravo", "charlie"].map { try ServerName(validating: $0) }),
            readable: Set(try ["alpha", "bravo", "charlie"].map { try ServerName(validating: $0) }), up: [])
        let pipeline: [BSONDocument] =
            [
                ["$match": ["_id": "swarm"]], ["$project": ["i": ["$range": [0, .int(files)]]]], ["$unwind": "$i"],
                ["$set": .document(fields)], ["$set": ["n": ["$toLong": "$n"]]],
            ] + Pipelines.counting(view) + [["$unset": ["i"]], ["$merge": ["into": "files", "whenMatched": "fail"]]]
        _ = try await store.collections.settings.aggregate(pipeline).toArray()
        #expect(try await store.collections.files.estimatedDocumentCount() == files + 1)
        let histogram = try await store.histogram()
        #expect(histogram.unreachableFiles == (files + 2) / 3)
    }
}

/// What `explain` says, wherever it says it: plans differ in form between engines and versions.
struct Plan {
    /// Stages of the winning plans, in capitals.
    private(set) var stages: Set<String> = []
    private(set) var documents = 0
    private(set) var keys = 0
    private let text: String

    init(_ explained: BSONDocument) {
        text = explained.description
        visit(explained)
    }

    private mutating func visit(_ document: BSONDocument) {
        for (key, value) in document {
            switch (key, value) {
            case ("rejectedPlans", _), ("allPlansExecution", _): continue
            case ("stage", .string(let stage)): stages.insert(stage.uppercased())
            case ("totalDocsExamined", _): documents = max(documents, value.intValue ?? 0)
            case ("totalKeysExamined", _): keys = max(keys, value.intValue ?? 0)
            default: visit(value)
            }
        }
    }

    private mutating func visit(_ value: BSONValue) {
        if let document = value.documentValue { visit(document) }
        for element in value.arrayValue ?? [] { visit(element) }
    }

    func expectIndexed(
        _ what: String, documents: Int, keys: Int, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        expectNoBlockingSort(what, sourceLocation: sourceLocation)
        let readsIndex = stages.contains { $0.hasPrefix("IX") || $0.contains("DISTINCT_SCAN") || $0 == "COUNT_SCAN" }
        #expect(readsIndex, "\(what): \(text)", sourceLocation: sourceLocation)
        #expect(
            stages.isDisjoint(with: ["COLLSCAN", "SCAN"]), "\(what) scans: \(text)", sourceLocation: sourceLocation)
        #expect(self.documents <= documents, "\(what): \(text)", sourceLocation: sourceLocation)
        #expect(self.keys <= keys, "\(what): \(text)", sourceLocation: sourceLocation)
    }

    func expectNoBlockingSort(_ what: String, sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(!stages.contains("SORT"), "\(what) sorts: \(text)", sourceLocation: sourceLocation)
    }
}
