import BrimModel
import MongoDriver

extension MongoMetadataStore {
    public func sample(at chance: Double, limit: Int) async throws -> NamespaceSample {
        try await translatingErrors("reading a sample of the namespace") {
            var reads = SnapshotReads(database)
            guard limit > 0, let greatest = try await reads.files([:], rising: false, limit: 1).first else {
                return NamespaceSample(range: NumberRange(after: FileID(0), through: FileID(0)))
            }
            let last = FileID(try greatest.int64("_id"))
            let start = FileID(Int64(Double(last.rawValue) * chance))
            // A page is shorter than it might be when its documents are large.
            var entries = try await reads.entries(Self.live(["$gt": .id(start)]), limit: limit)
            let goesOn =
                if let end = entries.last?.id, entries.count < limit {
                    try await !reads.entries(Self.live(["$gt": .id(end)]), limit: 1).isEmpty
                } else {
                    entries.count == limit
                }
            let through = goesOn ? entries.last?.id ?? last : last
            if !goesOn {
                entries += try await reads.entries(
                    Self.live(["$lte": .id(start)]), rising: false, limit: limit - entries.count)
            }
            let first = entries.map(\.id).min() ?? last
            let range = NumberRange(after: FileID(first.rawValue - 1), through: through)
            return try await completed(NamespaceSample(range: range, entries: entries), &reads)
        }
    }

    public func sample(_ range: NumberRange) async throws -> NamespaceSample {
        try await translatingErrors("reading a sample of the namespace") {
            var reads = SnapshotReads(database)
            var (entries, after) = ([Entry](), range.after)
            while true {
                let page = try await reads.entries(
                    Self.live(["$gt": .id(after), "$lte": .id(range.through)]), limit: Limits.pageEntries)
                guard let last = page.last else { break }
                entries += page
                after = last.id
            }
            return try await completed(NamespaceSample(range: range, entries: entries), &reads)
        }
    }

    private static func live(_ ids: BSONDocument) -> BSONDocument { ["_id": .document(ids), "state": "live"] }

    /// With the directories above.
    private func completed(_ sample: NamespaceSample, _ reads: inout SnapshotReads) async throws -> NamespaceSample {
        var sample = sample
        var missing: Set<FileID> = []
        while true {
            let wanted = sample.wantedDirectories.subtracting(missing).prefix(Limits.pageEntries)
            if wanted.isEmpty { return sample }
            let ids = wanted.map { BSONValue.id($0) }
            let found = try await reads.entries(Self.live(["$in": .array(ids)]), limit: ids.count)
            for directory in found { sample.directories[directory.id] = directory }
            // A page may lack some because they are large: those are asked for again, unless it was empty.
            if found.isEmpty { missing.formUnion(wanted) }
        }
    }

    // MARK: The last drill

    private static let drillID: BSONDocument = ["_id": "drill"]

    public func drill() async throws -> DrillReport? {
        try await translatingErrors("reading the last rebuild drill") {
            try await collections.settings.findOne(Self.drillID, FindOptions(maxTime: Self.timeLimit))
                .map(DrillDocument.report)
        }
    }

    public func keep(_ drill: DrillReport) async throws {
        try await translatingErrors("keeping a rebuild drill") {
            _ = try await collections.settings.replaceOne(
                Self.drillID, Self.drillID.merging(DrillDocument.of(drill)), upsert: true)
        }
    }
}

extension SnapshotReads {
    /// Documents of `files` in the order of their ids, at most `limit`, and no more than fit into one answer.
    fileprivate mutating func files(
        _ filter: BSONDocument, rising: Bool = true, limit: Int
    ) async throws -> [BSONDocument] {
        guard limit > 0 else { return [] }
        return try await run([
            "find": "files", "filter": .document(filter), "sort": ["_id": .int(rising ? 1 : -1)], "hint": ["_id": 1],
            "projection": ["former": 0], "limit": .int(limit), "batchSize": .int(limit), "singleBatch": true,
        ])
    }

    fileprivate mutating func entries(
        _ filter: BSONDocument, rising: Bool = true, limit: Int
    ) async throws -> [Entry] {
        try await files(filter, rising: rising, limit: limit).map(Documents.entry)
    }
}

/// `settings: {_id: "drill"}`.
private enum DrillDocument {
    static func of(_ report: DrillReport) -> BSONDocument {
        var document = BSONDocument()
        document.append(time: report.at, as: "at")
        document.append("seconds", .double(report.seconds))
        document.append("entries", .int(report.entries))
        document.append("copies", .int(report.copies))
        document.append("servers", .int(report.servers))
        document.append("silent", .servers(report.silent))
        document.append("behind", .servers(report.behind))
        document.append("changing", .int(report.changing))
        document.append("differing", .int(report.differing))
        document.append("differences", .documents(report.differences.map(of)))
        return document
    }

    private static func of(_ difference: DrillReport.Difference) -> BSONDocument {
        let slaves = difference.slaves.map { statement -> BSONDocument in
            ["server": .server(statement.server), "says": .string(statement.says)]
        }
        return [
            "path": .string(difference.path), "kind": .string(difference.kind.rawValue),
            "mongodb": .string(difference.mongodb), "slaves": .documents(slaves),
        ]
    }

    static func report(_ document: BSONDocument) throws(BrimError) -> DrillReport {
        DrillReport(
            at: try document.time("at"), seconds: try document.read("seconds") { $0.doubleValue },
            entries: try document.int("entries"), copies: try document.int("copies"),
            servers: try document.int("servers"), silent: try document.servers("silent"),
            behind: try document.servers("behind"), changing: try document.int("changing"),
            differing: try document.int("differing"), differences: try documents("differences", document, difference))
    }

    private static func difference(_ document: BSONDocument) throws(BrimError) -> DrillReport.Difference {
        DrillReport.Difference(
            path: try document.string("path"),
            kind: try document.read("kind") { $0.stringValue.flatMap(DrillReport.Kind.init) },
            mongodb: try document.string("mongodb"), slaves: try documents("slaves", document, statement))
    }

    private static func statement(_ document: BSONDocument) throws(BrimError) -> DrillReport.Statement {
        DrillReport.Statement(
            server: try document.read("server") { $0.stringValue.flatMap(ServerName.init(rawValue:)) },
            says: try document.string("says"))
    }

    private static func documents<Value>(
        _ key: String, _ document: BSONDocument, _ convert: (BSONDocument) throws(BrimError) -> Value
    ) throws(BrimError) -> [Value] {
        var values: [Value] = []
        for item in try document.read(key, \.arrayValue) {
            guard let item = item.documentValue else { throw BrimError(.corrupt, "the last drill is not understood") }
            values.append(try convert(item))
        }
        return values
    }
}
