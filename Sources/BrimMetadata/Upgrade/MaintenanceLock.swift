import BrimModel
import Foundation
import MongoDriver

/// Keeps everybody else away from a database while its documents are made over as a whole: masters that start wait, and a
/// second upgrade, restore or recovery is refused.
///
/// `leases: {_id: "maintenance", holder, purpose, expires}`, measured on the database's clock alone, as the lease of
/// leadership is.
struct MaintenanceLock: Sendable {
    /// How long it is kept for a holder that is not heard of any more.
    static let duration = Duration.seconds(15)
    private static let id: BSONDocument = ["_id": "maintenance"]
    private static let never = BSONValue.date(milliseconds: 0)
    private static let hasExpired: BSONValue = ["$lte": [["$ifNull": ["$expires", never]], "$$NOW"]]

    let leases: MongoCollection
    let holder: String

    /// Does something while holding the lock. Throws `.unavailable` when somebody else holds it, and `.conflict` when it was
    /// lost on the way: then `body` has been cancelled.
    static func hold<Value: Sendable>(
        in leases: MongoCollection, purpose: String, _ body: @escaping @Sendable (MaintenanceLock) async throws -> Value
    ) async throws -> Value {
        let lock = MaintenanceLock(leases: leases, holder: UUID().uuidString.lowercased())
        try await lock.acquire(purpose)
        do {
            let value = try await lock.whileRenewing { try await body(lock) }
            await lock.release()
            return value
        } catch {
            // Not cut short when the task was cancelled: others would wait for the end of the lock.
            await Task { await lock.release() }.value
            throw error
        }
    }

    /// Throws `.unavailable`, to be tried again, while somebody holds the lock.
    static func requireFree(in leases: MongoCollection) async throws {
        let held = try await leases.findOne(id.merging(["$expr": ["$not": [hasExpired]]]))
        if let held { throw refusal(held) }
    }

    private static func refusal(_ held: BSONDocument?) -> BrimError {
        let purpose = held?["purpose"]?.stringValue ?? "something else"
        return BrimError(
            .unavailable, "the database is being changed as a whole: \(purpose) is under way",
            advice: "Wait until that is done; when whoever did it was killed, \(duration.components.seconds) seconds")
    }

    private func acquire(_ purpose: String) async throws {
        try await Schema.unlessPresent { _ = try await leases.insertOne(Self.id) }
        let taken = try await leases.findOneAndUpdate(
            Self.id.merging(["$expr": Self.hasExpired]),
            .pipeline([
                ["$set": ["holder": .string(holder), "purpose": .string(purpose), "expires": Self.end]]
            ]), returnNew: true)
        if taken == nil { throw Self.refusal(try await leases.findOne(Self.id)) }
    }

    /// Throws `.conflict` when somebody else may have it by now. Whoever holds it calls this before each larger write.
    func renew() async throws {
        let filter = Self.id.merging(["holder": .string(holder), "$expr": ["$not": [Self.hasExpired]]])
        guard try await leases.updateOne(filter, .pipeline([["$set": ["expires": Self.end]]])).matched == 1 else {
            throw BrimError(
                .conflict, "the lock on the database was lost: MongoDB was away for too long",
                advice: "Try again", retryable: false)
        }
    }

    private func release() async {
        // Else it runs out by itself.
        _ = try? await leases.deleteOne(Self.id.merging(["holder": .string(holder)]))
    }

    private static let end: BSONValue = ["$add": ["$$NOW", .int64(duration.wholeMilliseconds)]]

    private func whileRenewing<Value: Sendable>(
        _ body: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        try await withThrowingTaskGroup(of: Value?.self) { group in
            group.addTask { try await body() }
            group.addTask {
                try await keep()
                return nil
            }
            defer { group.cancelAll() }
            while let value = try await group.next() {
                if let value { return value }
            }
            throw CancellationError()
        }
    }

    /// Renews it until cancelled. A renewal that fails is tried again for as long as the lock may last.
    private func keep() async throws {
        var failures = 0
        while true {
            try await Task.sleep(for: Self.duration / 5)
            do {
                try await renew()
                failures = 0
            } catch let error as MongoError where error.isRetryable && failures < 4 {
                failures += 1
            }
        }
    }
}

/// Masters that use a database now.
enum LiveMasters {
    /// Where one of them is reached; nil when none has been heard of for as long as one counts as living.
    static func first(in collections: Collections) async throws -> String? {
        let since: BSONValue = ["$subtract": ["$$NOW", .int64(MasterRecord.patience.wholeMilliseconds)]]
        let found = try await collections.masters.findOne(["$expr": ["$gt": ["$heartbeat", since]]])
        return found.map { "the master at \($0["url"]?.stringValue ?? "an unknown address")" }
    }
}
