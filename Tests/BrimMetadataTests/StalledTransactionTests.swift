import BrimMetadata
import BrimTestKit
import Foundation
import MongoDriver
import Synchronization
import Testing

/// What a master leaves open in the database when it freezes or dies.
@Suite struct StalledTransactionTests {
    /// A master stands still in the middle of a transaction, which adds 1, while `body` does something with the store of
    /// another master; then it goes on. Whatever was ended it begins again. Gives the sum in the end.
    private func whileOneStandsStill(
        application: String? = nil,
        _ body: (_ store: MongoMetadataStore, _ things: MongoCollection) async throws -> Void
    ) async throws -> Int? {
        try await TestStore.withMongo { store in
            let mongod = try await PrivateMongod.shared()
            let options = MongoClientOptions(
                applicationName: application ?? store.client.options.applicationName, poolSize: 1)
            let frozen = try MongoClient(uri: mongod.uri, options: options)
            let things = store.database.collection("things")
            try await things.insertOne(["_id": 1, "n": 0])
            let (begun, told) = AsyncStream.makeStream(of: Void.self)
            let thaw = Thaw()
            async let transaction: Void = frozen.withTransaction { tx in
                try tx.on(frozen.database(store.database.name).collection("things"))
                    .updateOne(["_id": 1], ["$inc": ["n": 1]])
                told.yield()
                thaw.wait()
            }
            for await _ in begun { break }
            do {
                try await body(store, things)
                thaw.happen()
                try await transaction
            } catch {
                thaw.happen()
                _ = try? await transaction
                await frozen.close()
                throw error
            }
            await frozen.close()
            return try await things.findOne(["_id": 1])?["n"]?.intValue
        }
    }

    private static let ten: BSONDocument = ["$inc": ["n": 10]]

    @Test func nobodyWaitsForIt() async throws {
        let sum = try await whileOneStandsStill { store, things in
            var ended = 0
            while ended == 0 { ended = try await store.endStalledTransactions(after: .milliseconds(200)) }
            #expect(ended == 1)
            try await things.updateOne(["_id": 1], .document(Self.ten))
            #expect(try await store.endStalledTransactions(after: .zero) == 0)
        }
        #expect(sum == 11)
    }

    @Test func oneThatMayStillGoOnIsLeftAlone() async throws {
        let sum = try await whileOneStandsStill { store, things in
            #expect(try await store.endStalledTransactions(after: .seconds(3600)) == 0)
            let error = await #expect(throws: MongoError.self) {
                try await things.client.withTransaction(MongoTransactionOptions(timeLimit: .zero)) { tx in
                    _ = try tx.on(things).updateOne(["_id": 1], .document(Self.ten))
                }
            }
            #expect(error?.isRetryable == true)
            var ended = 0
            while ended == 0 { ended = try await store.endStalledTransactions(after: .zero) }
            try await things.updateOne(["_id": 1], .document(Self.ten))
        }
        #expect(sum == 11)
    }

    /// Other programs, and other swarms, may use the same MongoDB.
    @Test func thoseOfOthersAreLeftAlone() async throws {
        let sum = try await whileOneStandsStill(application: "other") { store, _ in
            for _ in 0..<20 {
                let ended = try await store.endStalledTransactions(after: .zero)
                #expect(ended == 0)
            }
        }
        #expect(sum == 1)
    }
}

/// Keeps a thread waiting until it happens.
private final class Thaw: Sendable {
    private let hasHappened = Mutex(false)
    func happen() { hasHappened.withLock { $0 = true } }
    func wait() { while !hasHappened.withLock({ $0 }) { Thread.sleep(forTimeInterval: 0.001) } }
}
