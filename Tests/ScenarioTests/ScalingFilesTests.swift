import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import Testing

extension ScenarioTests {
    /// Thousands of tiny files whose servers leave, return and move.
    @Suite struct ScalingFilesTests {
        private static let files = 5000

        private func waitFor(surplus: Int, _ swarm: Swarm) async throws {
            try await swarm.waitFor("surplus \(surplus) of all files", within: .seconds(600)) {
                let levels = try await swarm.status().surplus
                return levels.map(\.surplus) == [surplus] && levels.map(\.files) == [Int64(Self.files)]
            }
        }

        private func expectSamples(_ swarm: Swarm) async throws {
            for index in stride(from: 0, to: Self.files, by: 701) {
                #expect(try await swarm.read("/tiny/\(index % 50)/f\(index)") == Data("file \(index)".utf8))
            }
        }

        private func makeTree(_ swarm: Swarm) throws -> URL {
            let top = swarm.scratch.appending(path: "tiny")
            for index in 0..<50 {
                try FileManager.default.createDirectory(
                    at: top.appending(path: "\(index)"), withIntermediateDirectories: true)
            }
            for index in 0..<Self.files {
                try Data("file \(index)".utf8).write(to: top.appending(path: "\(index % 50)/f\(index)"))
            }
            return top
        }

        /// Starts the slave of a data directory that may have been moved, and waits until its copies count.
        private func start(_ daemon: String, named name: String, _ swarm: Swarm) async throws {
            try swarm.launch(
                daemon,
                [
                    "slave", "--master", swarm.url, "--data", swarm.data(of: daemon).path, "--quota", "100M", "--name",
                    name, "--listen", "127.0.0.1:\(try Swarm.unusedPort())",
                ])
            try await swarm.waitFor("\(name) up", within: .seconds(300)) {
                guard try swarm.process(of: daemon).isRunning else { throw SwarmFailure("\(daemon) has ended") }
                return try await swarm.server(name).state == .up
            }
        }

        @Test func serversLeaveReturnAndMoveAndNothingIsCopiedAgain() async throws {
            try await Swarm.run(.watchful(["--copies", "3"])) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(["alpha", "bravo", "charlie"], quota: "100M")
                let tree = try makeTree(swarm)
                let result = try await swarm.cli(["put", "-r", tree.path, "/"], within: .seconds(900))
                #expect(result.status == 0, "\(result)")
                try await waitFor(surplus: 0, swarm)
                let blobs = try ["alpha", "bravo", "charlie"].map { try swarm.blobs(on: $0) }
                #expect(blobs.map(\.count) == [Self.files, Self.files, Self.files])

                // One leaves and returns.
                try await swarm.stop("charlie")
                try await waitFor(surplus: -1, swarm)
                try await swarm.restart("charlie")
                try await waitFor(surplus: 0, swarm)
                #expect(try ["alpha", "bravo", "charlie"].map { try swarm.blobs(on: $0) } == blobs, "copied again")

                // Its directory is moved away; another server, empty, takes its place meanwhile.
                try await swarm.stop("charlie")
                try FileManager.default.moveItem(at: swarm.data(of: "charlie"), to: swarm.data(of: "moved"))
                try await waitFor(surplus: -1, swarm)
                try await start("delta", named: "delta", swarm)
                try await waitFor(surplus: 0, swarm)
                try await start("moved", named: "charlie", swarm)
                try await waitFor(surplus: 1, swarm)
                #expect(try swarm.blobs(on: "moved") == blobs[2], "copied again")
                try await expectSamples(swarm)

                // It is forgotten, and its blobs are put into the directory of a new server: taken over, not copied.
                try await swarm.stop("moved")
                try await swarm.waitFor("charlie down") { try await swarm.server("charlie").state == .down }
                try await swarm.brim("server", "forget", "charlie")
                try await waitFor(surplus: 0, swarm)
                try FileManager.default.createDirectory(
                    at: swarm.data(of: "echo"), withIntermediateDirectories: true)
                try FileManager.default.moveItem(
                    at: swarm.data(of: "moved").appending(path: "blobs"),
                    to: swarm.data(of: "echo").appending(path: "blobs"))
                try await start("echo", named: "echo", swarm)
                try await waitFor(surplus: 1, swarm)
                #expect(try swarm.blobs(on: "echo") == blobs[2], "copied again")
                try await expectSamples(swarm)
            }
        }
    }
}
