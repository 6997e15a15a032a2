import BrimMetadata
import BrimModel
import BrimTestKit
import MongoDriver
import Testing

/// What a master is told by a member of MongoDB that leads no more.
@Suite struct ReadFenceTests {
    private static let view = ServerView(epoch: 1, counted: [], readable: [], up: [])

    private static func place(_ name: String) throws -> EntryPlace {
        EntryPlace(parent: .root, name: try EntryName(name))
    }

    private static func make(_ name: String, in store: MongoMetadataStore) async throws -> Entry {
        try await store.create(
            NewEntry(place: try place(name), type: .directory, mode: 0o755, modified: .now, target: nil))
    }

    private static func store(_ uri: String) throws -> MongoMetadataStore {
        MongoMetadataStore(client: try MongoClient(uri: uri), database: "fence")
    }

    /// Another member takes over while the former primary, which reaches nobody but this master, does not know yet.
    @Test(.timeLimit(.minutes(10))) func aFormerPrimaryTellsNothingOld() async throws {
        let mongo = try await PrivateReplicaSet.start()
        do {
            let former = try await mongo.primary()
            let behind = try Self.store(mongo.directURI(of: former))
            let present = try Self.store(mongo.uri(of: (0..<mongo.count).filter { $0 != former }))
            _ = try await behind.prepare(passwordProof: "proof")
            let directory = try await Self.make("old", in: behind)
            #expect(try await behind.entry(at: Self.place("old"))?.id == directory.id)
            #expect(behind.client.primary.electable == mongo.count)

            mongo.isolate(former)
            _ = try await mongo.stepUp(besides: former)
            #expect(try await present.remove([Removal(directory, path: "/old")], now: true, view: Self.view) == [nil])
            let found = try? await behind.entry(at: Self.place("old"))
            #expect(found == .none, "what was removed is not told")
            mongo.heal()
            #expect(try await present.entry(at: Self.place("old")) == nil)
            await behind.close()
            await present.close()
        } catch {
            await mongo.stop()
            throw error
        }
        await mongo.stop()
    }

    /// Look-ups while primaries step down one after the other: each sees what was acknowledged before it began.
    @Test(.timeLimit(.minutes(10))) func nothingAcknowledgedIsMissingAfterAnElection() async throws {
        let mongo = try await PrivateReplicaSet.start()
        do {
            let writer = try Self.store(mongo.uri)
            let reader = try Self.store(mongo.uri)
            _ = try await writer.prepare(passwordProof: "proof")
            let ended = Latch<Void>()
            let rounds = Task {
                var made = 0
                while !ended.isSet {
                    let name = "d\(made)"
                    do {
                        _ = try await Self.make(name, in: writer)
                    } catch let error as BrimError where error.code == .exists || error.code == .unavailable {
                        // Done, or perhaps done: then nothing is said of it.
                        guard error.code == .exists else { continue }
                    }
                    let found = try await Self.patiently { try await reader.entry(at: Self.place(name)) }
                    #expect(found != nil, "\(name) was made")
                    made += 1
                }
                return made
            }
            for _ in 0..<3 {
                try await mongo.waitUntilWhole()
                _ = try await mongo.stepDown()
            }
            ended.set(.success(()))
            #expect(try await rounds.value > 0)
            await writer.close()
            await reader.close()
        } catch {
            await mongo.stop()
            throw error
        }
        await mongo.stop()
    }

    /// Until there is an answer.
    private static func patiently<T>(_ look: () async throws -> T) async throws -> T {
        while true {
            do { return try await look() } catch let error as BrimError where error.code == .unavailable { continue }
        }
    }
}
