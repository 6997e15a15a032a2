import BrimModel
import BrimTestKit
import Foundation
import MongoDriver
import Testing

@testable import BrimMetadata

/// Databases as swarms of each earlier schema version wrote them.
@Suite struct SchemaFixtureTests {
    static let fixtures = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures")

    /// Loads a fixture as it is, without validators and indexes.
    static func load(_ name: String, into store: MongoMetadataStore) async throws {
        let directory = fixtures.appending(path: name)
        for file in try FileManager.default.contentsOfDirectory(at: directory, includingPropertiesForKeys: nil) {
            let collection = file.deletingPathExtension().lastPathComponent
            try await store.database.collection(collection).insertMany(try ExtendedJSON.documents(file))
        }
    }

    /// Of the password `fixture`.
    static func proof(_ store: MongoMetadataStore) async throws -> String {
        try #require(try await store.collections.settings.findOne(["_id": "swarm"])?["passwordProof"]?.stringValue)
    }

    @Test func everyVersionHasAFixture() throws {
        let names = try FileManager.default.contentsOfDirectory(atPath: Self.fixtures.path)
            .filter { $0.hasPrefix("schema-") }.sorted()
        #expect(names == (1...Schema.version).map { "schema-\($0)" })
    }

    @Test func versionOneOpensAndWorks() async throws {
        try await TestStore.withEmptyMongo { store in
            try await Self.load("schema-1", into: store)
            let proof = try await Self.proof(store)
            await #expect(throws: BrimError.self) { _ = try await store.prepare(passwordProof: "another") }
            let swarm = try #require(
                try await store.collections.settings.findOne(["_id": "swarm"])?["swarm"]?.stringValue)
            #expect(try await store.prepare(passwordProof: proof) == swarm)
            #expect(
                try await store.collections.settings.findOne(["_id": "schemaVersion"])?["value"]?.int64Value
                    == Schema.version)
            try await Self.everyDocumentFits(store)
            try await Self.everythingIsThere(store)
            try await Self.everythingWorks(store)
        }
    }

    /// What was there before its validator came fits it too.
    private static func everyDocumentFits(_ store: MongoMetadataStore) async throws {
        for collection in Schema.collections {
            guard let validator = collection.validator else { continue }
            let misfits = try await store.database.collection(collection.name)
                .find(["$nor": [.document(validator)]]).toArray()
            #expect(misfits.isEmpty, "\(collection.name): \(misfits)")
        }
    }

    private static func everythingIsThere(_ store: MongoMetadataStore) async throws {
        let song = try #require(try await store.resolve(BrimPath(parsing: "/music/jazz/song.mp3")).last)
        #expect(song.type == .file && song.content?.version == 3 && song.content?.size == 10)
        #expect(song.content?.replicas.map(\.rawValue).sorted() == ["alpha", "bravo", "charlie"])
        #expect(
            song.attributes == [
                "popularity": .int(7), "artist": .string("Évans"), "rating": .double(4.5), "live": .bool(true),
            ])
        let former = try await store.formerVersions(of: song.id, before: nil, limit: 10)
        #expect(former.map(\.content.version) == [2, 1])
        let link = try #require(try await store.resolve(BrimPath(parsing: "/music/link")).last)
        #expect(link.type == .symlink && link.target == "jazz/song.mp3")
        let moved = try #require(try await store.resolve(BrimPath(parsing: "/moved")).last)
        #expect(moved.content?.n == 1)
        let removed = try await store.removedFiles(.below("/"), after: nil, limit: 10)
        #expect(removed.map(\.path) == ["/music/removed"] && removed.first?.formerN == 2)
        let servers = try await store.servers()
        #expect(servers.map(\.name.rawValue) == ["alpha", "bravo", "charlie"])
        #expect(servers.map(\.zone) == ["rack-alpha", "rack-bravo", "rack-charlie"])
        #expect(
            try await store.forgotten(since: Timestamp(seconds: 0, nanoseconds: 0)).map(\.name.rawValue) == ["delta"])
        #expect(try await store.settings().values["scrub-rate"] != nil)
        let histogram = try await store.histogram()
        #expect(histogram.levels.reduce(0) { $0 + $1.files } == 3 && histogram.unreachableFiles == 0)
    }

    private static func everythingWorks(_ store: MongoMetadataStore) async throws {
        let view = try await store.view()
        #expect(view.counted.count == 3)
        let removed = try #require(try await store.removedFiles(.below("/"), after: nil, limit: 1).first)
        let back = try await store.undelete(
            removed.entry.id, to: EntryPlace(parent: .root, name: EntryName("back")), view: view)
        #expect(back.content?.n == 2 && back.content?.k == 3)
        let song = try #require(try await store.resolve(BrimPath(parsing: "/music/jazz/song.mp3")).last)
        #expect(try await store.restore(1, of: song.id, view: view).content?.version == 4)
        var random = SystemRandomNumberGenerator()
        var ids = BlobIDGenerator(using: &random)
        let write = BlobCommit(
            request: "fixture", place: EntryPlace(parent: .root, name: try EntryName("fresh")),
            blob: ids.next(seconds: 1_900_000_000), size: 3, checksum: Checksum(crc32c: 3),
            replicas: view.counted.sorted(), mode: 0o644, modified: .now, explicitN: nil, policy: .standard(2))
        let fresh = try await store.commit([write], view: view)[0].get().entry
        #expect(fresh.id > back.id && fresh.id > song.id && fresh.content?.surplus == 1)
        #expect(try await store.remove([Removal(fresh, path: "/fresh")], now: false, view: view) == [nil])
        let former = try #require(try await store.collections.leases.findOne(["_id": "leader"])?["term"]?.int64Value)
        #expect(try await store.acquireLease(holder: "h", url: "u", for: .seconds(1)).term >= former)
        for server in try await store.servers() {
            #expect(try await store.richest(on: server.name, minSurplus: .min, limit: 100).isEmpty == false)
        }
    }

    /// As the first master of a later version does.
    @Test func versionOneIsUpgraded() async throws {
        try await TestStore.withEmptyMongo { store in
            try await Self.load("schema-1", into: store)
            let later = MongoMetadataStore(
                client: store.client, database: store.database.name,
                history: SchemaHistory(
                    version: Schema.version + 1,
                    migrations: SchemaHistory.current.migrations + [
                        Migration(from: Schema.version, name: "note the length of names") { run in
                            try await run.forEachBatch(of: "files") { documents in
                                documents.map { document in
                                    .updateOne(
                                        ["_id": document["_id"] ?? .null],
                                        .pipeline([["$set": ["nameBytes": ["$strLenBytes": "$name"]]]]))
                                }
                            }
                        }
                    ]))
            // The master that wrote it has ended long ago.
            let files = try await store.collections.files.countDocuments()
            _ = try await later.prepare(passwordProof: try await Self.proof(store))
            #expect(try await store.collections.files.countDocuments(["nameBytes": ["$gte": 0]]) == files)
            #expect(
                try await store.collections.settings.findOne(["_id": "schemaVersion"])?["value"]?.int64Value
                    == Schema.version + 1)
        }
    }
}
