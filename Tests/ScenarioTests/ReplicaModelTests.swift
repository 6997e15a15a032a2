import BrimMetadata
import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import Logging
import Testing

@testable import BrimSlave

/// A slave's copy of the namespace against the store that it copies, over random histories.
@Suite struct ReplicaModelTests {
    private static let seeds: [UInt64] = [1, 2, 3, 4, 5, 6, 7, 8]

    @Test(arguments: seeds + [UInt64.random(in: 9...(.max))])
    func aCopyOfEverythingEqualsTheStore(seed: UInt64) async throws {
        try await ReplicaModel.run(seed: seed, scope: .full, narrows: false)
    }

    @Test(arguments: seeds + [UInt64.random(in: 9...(.max))])
    func aCopyOfOnesOwnHasDirectoriesLinksAndOwnFiles(seed: UInt64) async throws {
        try await ReplicaModel.run(seed: seed, scope: .own, narrows: false)
    }

    @Test(arguments: seeds + [UInt64.random(in: 9...(.max))])
    func aCopyMayBecomeOneOfItsOwnAtAnyTime(seed: UInt64) async throws {
        try await ReplicaModel.run(seed: seed, scope: .full, narrows: true)
    }

    /// What operators are told to reckon with: 100,000 files in 1000 directories, three copies each.
    @Test func aFileTakesFewBytes() async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "brim-replica-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: directory) }
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let replica = try NamespaceReplica(directory: directory.path, logger: logger)
        let servers = try ["alpha", "bravo", "charlie"].map { try ServerName(validating: $0) }
        let copy = try replica.begin(scope: .full, server: servers[0])
        var blobs = BlobIDGenerator()
        let time = Timestamp(seconds: 1_780_000_000, nanoseconds: 123_456_789)
        let count = 100_000
        for start in stride(from: 0, to: count, by: 10_000) {
            let entries = try (start..<start + 10_000).map { number in
                let content = FileContent(
                    version: 1, blob: blobs.next(seconds: 1_780_000_000), size: 5_000_000 + Int64(number),
                    checksum: Checksum(crc32c: .random(in: 0 ... .max)), n: 3, k: 0, readable: false, replicas: servers)
                return FeedEntry(
                    Entry(
                        id: FileID(Int64(number) + 2), parent: FileID(Int64(number / 100) + 2_000_000),
                        name: try EntryName("a song of some length \(number).mp3"), type: .file, mode: 0o644,
                        created: time, modified: time, content: content))
            }
            try await copy.enter(SnapshotReply(position: "0", entries: entries, next: entries.last?.entry.id))
        }
        try await copy.pool.writeWithoutTransaction { try $0.execute(sql: "PRAGMA wal_checkpoint(TRUNCATE)") }
        let size = try FileManager.default.attributesOfItem(atPath: copy.path)[.size] as? Int ?? 0
        print("the copy of the namespace takes \(size / count) bytes per file")
        #expect(size / count < 300)
        #expect(copy.progress.entries == Int64(count))
    }

    /// What is thrown away: half a file, and one of another program.
    @Test func aFileThatIsNoCopyIsMadeAnew() async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "brim-replica-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: directory) }
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        try Data("no database at all, whatever its name".utf8).write(to: directory.appending(path: "3.sqlite"))
        try Data(repeating: 0x5a, count: 8192).write(to: directory.appending(path: "4.sqlite"))
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let replica = try NamespaceReplica(directory: directory.path, logger: logger)
        #expect(replica.writing == nil && replica.status() == nil)
        await #expect(throws: BrimError.self) { _ = try await replica.read { try $0.all() } }
        let copy = try replica.begin(scope: .full, server: ServerName(validating: "alpha"))
        #expect(copy.path.hasSuffix("/5.sqlite"))
    }
}

/// One random history: changes of the store, and steps of the copy, in any order.
private struct ReplicaModel {
    private let store = InMemoryMetadataStore()
    private let directory = FileManager.default.temporaryDirectory
        .appending(path: "brim-replica-\(UUID().uuidString)").path
    private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    private let scope: ReplicaScope
    private let narrows: Bool
    private let isFixed: Bool
    private let servers: [ServerName]
    private let view: ServerView
    private var replica: NamespaceReplica
    private var random: SeededRandom
    private var blobs: BlobIDGenerator
    private var seconds: UInt32 = 1_800_000_000
    /// What happened, by kind: a history that never lost its place proves little.
    private var happened: [String: Int] = [:]

    static func run(seed: UInt64, scope: ReplicaScope, narrows: Bool) async throws {
        print("ReplicaModel seed \(seed)")
        var model = try ReplicaModel(seed: seed, scope: scope, narrows: narrows)
        defer { try? FileManager.default.removeItem(atPath: model.directory) }
        _ = try await model.store.prepare(passwordProof: "proof")
        for _ in 0..<300 { try await model.step() }
        try await model.finish()
    }

    private init(seed: UInt64, scope: ReplicaScope, narrows: Bool) throws {
        self.scope = scope
        self.narrows = narrows
        isFixed = seed < 9
        random = SeededRandom(seed: seed)
        blobs = BlobIDGenerator(using: &random)
        servers = try ["alpha", "bravo", "charlie"].map { try ServerName(validating: $0) }
        view = ServerView(epoch: 1, counted: Set(servers), readable: Set(servers), up: Set(servers))
        replica = try NamespaceReplica(directory: directory, logger: logger)
    }

    private mutating func step() async throws {
        switch Int.random(in: 0..<100, using: &random) {
        case ..<60: try await changeStore()
        case ..<92: try await follow()
        case ..<96: try reopen()
        case ..<98:
            await store.forgetChanges()
            happened["forgot", default: 0] += 1
        default:
            guard narrows, let copy = replica.writing else { return }
            try await copy.keepOwn()
        }
    }

    // MARK: The store

    private func pick<Element>(_ elements: [Element], _ random: inout SeededRandom) -> Element? {
        elements.randomElement(using: &random)
    }

    private mutating func changeStore() async throws {
        let entries = await store.entries(after: nil, limit: 1000)
        let directories = entries.filter { $0.type == .directory }
        let files = entries.filter { $0.type == .file }
        guard let parent = pick(directories, &random) else { return }
        let names = ["a", "b", "c", "e\u{301}", "\u{e9}", "long-\(seconds % 7)"]
        let name = try EntryName(names.randomElement(using: &random) ?? "z")
        let place = EntryPlace(parent: parent.id, name: name)
        // Refusals are part of it: names are taken, directories are not empty.
        do {
            switch Int.random(in: 0..<10, using: &random) {
            case 0:
                _ = try await store.create(NewEntry(place: place, type: .directory, mode: 0o755, modified: time()))
            case 1:
                _ = try await store.create(
                    NewEntry(place: place, type: .symlink, mode: 0o777, modified: time(), target: "x"))
            case 2, 3, 4:
                let on = servers.filter { _ in Bool.random(using: &random) }
                _ = await store.commit([write(place, on: on.isEmpty ? [servers[0]] : on)], view: view)
            case 5:
                guard let entry = pick(entries.filter { $0.id != .root }, &random), let at = entry.parent,
                    let called = entry.name
                else { return }
                _ = try await store.rename(
                    entry.id, from: EntryPlace(parent: at, name: called), to: place, path: "/x", replace: true,
                    view: view)
            case 6:
                guard let entry = pick(entries.filter { $0.id != .root }, &random) else { return }
                let now = Bool.random(using: &random)
                _ = try await store.remove([Removal(entry, path: "/gone")], now: now, view: view)
            case 7:
                guard let trash = pick(await store.removedFiles(.below("/"), after: nil, limit: 100), &random) else {
                    return
                }
                _ = try await store.undelete(trash.entry.id, to: place, view: view)
            case 8:
                guard let entry = pick(entries, &random) else { return }
                let change = EntryChange(
                    n: entry.type == .symlink ? nil : 2, attributes: ["a": .int(Int64(seconds))], mode: 0o700)
                _ = try await store.update(entry.id, change, view: view)
            default:
                guard let file = pick(files, &random), let blob = file.content?.blob else { return }
                let change = ReplicaChange(
                    file: file.id, blob: blob, server: servers.randomElement(using: &random) ?? servers[0])
                if Bool.random(using: &random) {
                    _ = await store.addReplicas([change], view: view)
                } else {
                    await store.loseReplicas([change], view: view)
                }
            }
        } catch is BrimError {
            happened["refused", default: 0] += 1
        }
    }

    private mutating func time() -> Timestamp {
        seconds += 1
        return Timestamp(seconds: Int64(seconds), nanoseconds: 123_456_789)
    }

    private mutating func write(_ place: EntryPlace, on servers: [ServerName]) -> BlobCommit {
        let modified = time()
        let blob = blobs.next(seconds: seconds)
        return BlobCommit(
            request: "\(blob)", place: place, blob: blob, size: Int64(seconds % 1000),
            checksum: Checksum(crc32c: seconds), replicas: servers, mode: 0o644, modified: modified, explicitN: nil,
            policy: .standard(2))
    }

    // MARK: The copy

    /// A page of a snapshot, or some changes. True when the copy has all there is.
    @discardableResult
    private mutating func follow() async throws -> Bool {
        guard let copy = replica.writing else {
            _ = try replica.begin(scope: scope, server: servers[0])
            happened["began", default: 0] += 1
            return false
        }
        guard copy.progress.hasSnapshot else {
            let position = await store.changePosition()
            let limit = Int.random(in: 1...6, using: &random)
            let page = await store.entries(after: copy.progress.after.map { FileID($0) }, limit: limit)
            try await copy.enter(
                SnapshotReply(
                    position: position.rawValue, entries: page.map(FeedEntry.init),
                    next: page.count == limit ? page.last?.id : nil))
            return false
        }
        do {
            let position = ChangePosition(rawValue: copy.progress.position ?? "")
            let limit = Int.random(in: 1...9, using: &random)
            let page = try await store.changes(after: position, limit: limit)
            try await copy.apply(try page.changes.map(Self.told), position: page.position.rawValue)
            if page.changes.count < limit {
                try await copy.note(asOf: 1, position: page.position.rawValue, isReady: true, isStored: true)
                replica.serve(copy)
                happened["served", default: 0] += 1
                try await expectEqual()
                return true
            }
        } catch is PositionLost {
            happened["lost", default: 0] += 1
            _ = try replica.begin(scope: scope, server: servers[0])
        }
        return false
    }

    /// As it comes over the wire.
    private static func told(_ change: NamespaceChange) throws -> FeedChange {
        let told =
            switch change {
            case .present(let entry): FeedChange(entry: FeedEntry(entry))
            case .absent(let id, let rev): FeedChange(removed: id, rev: rev)
            }
        return try BrimJSON.decoder().decode(FeedChange.self, from: try BrimJSON.encoder().encode(told))
    }

    /// As after a crash: whatever was under way is begun again from what is on the disk.
    private mutating func reopen() throws {
        let wasServing = replica.status() != nil
        replica = try NamespaceReplica(directory: directory, logger: logger)
        #expect((replica.status() != nil) == wasServing, "what was complete stays so")
        happened["reopened", default: 0] += 1
    }

    // MARK: The end

    private mutating func finish() async throws {
        // Enough for any snapshot and all changes.
        var steps = 0
        while try await !follow() {
            steps += 1
            try #require(steps < 1000)
        }
        try await expectEqual()
        // What a fresh seed reaches is chance.
        guard isFixed else { return }
        for kind in ["refused", "began", "served", "lost", "reopened", "forgot"] {
            #expect(happened[kind, default: 0] > 0, "\(kind) did not happen: \(happened)")
        }
    }

    private func expectEqual() async throws {
        let progress = try #require(replica.writing).progress
        let server = servers[0]
        let expected = await store.entries(after: nil, limit: 10_000).compactMap { entry -> Entry? in
            var entry = entry
            entry.content?.k = 0
            entry.content?.readable = false
            guard progress.scope == .own, let content = entry.content else { return entry }
            return content.replicas.contains(server) ? entry : nil
        }
        let copy = try await replica.read { try $0.all() }.value
        #expect(copy == expected)
        #expect(progress.entries == Int64(expected.count))
        for directory in expected where directory.type == .directory {
            let names = expected.filter { $0.parent == directory.id }.compactMap(\.name).sorted()
            let listed = try await replica.read { try $0.list(directory.id, after: nil, limit: 1000) }.value
            #expect(listed.compactMap(\.name) == names)
            let rest = try await replica.read { try $0.list(directory.id, after: names.first, limit: 1) }.value
            #expect(rest.compactMap(\.name) == Array(names.dropFirst().prefix(1)))
        }
    }
}
