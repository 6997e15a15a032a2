import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import Testing

extension ScenarioTests {
    /// Writes whose outcome is in doubt, and writes that share what room is left.
    @Suite struct WriteOutcomeTests {
        private func path(_ text: String) throws -> BrimPath { try BrimPath(parsing: text) }

        @Test func aWriteThatWasAskedForAnewIsNeverEnteredLater() async throws {
            try await Swarm.run(SwarmOptions(["--write-copies", "1"])) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(["alpha", "bravo"], quota: "1M")
                let old = Data.random(count: 1000, seed: 1)
                let new = Data.random(count: 1000, seed: 2)
                let first = try await swarm.grant(WriteRequest(path: try path("/f"), size: 1000))
                let slow = try swarm.beginWrite(to: first, length: 1000)
                slow.send(old.prefix(500))
                let server = try #require(first.targets?.first?.server)
                try await swarm.waitFor("the first write has begun") {
                    try await swarm.server(server.rawValue).used == 1000
                }

                // The writer hears nothing and goes elsewhere.
                let second = try await swarm.grant(
                    WriteRequest(path: try path("/f"), size: 1000, avoid: [server], replaces: first.url))
                #expect(second.targets?.contains { $0.server == server } == false)
                let quick = try swarm.beginWrite(to: second, length: 1000)
                quick.send(new)
                #expect(try await quick.finish().status == 201)

                slow.send(old.suffix(500))
                let late = try await slow.finish()
                #expect(late.status == 409, "\(late)")
                #expect(try await swarm.stat("/f").version == 1)
                #expect(try await swarm.read("/f") == new)
                try await swarm.waitUntilConsistent(["/f": new])
            }
        }

        @Test func aWriteThatWasEnteredIsNotEnteredAgain() async throws {
            try await Swarm.run(SwarmOptions(["--write-copies", "1"])) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlave("alpha", quota: "1M")
                let data = Data.random(count: 1000, seed: 1)
                let first = try await swarm.grant(WriteRequest(path: try path("/f"), size: 1000, ifMatch: .absent))
                let write = try swarm.beginWrite(to: first, length: 1000)
                write.send(data)
                #expect(try await write.finish().status == 201)

                let again = WriteRequest(path: try path("/f"), size: 1000, ifMatch: .absent, replaces: first.url)
                let done = try #require(try await swarm.grant(again).done)
                #expect(done.version == 1 && done.size == 1000 && done.created)
                #expect(done.replicas.map(\.rawValue) == ["alpha"])

                // Once somebody else has changed the file, neither "done" nor "write it again" would be true.
                try await swarm.put("changed", to: "/f")
                let error = try #require(try await swarm.grant(again).error)
                #expect(error.code == .conflict && !error.retryable, "\(error)")
                #expect(try await swarm.read("/f") == Data("changed".utf8))
            }
        }

        @Test func anotherFilesGrantIsNotReplaced() async throws {
            try await Swarm.run { swarm in
                try await swarm.startMaster()
                try await swarm.startSlave("alpha", quota: "1M")
                let other = try await swarm.grant(WriteRequest(path: try path("/other"), size: 4))
                let refused = try await swarm.grant(WriteRequest(path: try path("/f"), size: 4, replaces: other.url))
                #expect(refused.error?.code == .invalid)
                let garbage = try await swarm.grant(WriteRequest(path: try path("/f"), size: 4, replaces: "http://x/"))
                #expect(garbage.error?.code == .invalid)
                let write = try swarm.beginWrite(to: other, length: 4)
                write.send(Data("data".utf8))
                #expect(try await write.finish().status == 201)
            }
        }

        @Test func roomOfAWriteUnderWayCountsOnce() async throws {
            try await Swarm.run(SwarmOptions(["--copies", "1"])) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlave("alpha", quota: "10K")
                let large = try await swarm.grant(WriteRequest(path: try path("/large"), size: 6000))
                let slow = try swarm.beginWrite(to: large, length: 6000)
                slow.send(Data(count: 3000))
                try await swarm.waitFor("it has begun") { try await swarm.server("alpha").used == 6000 }

                let small = Data.random(count: 4000, seed: 3)
                try await swarm.put(small, to: "/small")
                let none = try await swarm.grant(WriteRequest(path: try path("/more"), size: 1))
                #expect(none.error?.code == .full, "\(none)")
                slow.send(Data(count: 3000))
                #expect(try await slow.finish().status == 201)
                try await swarm.waitUntilConsistent(["/large": Data(count: 6000), "/small": small])
            }
        }

        @Test func roomOfAWriteThatWasCutOffIsFreeForItsNextAttempt() async throws {
            // No heartbeat tells of it in time.
            var options = SwarmOptions(["--copies", "1"])
            options.heartbeat = .seconds(60)
            (options.suspectAfter, options.downAfter) = (.seconds(180), .seconds(600))
            try await Swarm.run(options) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlave("alpha", quota: "10K")
                let first = try await swarm.grant(WriteRequest(path: try path("/f"), size: 9000))
                let cut = try swarm.beginWrite(to: first, length: 9000)
                cut.send(Data(count: 3000))
                try await swarm.waitFor("it has begun") { try await swarm.usage(of: "alpha").used == 9000 }
                await cut.abort()
                try await swarm.waitFor("alpha has let go of it") { try await swarm.usage(of: "alpha").used == 0 }
                let second = try await swarm.grant(
                    WriteRequest(path: try path("/f"), size: 9000, replaces: first.url))
                #expect(second.error == nil)
                let write = try swarm.beginWrite(to: second, length: 9000)
                write.send(Data(count: 9000))
                #expect(try await write.finish().status == 201)
            }
        }
    }
}
