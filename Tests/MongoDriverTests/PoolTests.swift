import MongoDriver
import Testing

@Suite struct PoolTests {
    /// Holds a client on the server for some time.
    static func sleep(_ client: MongoClient, milliseconds: Int) async throws {
        _ = try await client.database("admin").runCommand(["sleep": 1, "millis": .int(milliseconds), "lock": "none"])
    }

    @Test func moreTasksThanClients() async throws {
        try await TestMongo.withClient(MongoClientOptions(poolSize: 3, waitQueueTimeout: .seconds(300))) {
            client, things in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in 0..<300 {
                    group.addTask { try await things.insertOne(["_id": .int(index)]) }
                }
                try await group.waitForAll()
            }
            #expect(try await things.countDocuments() == 300)
            let status = client.poolStatus
            #expect(status.idle == 3)
            #expect(status.busy + status.leased + status.waiting == 0)
        }
    }

    @Test func aWaitingTaskCanBeCancelled() async throws {
        try await TestMongo.withClient(MongoClientOptions(poolSize: 1)) { client, things in
            let running = Task { try await Self.sleep(client, milliseconds: 1500) }
            try await wait { client.poolStatus.busy == 1 }
            let waiting = Task { try await things.insertOne(["_id": 1]) }
            try await wait { client.poolStatus.waiting == 1 }
            waiting.cancel()
            await expectError(.cancelled) { try await waiting.value }
            #expect(client.poolStatus.waiting == 0)
            #expect(client.poolStatus.busy == 1)
            try await running.value
            #expect(try await things.countDocuments() == 0)
        }
    }

    @Test func aCancelledTaskDoesNotWaitForTheServer() async throws {
        try await TestMongo.withClient(MongoClientOptions(poolSize: 1)) { client, things in
            let running = Task { try await Self.sleep(client, milliseconds: 3000) }
            try await wait { client.poolStatus.busy == 1 }
            running.cancel()
            let error = await expectError(.cancelled) { try await running.value }
            #expect(error?.isOutcomeUnknown == true)
            // The thread does, and then works for others.
            #expect(client.poolStatus.busy == 1)
            try await things.insertOne(["_id": 1])
            #expect(try await things.countDocuments() == 1)
        }
    }

    @Test func aCancelledTaskDoesNotBegin() async throws {
        try await TestMongo.withClient(MongoClientOptions(poolSize: 1)) { client, things in
            let running = Task { try await Self.sleep(client, milliseconds: 500) }
            try await wait { client.poolStatus.busy == 1 }
            let cancelled = Task {
                withUnsafeCurrentTask { $0?.cancel() }
                return try await things.insertOne(["_id": 1])
            }
            await expectError(.cancelled) { try await cancelled.value }
            try await running.value
        }
    }

    @Test func theLineIsBounded() async throws {
        try await TestMongo.withClient(MongoClientOptions(poolSize: 1, maxWaiting: 2)) { client, things in
            let running = Task { try await Self.sleep(client, milliseconds: 1500) }
            try await wait { client.poolStatus.busy == 1 }
            let waiting = (0..<2).map { index in Task { try await things.insertOne(["_id": .int(index)]) } }
            try await wait { client.poolStatus.waiting == 2 }
            let error = await expectError(.overloaded) { try await things.insertOne(["_id": 9]) }
            #expect(error?.isRetryable == true)
            #expect(error?.description.contains("2 operations waiting") == true)
            try await running.value
            for task in waiting { _ = try await task.value }
            #expect(try await things.countDocuments() == 2)
        }
    }

    @Test func waitingHasALimit() async throws {
        let options = MongoClientOptions(poolSize: 1, waitQueueTimeout: .milliseconds(200))
        try await TestMongo.withClient(options) { client, things in
            let running = Task { try await Self.sleep(client, milliseconds: 2500) }
            try await wait { client.poolStatus.busy == 1 }
            let error = await expectError(.timeout) { try await things.insertOne(["_id": 1]) }
            #expect(error?.isOutcomeUnknown == false)
            // The timer rings for those who come later too.
            await expectError(.timeout) { try await things.insertOne(["_id": 2]) }
            try await running.value
        }
    }

    @Test func closing() async throws {
        try await TestMongo.withClient(MongoClientOptions(poolSize: 1)) { client, things in
            let running = Task { try await Self.sleep(client, milliseconds: 800) }
            try await wait { client.poolStatus.busy == 1 }
            let waiting = Task { try await things.insertOne(["_id": 1]) }
            try await wait { client.poolStatus.waiting == 1 }
            await client.close()
            #expect(client.poolStatus.state == .closed)
            await expectError(.closed) { try await waiting.value }
            try await running.value
            await expectError(.closed) { try await things.findOne() }
            await client.close()
        }
    }

    @Test func closingWithoutUse() async throws {
        let client = try MongoClient(uri: "mongodb://127.0.0.1:1/")
        await client.close()
        #expect(client.poolStatus.state == .closed)
    }

    @Test func anUnreachableServer() async throws {
        let client = try MongoClient(
            uri: "mongodb://127.0.0.1:1/?replicaSet=none",
            options: MongoClientOptions(serverSelectionTimeout: .milliseconds(700)))
        let started = ContinuousClock.now
        let error = await expectError(.unavailable) { try await client.ping() }
        let taken = ContinuousClock.now - started
        #expect(taken > .milliseconds(500))
        #expect(error?.description.contains("cannot be reached") == true)
        #expect(error?.description.contains("127.0.0.1:1") == true)
        #expect(error?.isRetryable == true)
        #expect(error?.isOutcomeUnknown == false)
        await client.close()
    }

    @Test(arguments: ["", "nonsense", "http://a", "mongodb://", "mongodb://a/?replicaSet="])
    func wrongURIs(_ uri: String) {
        #expect { try MongoClient(uri: uri) } throws: { ($0 as? MongoError)?.kind == .invalidArgument }
    }
}
