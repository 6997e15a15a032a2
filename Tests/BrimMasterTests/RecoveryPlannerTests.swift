import BrimMetadata
import BrimModel
import BrimWire
import Testing

@testable import BrimMaster

/// What is made of what slaves know, when they do not know the same.
@Suite struct RecoveryPlannerTests {
    private static let now = Timestamp(seconds: 1_800_000_000, nanoseconds: 0)
    private static let long = Timestamp(seconds: 1_700_000_000, nanoseconds: 0)

    private static func blob(_ number: Int) throws -> BlobID {
        try #require(BlobID(bytes: [0x65, 0, 0, 0, 0, 0, 0, 0, 0, 0, UInt8(number / 256), UInt8(number % 256)]))
    }

    private static func content(_ blob: Int, version: Int64 = 1, on servers: [String] = []) throws -> FileContent {
        FileContent(
            version: version, blob: try Self.blob(blob), size: Int64(blob), checksum: Checksum(crc32c: UInt32(blob)),
            n: 2,
            k: 0, readable: false, replicas: try servers.map { try ServerName(validating: $0) })
    }

    private static func entry(
        _ id: Int64, _ name: String, in parent: Int64 = 1, rev: Int64 = 1, created: Timestamp = long, blob: Int? = nil,
        version: Int64 = 1
    ) throws -> Entry {
        Entry(
            id: FileID(id), parent: FileID(parent), name: try EntryName(name), type: blob == nil ? .directory : .file,
            mode: 0o640, created: created, modified: long, rev: rev,
            content: try blob.map { try content($0, version: version) })
    }

    private static let root = Entry(
        id: .root, parent: nil, name: nil, type: .directory, mode: 0o755, created: long, modified: long)

    private static func item(
        _ blob: Int, file: Int64, _ name: String = "file", in parent: Int64 = 1, rev: Int64 = 1,
        created: Timestamp = long, size: Int64? = nil
    ) throws -> RecoveryBlobs.Item {
        RecoveryBlobs.Item(
            blob: try Self.blob(blob), confirmed: true, size: size ?? Int64(blob),
            checksum: Checksum(crc32c: UInt32(blob)), created: created,
            label: BlobLabel(
                file: FileID(file), parent: FileID(parent), name: try EntryName(name), rev: rev, n: 2,
                attributes: ["from": .string("label")]))
    }

    /// `asOf`: seconds before now of its copy of the namespace; nil: it has none.
    private static func answer(
        _ name: String, _ blobs: [RecoveryBlobs.Item] = [], _ entries: [Entry]? = [], asOf: Int64 = 0,
        position: String? = nil, scope: ReplicaScope = .full, swarm: String? = "s", term: Int64 = 1
    ) throws -> SlaveSurvey.Answer {
        let entries = entries.map { [root] + $0 }
        return SlaveSurvey.Answer(
            address: "\(name):4243",
            facts: RecoveryFacts(
                swarm: swarm, name: try ServerName(validating: name), id: "id-\(name)", zone: "z", version: "1",
                quota: 100, quotaAsked: 90, term: term,
                usage: ServerUsage(boot: name, count: 0, used: 0, diskFree: 0, files: 0),
                namespace: entries.map {
                    RecoveryFacts.Namespace(
                        asOf: Timestamp(seconds: now.seconds - asOf, nanoseconds: 0), position: position,
                        entries: Int64($0.count), scope: scope)
                }), blobs: blobs, entries: entries ?? [])
    }

    private static func plan(
        _ answers: [SlaveSurvey.Answer]
    ) throws -> (metadata: RecoveredMetadata, report: RecoveryReport) {
        var planner = try RecoveryPlanner(answers, silent: [], now: now)
        return try planner.plan()
    }

    private static func names(_ metadata: RecoveredMetadata) -> [String] {
        metadata.live.compactMap { $0.name?.text }.sorted()
    }

    @Test func namesAndHolders() throws {
        let entries = [try Self.entry(2, "dir"), try Self.entry(3, "song", in: 2, rev: 7, blob: 10, version: 4)]
        let (metadata, report) = try Self.plan([
            try Self.answer("alpha", [try Self.item(10, file: 3, rev: 6)], entries, term: 5),
            try Self.answer("bravo", [try Self.item(10, file: 3, rev: 6)], entries, term: 9),
            try Self.answer("charlie", [], nil),
        ])
        #expect(metadata.live.map(\.id.rawValue) == [1, 2, 3])
        let song = try #require(metadata.live.last)
        #expect(song.content?.replicas.map(\.rawValue) == ["alpha", "bravo"])
        #expect(song.content?.version == 4 && song.rev == 7 && song.mode == 0o640 && song.attributes.isEmpty)
        #expect(metadata.removed.isEmpty && metadata.former.isEmpty)
        #expect(metadata.term == 9 && metadata.lastID == FileID(3) && metadata.swarm == "s")
        #expect(metadata.servers.map(\.name.rawValue) == ["alpha", "bravo", "charlie"])
        #expect(metadata.servers.allSatisfy { $0.state == .down && $0.quota == 100 && $0.requestedQuota == 90 })
        #expect(report.files == 1 && report.directories == 1 && report.bytes == 10 && report.unreachable == 0)
        #expect(report.conflicts.isEmpty && !report.applied)
    }

    /// Of each entry the greatest `rev` counts, whoever has it; what the latest copy lacks was removed.
    @Test func theLatestCopyTellsWhatIsThere() throws {
        let (metadata, report) = try Self.plan([
            try Self.answer(
                "alpha", [try Self.item(10, file: 2), try Self.item(11, file: 3, "gone")],
                [
                    try Self.entry(2, "old-name", rev: 1, blob: 10), try Self.entry(3, "gone", rev: 4, blob: 11),
                    try Self.entry(4, "removed-directory"),
                ], asOf: 5000),
            try Self.answer(
                "bravo", [try Self.item(10, file: 2)], [try Self.entry(2, "new-name", rev: 2, blob: 10)], asOf: 10),
        ])
        #expect(Self.names(metadata) == ["new-name"])
        #expect(metadata.removed.map(\.path) == ["/gone"])
        #expect(metadata.removed.first?.entry.content?.n == 2)
        #expect(metadata.removed.first?.entry.content?.replicas.map(\.rawValue) == ["alpha"])
        #expect(report.removed == 1 && report.namespace?.rawValue == "bravo" && report.conflicts.isEmpty)
    }

    /// A copy that has the changes, and has not heard since that they are all, is later than one that heard so before.
    @Test func whatHasMoreOfTheChangesIsLater() throws {
        let (old, new) = (
            [try Self.entry(2, "removed", blob: 10), try Self.entry(3, "renamed", rev: 1, blob: 11)],
            [try Self.entry(3, "moved", rev: 2, blob: 11)]
        )
        let items = [try Self.item(10, file: 2), try Self.item(11, file: 3)]
        let (metadata, report) = try Self.plan([
            try Self.answer("alpha", items, old, asOf: 10, position: "history182"),
            try Self.answer("bravo", items, new, asOf: 5000, position: "history183"),
        ])
        #expect(Self.names(metadata) == ["moved"])
        #expect(report.namespace?.rawValue == "bravo")
        // It has what the other had at its time.
        #expect(report.asOf == Timestamp(seconds: Self.now.seconds - 10, nanoseconds: 0))
        // Positions of another history, as before a backup was put back, say nothing: the time does.
        let others = try Self.plan([
            try Self.answer("alpha", items, old, asOf: 5000, position: "history183"),
            try Self.answer("bravo", items, new, asOf: 10, position: "anothers12"),
        ])
        #expect(Self.names(others.metadata) == ["moved"] && others.report.namespace?.rawValue == "bravo")
    }

    /// A slave was told of a write before the copy of the namespace was.
    @Test func aNewerVersionWinsAndTheOtherBecomesAFormerOne() throws {
        let (metadata, report) = try Self.plan([
            try Self.answer(
                "alpha", [try Self.item(10, file: 2, rev: 3), try Self.item(11, file: 2, rev: 5)],
                [try Self.entry(2, "file", rev: 4, blob: 10, version: 2)])
        ])
        let file = try #require(metadata.live.last)
        #expect(file.content?.blob == (try Self.blob(11)) && file.rev == 5 && file.name?.text == "file")
        #expect(file.attributes == ["from": .string("label")])
        #expect(metadata.former.map(\.content.blob) == [try Self.blob(10)])
        #expect(try #require(metadata.former.first).content.version < #require(file.content?.version))
        #expect(metadata.former.first?.content.replicas.map(\.rawValue) == ["alpha"])
        #expect(report.conflicts.map(\.path) == ["/file"])
    }

    @Test func formerVersionsAreInTheirOrder() throws {
        let (metadata, report) = try Self.plan([
            try Self.answer(
                "alpha",
                [
                    try Self.item(12, file: 2, rev: 3), try Self.item(11, file: 2, rev: 1),
                    try Self.item(10, file: 2, rev: 9), try Self.item(13, file: 2, rev: 4),
                ], [try Self.entry(2, "file", rev: 9, blob: 10, version: 2)])
        ])
        let former = metadata.former.sorted { $0.content.version < $1.content.version }
        #expect(former.map(\.content.blob) == [try Self.blob(11), try Self.blob(12), try Self.blob(13)])
        #expect(former.map(\.content.version) == [1, 2, 3])
        #expect(metadata.live.last?.content?.version == 4)
        #expect(report.formerVersions == 3 && report.conflicts.isEmpty)
    }

    /// It was written after the last copy of the namespace ended.
    @Test func whatCameLaterIsThere() throws {
        let (metadata, _) = try Self.plan([
            try Self.answer(
                "alpha",
                [
                    try Self.item(10, file: 5, "late", created: Self.now), try Self.item(11, file: 6, "early", rev: 2),
                    try Self.item(12, file: 6, "early", rev: 1),
                ], [], asOf: 100)
        ])
        #expect(Self.names(metadata) == ["late"])
        #expect(metadata.live.last?.attributes == ["from": .string("label")])
        #expect(metadata.removed.map(\.path) == ["/early"])
        #expect(metadata.removed.first?.entry.content?.blob == (try Self.blob(11)))
        #expect(metadata.former.map(\.content.blob) == [try Self.blob(12)])
        #expect(metadata.former.first?.file.id == FileID(6))
        #expect(metadata.lastID == FileID(6))
    }

    /// It was made and removed within moments: what was made after it is known.
    @Test func whatWasRemovedAtOnceIsNotThere() throws {
        let (metadata, _) = try Self.plan([
            try Self.answer(
                "alpha",
                [
                    try Self.item(10, file: 5, "removed", created: Self.now),
                    try Self.item(11, file: 6, "kept", created: Self.now),
                    // Of another master.
                    try Self.item(12, file: 2000, "late", created: Self.now),
                ], [try Self.entry(6, "kept", created: Self.now, blob: 11)])
        ])
        #expect(Self.names(metadata) == ["kept", "late"])
        #expect(metadata.removed.map(\.path) == ["/removed"])
    }

    @Test func withoutANamespaceCatalogsTellNames() throws {
        let (metadata, report) = try Self.plan([
            try Self.answer(
                "alpha", [try Self.item(10, file: 5, "a", in: 4), try Self.item(11, file: 6, "b")], nil),
            try Self.answer("bravo", [try Self.item(10, file: 5, "a", in: 4)], nil),
        ])
        #expect(Self.names(metadata) == ["a", "b", "recovered-4"])
        #expect(metadata.live.first { $0.name?.text == "a" }?.parent == FileID(4))
        #expect(metadata.live.first { $0.name?.text == "a" }?.content?.replicas.count == 2)
        #expect(report.namespace == nil && report.notes.contains { $0.contains("copy of the namespace") })
        #expect(report.conflicts.map(\.path) == ["/recovered-4"])
    }

    /// Slaves that keep only what is their own know together what there is.
    @Test func ownFilesAddUp() throws {
        let directory = try Self.entry(2, "dir")
        let (metadata, report) = try Self.plan([
            try Self.answer(
                "alpha", [try Self.item(10, file: 3)], [directory, try Self.entry(3, "a", in: 2, blob: 10)], scope: .own
            ),
            try Self.answer(
                "bravo", [try Self.item(11, file: 4)], [directory, try Self.entry(4, "b", in: 2, blob: 11)], asOf: 60,
                scope: .own),
        ])
        #expect(Self.names(metadata) == ["a", "b", "dir"])
        #expect(report.namespace == nil && report.files == 2)
    }

    @Test func filesWithoutACopyAreToldAndKept() throws {
        let (metadata, report) = try Self.plan([
            try Self.answer(
                "alpha", [try Self.item(10, file: 2, size: 3)],
                [try Self.entry(2, "other-bytes", blob: 10), try Self.entry(3, "nobody", blob: 11)])
        ])
        #expect(metadata.live.allSatisfy { $0.content?.replicas.isEmpty ?? true })
        #expect(report.unreachable == 2 && report.unreachableFiles == ["/nobody", "/other-bytes"])
    }

    @Test func whatIsOfNobodyIsLeftAlone() throws {
        let (metadata, report) = try Self.plan([
            try Self.answer("alpha", [try Self.item(10, file: 0, created: Self.now)], [])
        ])
        #expect(metadata.live.count == 1 && metadata.removed.isEmpty && report.unknownBlobs == 1)
    }

    @Test func everyEntryIsInADirectoryAndEachNameIsThereOnce() throws {
        let (metadata, report) = try Self.plan([
            try Self.answer(
                "alpha", [try Self.item(10, file: 5), try Self.item(11, file: 6, created: Self.now)],
                [
                    // A circle, an orphan, and two of one name.
                    try Self.entry(2, "x", in: 3), try Self.entry(3, "y", in: 2), try Self.entry(4, "orphan", in: 99),
                    try Self.entry(5, "same", blob: 10), try Self.entry(6, "same", blob: 11),
                    try Self.entry(7, "dir"), try Self.entry(8, "dir", created: Self.now),
                    // Below what is no directory.
                    try Self.entry(9, "below", in: 5),
                ])
        ])
        let byID = Dictionary(metadata.live.map { ($0.id, $0) }) { first, _ in first }
        var places: Set<String> = []
        for entry in metadata.live where entry.id != .root {
            var at = entry
            var steps = 0
            while let parent = at.parent, let next = byID[parent], steps < 100 {
                #expect(next.type == .directory)
                at = next
                steps += 1
            }
            #expect(at.id == .root, "\(entry.id) leads nowhere")
            let isAlone = places.insert("\(entry.parent?.rawValue ?? 0)/\(entry.name?.text ?? "")").inserted
            #expect(isAlone)
        }
        #expect(byID[FileID(6)]?.name?.text == "same" && byID[FileID(5)] == nil)
        #expect(metadata.former.map(\.content.blob) == [try Self.blob(10)])
        #expect(byID[FileID(8)]?.name?.text == "dir" && byID[FileID(7)]?.name?.text == "dir~7")
        #expect(byID.keys.contains(FileID(9)) && byID.keys.contains(FileID(4)))
        #expect(!report.conflicts.isEmpty)
    }

    @Test func slavesMustBeOfOneSwarm() throws {
        #expect(throws: BrimError.self) { try Self.plan([]) }
        #expect(throws: BrimError.self) { try Self.plan([try Self.answer("alpha", swarm: nil)]) }
        let error = #expect(throws: BrimError.self) {
            try Self.plan([try Self.answer("alpha"), try Self.answer("bravo", swarm: "other")])
        }
        #expect(error?.code == .conflict)
    }
}
