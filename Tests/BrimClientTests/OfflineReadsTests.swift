import BrimModel
import BrimWire
import HTTPTypes
import Hummingbird
import Synchronization
import Testing

@testable import BrimClient

/// What a client does when no master answers: whom it asks, and what it says.
@Suite(.timeLimit(.minutes(5))) struct OfflineReadsTests {
    /// A slave as the client sees it.
    private struct Slave {
        var name: String
        var age = 1.0
        var scope = ReplicaScope.full
        /// What it answers to a stat; nil: that it does not know.
        var size: Int64? = 1
    }

    private static func add(_ slave: Slave, to router: Router<BrimRequestContext>, _ asked: Journal<String>) {
        router.get("/\(slave.name)/v1/swarm") { _, _ in
            let replica = ReplicaStatus(
                server: try ServerName(validating: slave.name), age: slave.age, entries: 1, scope: slave.scope)
            return try jsonResponse(SwarmReply(swarm: "s", masters: [], servers: [], replica: replica))
        }
        router.get("/\(slave.name)/v1/stat/f") { request, _ -> Response in
            guard request.headers[.cacheControl] == nil else { throw BrimError(.unavailable, "ask a master") }
            asked.add(slave.name)
            guard let size = slave.size else { throw BrimError(.unavailable, "only its own files") }
            let entry = Entry(
                id: FileID(2), parent: .root, name: try EntryName("f"), type: .directory, mode: 0o644, created: .now,
                modified: .now)
            var stat = FileStat(path: "/f", entry: entry)
            (stat.size, stat.age) = (size, slave.age)
            return try jsonResponse(stat)
        }
        router.on("/\(slave.name)/v1/**", method: .put) { _, _ -> Response in
            asked.add("write to \(slave.name)")
            throw BrimError(.unavailable, "this is a slave")
        }
    }

    /// Calls `body` with a client that is told of a master, at `/master`, and of these slaves.
    private func with(
        _ slaves: [Slave], readsOffline: Bool = true, masterAnswers: Latch<Void> = Latch(),
        _ body: @escaping @Sendable (BrimClient, _ asked: Journal<String>, _ told: Journal<String>) async throws -> Void
    ) async throws {
        let (asked, told) = (Journal<String>(), Journal<String>())
        try await withServer { router in
            router.get("/master/v1/stat/f") { _, _ -> Response in
                asked.add("master")
                guard masterAnswers.isSet else { throw BrimError(.unavailable, "no database") }
                throw BrimError(.notFound, "the master says so")
            }
            router.put("/master/v1/directories/d") { _, _ -> Response in
                asked.add("write to master")
                guard masterAnswers.isSet else { throw BrimError(.unavailable, "no database") }
                throw BrimError(.exists, "the master says so")
            }
            for slave in slaves { Self.add(slave, to: router, asked) }
        } _: { url in
            let client = try BrimClient(
                masters: ["\(url)/master"] + slaves.map { "\(url)/\($0.name)" }, memory: nil,
                readsOffline: readsOffline, token: { "token" }, logger: testLogger, notice: { told.add($0) })
            do {
                try await body(client, asked, told)
            } catch {
                await client.shutdown()
                throw error
            }
            await client.shutdown()
        }
    }

    private func size(_ client: BrimClient) async throws -> Int64 {
        try await client.stat(BrimPath(parsing: "/f")).size
    }

    @Test func theSlaveThatKnowsMostIsRead() async throws {
        let slaves = [
            Slave(name: "alpha", age: 1, scope: .own, size: 1), Slave(name: "bravo", age: 30, size: 2),
            Slave(name: "charlie", age: 20, size: 3),
        ]
        try await with(slaves) { client, asked, told async throws in
            let size1 = try await self.size(client)
            #expect(size1 == 3)
            #expect(asked.elements.last == "charlie" && asked.elements.contains("master"))
            let before = asked.elements.count
            let size2 = try await self.size(client)
            #expect(size2 == 3)
            #expect(asked.elements.count == before + 1, "masters are not asked again at once")
            #expect(told.elements == ["no master answers: reading from slave charlie, 20 s old"], "it is said once")
        }
    }

    @Test func aSlaveThatDoesNotKnowIsPassedOver() async throws {
        let slaves = [
            Slave(name: "alpha", age: 1, scope: .own, size: nil), Slave(name: "bravo", age: 30, scope: .own, size: 2),
            Slave(name: "charlie", age: 20, scope: .own, size: nil),
        ]
        try await with(slaves) { client, asked, _ async throws in
            let size3 = try await self.size(client)
            #expect(size3 == 2)
            #expect(asked.elements.filter { $0 != "master" } == ["alpha", "charlie", "bravo"])
        }
        try await with([slaves[0], slaves[2]]) { client, _, _ async throws in
            let error = await #expect(throws: BrimError.self) { _ = try await self.size(client) }
            #expect(error?.code == .unavailable)
        }
    }

    @Test func whoeverWantsNoOldNewsGetsNone() async throws {
        try await with([Slave(name: "alpha")], readsOffline: false) { client, asked, told async throws in
            let error = await #expect(throws: BrimError.self) { _ = try await self.size(client) }
            #expect(error?.code == .unavailable)
            #expect(!asked.elements.contains("alpha") && told.elements.isEmpty)
        }
    }

    @Test func aMasterThatAnswersEndsIt() async throws {
        let answers = Latch<Void>()
        try await with([Slave(name: "alpha")], masterAnswers: answers) { client, asked, _ async throws in
            let directory = try BrimPath(parsing: "/d")
            let size4 = try await self.size(client)
            #expect(size4 == 1)
            let refused = await #expect(throws: BrimError.self) { _ = try await client.makeDirectory(directory) }
            #expect(refused?.code == .unavailable, "a slave takes no writes")
            answers.set(.success(()))
            let exists = await #expect(throws: BrimError.self) { _ = try await client.makeDirectory(directory) }
            #expect(exists?.code == .exists)
            let error = await #expect(throws: BrimError.self) { _ = try await self.size(client) }
            #expect(error?.code == .notFound && asked.elements.last == "master")
        }
    }
}
