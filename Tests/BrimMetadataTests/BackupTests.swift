import BrimModel
import BrimTestKit
import Foundation
import MongoDriver
import Synchronization
import Testing

@testable import BrimMetadata

/// Backups of the metadata, made of one database and put back into another.
@Suite struct BackupTests {
    static let key = BackupKey(Array(repeating: 7, count: 32), passwordProof: "proof")

    static func backUp(_ store: MongoMetadataStore, with key: BackupKey = key) async throws -> (Data, BackupSummary) {
        let bytes = Mutex(Data())
        let summary = try await store.backUp(with: key, version: "1.2.3") { part in bytes.withLock { $0 += part } }
        let backup = bytes.withLock { $0 }
        #expect(Int64(backup.count) == summary.bytes)
        return (backup, summary)
    }

    static func source(_ backup: Data) -> BackupSource {
        BackupSource("test") {
            var rest = backup[...]
            // In parts of no particular size.
            return { count in
                defer { rest = rest.dropFirst(min(count, 977)) }
                return Array(rest.prefix(min(count, 977)))
            }
        }
    }

    /// Some of everything: directories, links, files, overwritten and removed ones, tombstones, servers, settings.
    static func populate(_ store: MongoMetadataStore) async throws {
        try await SampleMetadata.populate(store)
        _ = try await store.changeSettings(SettingsChange(values: ["copies": "5"], started: ["floor": "-1"]))
        _ = try await store.meetMasters(MasterHello(id: "m", url: "http://m1:4242", version: "0"))
        try await store.leaveMasters("m")
    }

    static func documents(_ store: MongoMetadataStore, _ collection: String) async throws -> [BSONDocument] {
        try await store.database.collection(collection).find([:], FindOptions(sort: ["_id": 1])).toArray()
    }

    private static func refusal(
        _ code: BrimError.Code, sourceLocation: SourceLocation = #_sourceLocation, _ body: () async throws -> Void
    ) async throws -> BrimError {
        let error = await #expect(throws: BrimError.self, sourceLocation: sourceLocation) { try await body() }
        #expect(error?.code == code, "\(String(describing: error))", sourceLocation: sourceLocation)
        return try #require(error)
    }

    @Test func allComesBackButWhatSlavesHaveToTell() async throws {
        try await TestStore.withMongo { old in
            try await Self.populate(old)
            let (backup, summary) = try await Self.backUp(old)
            #expect(summary.header.version == "1.2.3" && summary.header.schemaVersion == Schema.version)
            #expect(summary.header.database == old.database.name)
            try await TestStore.withEmptyMongo { new in
                let header = try await new.restore(Self.source(backup), with: Self.key)
                #expect(header == summary.header)
                let swarms = try await [old, new].asyncMap { try await $0.prepare(passwordProof: "proof") }
                #expect(swarms[0] == swarms[1])
                for collection in MongoMetadataStore.backedUp {
                    let (before, after) = (
                        try await Self.documents(old, collection), try await Self.documents(new, collection)
                    )
                    switch collection {
                    case "files": try Self.compareFiles(before, after)
                    case "servers": try Self.compareServers(before, after)
                    case "counters", "settings", "leases": continue
                    default: #expect(before == after, "\(collection)")
                    }
                }
                #expect(try await old.settings() == new.settings())
                let view = try await new.view()
                #expect(view.counted.isEmpty && view.up.isEmpty && view.readable.isEmpty)
                try await Self.compareNumbers(old, new)
            }
        }
    }

    /// As before, but that no copy counts.
    private static func compareFiles(_ before: [BSONDocument], _ after: [BSONDocument]) throws {
        #expect(before.count == after.count && before.count > 5)
        #expect(before.contains { ($0["k"]?.intValue ?? 0) > 0 })
        for (old, new) in zip(before, after) {
            var expected = old
            if old["type"] == "file" {
                expected["k"] = 0
                expected["surplus"] = .int64(-(try old.int64("n")))
                expected["readable"] = false
            }
            #expect(new == expected)
        }
    }

    private static func compareServers(_ before: [BSONDocument], _ after: [BSONDocument]) throws {
        #expect(before.count == after.count && !before.isEmpty)
        for (old, new) in zip(before, after) {
            for name in ["_id", "id", "address", "zone", "quota", "drain"] { #expect(new[name] == old[name]) }
            #expect(new["state"] == "down" && new["report"] == nil && new["term"] == nil)
        }
    }

    /// Nothing that slaves may have seen is given a second time.
    private static func compareNumbers(_ old: MongoMetadataStore, _ new: MongoMetadataStore) async throws {
        let ids = try await [old, new].asyncMap { try await $0.takeIDs(1)[0].rawValue }
        #expect(ids[1] > ids[0] + 1 << 31)
        let terms = try await [old, new].asyncMap {
            try await $0.acquireLease(holder: "x", url: "u", for: .seconds(1)).term
        }
        #expect(terms[1] > terms[0] + 1 << 31)
        // What was made until now may be of files that are not known any more.
        #expect(try await old.unknownBlobsUntil() == nil)
        #expect(try #require(try await new.unknownBlobsUntil()) <= .now)
    }

    @Test func aRestoredStoreWorks() async throws {
        try await TestStore.withMongo { old in
            try await SampleMetadata.populate(old)
            let (backup, _) = try await Self.backUp(old)
            try await TestStore.withEmptyMongo { new in
                _ = try await new.restore(Self.source(backup), with: Self.key)
                _ = try await new.prepare(passwordProof: "proof")
                try await SampleMetadata.check(new)
            }
        }
    }

    @Test func aDamagedBackupIsRefused() async throws {
        try await TestStore.withMongo { store in
            let (backup, _) = try await Self.backUp(store)
            #expect(throws: Never.self) { try MongoMetadataStore.check(Self.source(backup), with: Self.key) }
            // Cut short anywhere.
            for length in 0..<backup.count {
                let error = #expect(throws: BrimError.self, "cut at \(length)") {
                    try MongoMetadataStore.check(Self.source(backup.prefix(length)), with: Self.key)
                }
                #expect(error?.code == .corrupt, "cut at \(length): \(String(describing: error))")
            }
            // One byte anywhere.
            for place in 0..<backup.count {
                var edited = backup
                edited[place] ^= 0xff
                #expect(throws: BrimError.self, "edited at \(place)") {
                    try MongoMetadataStore.check(Self.source(edited), with: Self.key)
                }
            }
            #expect(throws: BrimError.self) {
                try MongoMetadataStore.check(Self.source(backup + Data([0])), with: Self.key)
            }
            #expect(throws: BrimError.self) {
                try MongoMetadataStore.check(Self.source(backup + backup), with: Self.key)
            }
        }
    }

    /// Changed and compressed again by somebody who does not know the password.
    @Test func anEditedBackupIsRefused() async throws {
        let header = BackupHeader(
            swarm: "s", database: "d", time: .now, schemaVersion: 1, version: "1",
            counts: [("settings", 1), ("files", 1)], passwordProof: "proof")
        func backup(
            _ header: BackupHeader, key: [UInt8] = Array(repeating: 7, count: 32), files: Int = 1
        ) async throws -> Data {
            let bytes = Mutex(Data())
            let writer = try BackupWriter(key: key) { part in bytes.withLock { $0 += part } }
            try await writer.begin(header)
            try await writer.begin(collection: "settings")
            try await writer.add(["_id": "swarm", "swarm": "s", "passwordProof": "proof"])
            try await writer.begin(collection: "files")
            for _ in 0..<files { try await writer.add(["_id": 1]) }
            try await writer.end()
            return bytes.withLock { $0 }
        }
        func check(_ backup: Data) throws { try MongoMetadataStore.check(Self.source(backup), with: Self.key) }
        try check(try await backup(header))
        var error = try await Self.refusal(.corrupt) { try check(await backup(header, key: [1])) }
        #expect(error.message.contains("checksum"))
        error = try await Self.refusal(.corrupt) { try check(await backup(header, files: 2)) }
        #expect(error.message.contains("'files'"))
        var other = header
        other.passwordProof = "another"
        _ = try await Self.refusal(.denied) { try check(await backup(other)) }
        other = header
        other.schemaVersion = Schema.version + 1
        error = try await Self.refusal(.unsupported) { try check(await backup(other)) }
        #expect(error.message.contains("schema version \(Schema.version + 1)"))
        // Another format, and what is none at all.
        var document = header.document
        document["format"] = 2
        _ = try await Self.refusal(.unsupported) { _ = try BackupHeader(document) }
        for bytes in [Data(), Data("hello".utf8), Data.random(count: 10_000, seed: 1)] {
            _ = try await Self.refusal(.corrupt) { try check(bytes) }
        }
    }

    @Test func onlyAnEmptyDatabaseIsFilled() async throws {
        try await TestStore.withMongo { old in
            try await Self.populate(old)
            let (backup, _) = try await Self.backUp(old)
            let before = try await Self.documents(old, "files")
            let error = try await Self.refusal(.notEmpty) {
                _ = try await old.restore(Self.source(backup), with: Self.key)
            }
            #expect(error.message.contains(old.database.name))
            #expect(try await Self.documents(old, "files") == before)
            // A database that a master has begun, and nobody used, is as good as an empty one: it becomes the old swarm's.
            try await TestStore.withMongo { new in
                _ = try await new.meetMasters(MasterHello(id: "m", url: "http://m1:4242", version: "0"))
                let error = try await Self.refusal(.conflict) {
                    _ = try await new.restore(Self.source(backup), with: Self.key)
                }
                #expect(error.message.contains("http://m1:4242"))
                try await new.leaveMasters("m")
                let header = try await new.restore(Self.source(backup), with: Self.key)
                #expect(try await new.prepare(passwordProof: "proof") == header.swarm)
            }
        }
    }

    /// Whatever breaks a restore off, no master takes what is there for the whole; the next attempt begins anew.
    @Test func aRestoreThatWasBrokenOffIsMadeAnew() async throws {
        try await TestStore.withMongo { old in
            try await Self.populate(old)
            let (backup, summary) = try await Self.backUp(old)
            try await TestStore.withEmptyMongo { new in
                // Checked as whole, and gone when it is read the second time.
                let reads = Mutex(0)
                let vanishing = BackupSource("test") {
                    let turn = reads.withLock { count -> Int in
                        count += 1
                        return count
                    }
                    return turn == 1 ? try Self.source(backup).open() : try Self.source(backup.dropLast(40)).open()
                }
                _ = try await Self.refusal(.corrupt) { _ = try await new.restore(vanishing, with: Self.key) }
                for use in ["prepare", "backUp"] {
                    let error = try await Self.refusal(.conflict) {
                        if use == "prepare" {
                            _ = try await new.prepare(passwordProof: "proof")
                        } else {
                            _ = try await Self.backUp(new)
                        }
                    }
                    #expect(error.advice?.contains("brim restore") == true)
                }
                _ = try await new.restore(Self.source(backup), with: Self.key)
                #expect(try await new.prepare(passwordProof: "proof") == summary.header.swarm)
                #expect(try await Self.documents(new, "files").count == Self.documents(old, "files").count)
            }
        }
    }

    @Test func noSwarmNoBackup() async throws {
        try await TestStore.withEmptyMongo { store in
            _ = try await Self.refusal(.notFound) { _ = try await Self.backUp(store) }
        }
        try await TestStore.withMongo { store in
            _ = try await Self.refusal(.denied) {
                _ = try await Self.backUp(store, with: BackupKey([1], passwordProof: "another"))
            }
        }
    }

    /// While entries come and go, a backup holds the state of one moment: no entry without its directory, and each pair that
    /// was made in one transaction whole.
    @Test func aBackupIsOfOneMoment() async throws {
        try await TestStore.withMongo { store in
            try await SampleMetadata.populate(store)
            let isDone = Box(false)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    var number = 0
                    while !isDone.value.withLock({ $0 }) {
                        number += 1
                        let directory = try await store.create(
                            NewEntry(
                                place: EntryPlace(parent: .root, name: try EntryName("directory-\(number)")),
                                type: .directory, mode: 0o755, modified: .now))
                        _ = try await store.create(
                            NewEntry(
                                place: EntryPlace(parent: directory.id, name: try EntryName("inner")),
                                type: .directory, mode: 0o755, modified: .now))
                    }
                }
                for _ in 0..<10 {
                    let (backup, summary) = try await Self.backUp(store)
                    let reader = try BackupReader(
                        "test", key: Array(repeating: 7, count: 32), passwordProof: "proof",
                        source: try Self.source(backup).open())
                    var ids: Set<Int64> = []
                    var parents: Set<Int64> = []
                    while let (collection, document) = try reader.next() {
                        guard collection == "files" else { continue }
                        ids.insert(try document.int64("_id"))
                        if document["state"] == "live" { parents.insert(try document.int64("parent")) }
                    }
                    #expect(parents.subtracting(ids) == [0])
                    #expect(summary.header.documents > 5)
                }
                isDone.value.withLock { $0 = true }
                try await group.waitForAll()
            }
        }
    }
}

extension Array {
    fileprivate func asyncMap<Value>(_ transform: (Element) async throws -> Value) async throws -> [Value] {
        var values: [Value] = []
        for element in self { values.append(try await transform(element)) }
        return values
    }
}
