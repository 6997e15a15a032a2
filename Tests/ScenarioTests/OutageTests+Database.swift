import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// MongoDB away.
extension ScenarioTests.OutageTests {
    private static func run(_ body: (Swarm, PrivateMongod) async throws -> Void) async throws {
        let mongod = try await PrivateMongod.start()
        var options = SwarmOptions()
        options.database = .at(mongod)
        do {
            try await Swarm.run(options) { try await body($0, mongod) }
        } catch {
            kill(mongod.pid, SIGCONT)
            await mongod.stop()
            throw error
        }
        await mongod.stop()
    }

    @Test func aMasterWaitsForMongoDB() async throws {
        try await Self.run { swarm, mongod in
            await mongod.pause()
            async let ready: Void = swarm.startMaster()
            try await swarm.waitFor("the master says that it waits") {
                try String(contentsOf: swarm.log(of: Swarm.master), encoding: .utf8).contains("waiting for MongoDB")
            }
            // Told to stop it does, at once.
            let idle = try swarm.launch(
                "idle", try swarm.arguments(of: Swarm.master).map { $0.hasPrefix("127.0.0.1:") ? "127.0.0.1:0" : $0 })
            try await swarm.waitFor("another one waits") {
                try String(contentsOf: swarm.log(of: "idle"), encoding: .utf8).contains("waiting for MongoDB")
            }
            idle.send(SIGTERM)
            #expect(try await idle.waitForExit(within: .seconds(10)) == .status(0))
            try await mongod.restart()
            try await ready
            try await swarm.startSlave("alpha", quota: "1M")
            try await swarm.put("text", to: "/f")
            try await swarm.waitUntilConsistent(["/f": Data("text".utf8)])
        }
    }

    /// Each request is answered with 503 before a client gives up, 10 s after it was sent.
    private func expectUnavailable(_ swarm: Swarm, _ what: String) async throws {
        _ = try swarm.scratchFile(Data("new".utf8), named: "new")
        let requests: [[String]] = [
            ["/v1/stat/f"], ["/v1/files/f", "-L"], ["/v1/list/"], ["/v1/status"], ["/v1/servers"],
            ["/v1/files/new", "-L", "-T", "new"], ["/v1/files/f", "-X", "DELETE"],
            ["/v1/directories/d", "-X", "PUT"],
        ]
        try await withThrowingTaskGroup(of: Void.self) { group in
            for request in requests {
                group.addTask {
                    let answer = try await swarm.request(request[0], request.dropFirst() + ["--max-time", "10"])
                    #expect(answer.status == 503, "\(what): \(request): \(answer.status) \(answer.text)")
                    #expect(try answer.error().code == .unavailable, "\(what): \(request): \(answer.text)")
                }
            }
            try await group.waitForAll()
        }
        let told = try await swarm.cli(["mkdir", "/told", "--json"])
        #expect(try told.status == 1 && told.error().code == .unavailable, "\(told)")
        #expect(try told.error().advice?.isEmpty == false, "\(told)")
        try await swarm.waitFor("the master is not ready") { try await swarm.request("/readyz", []).status == 503 }
        #expect(try await swarm.request("/healthz", []).status == 200)
    }

    @Test func mongoDBHangsAndDies() async throws {
        try await Self.run { swarm, mongod in
            try await swarm.startMaster()
            try await swarm.startSlaves(["alpha", "bravo"], quota: "1M")
            try await swarm.put("text", to: "/f")
            let half = Data.random(count: 5000, seed: 1)
            let granted = try await swarm.grant(
                WriteRequest(path: try BrimPath(parsing: "/under-way"), size: 10_000))
            let write = try swarm.beginWrite(to: granted, length: 10_000)
            write.send(half)

            #expect(kill(mongod.pid, SIGSTOP) == 0)
            write.send(half)
            async let answer = write.finish()
            try await expectUnavailable(swarm, "hangs")
            // The bytes are safe on both slaves, but nobody has said that the file is there.
            let outcome = try await answer
            #expect(outcome.status == 503, "\(outcome.status) \(outcome.text)")
            #expect(kill(mongod.pid, SIGCONT) == 0)
            try await swarm.waitFor("a write succeeds again") {
                try await swarm.tryPut(Data("two".utf8), to: "/g").status == 0
            }

            #expect(kill(mongod.pid, SIGKILL) == 0)
            try await expectUnavailable(swarm, "is dead")
            try await mongod.restart()
            try await swarm.waitFor("a write succeeds again") {
                try await swarm.tryPut(Data("three".utf8), to: "/h").status == 0
            }
            try await swarm.waitUntilUp(["alpha", "bravo"])
            var expected = ["/f": Data("text".utf8), "/g": Data("two".utf8), "/h": Data("three".utf8)]
            // What was not acknowledged is there whole or not at all.
            if try await swarm.exists("/under-way") { expected["/under-way"] = half + half }
            let files = try await swarm.files()
            #expect(Set(files.keys) == Set(expected.keys))
            for (path, data) in expected { #expect(try await swarm.read(path) == data, "\(path)") }
            for name in [Swarm.master, "alpha", "bravo"] { #expect(try swarm.process(of: name).isRunning) }
        }
    }
}
