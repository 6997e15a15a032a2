import BrimTestKit
import BrimWire
import Foundation
import Testing

/// Daemons started on what is not theirs: refused in clear words, and nothing lost.
extension ScenarioTests.PersistTests {
    /// Starts a slave that must refuse to run, and returns what it says.
    private func refusedSlave(
        _ label: String, _ swarm: Swarm, name: String, data: String, master: String? = nil
    ) async throws -> String {
        let process = try swarm.launch(
            label,
            [
                "slave", "--master", master ?? swarm.url, "--data", swarm.data(of: data).path, "--quota", "1M",
                "--name", name, "--listen", "127.0.0.1:\(try Swarm.unusedPort())",
            ])
        #expect(try await process.waitForExit(within: .seconds(60)) == .status(1), "\(label)")
        return try String(contentsOf: swarm.log(of: label), encoding: .utf8)
    }

    @Test func namesAndDirectoriesStayTheirServersWhileItIsAway() async throws {
        try await Swarm.run(Self.patient(["--copies", "2"])) { swarm in
            try await swarm.startMaster()
            try await swarm.startSlaves(["alpha", "bravo"], quota: "1M")
            try await swarm.put("text", to: "/f")
            let before = try await swarm.snapshotAtRest(["alpha", "bravo"], ["/f": Data("text".utf8)])

            try await swarm.stop("alpha")
            let name = try await refusedSlave("second", swarm, name: "alpha", data: "second")
            #expect(name.contains("alpha") && name.contains("--name"), "\(name)")
            let directory = try await refusedSlave("third", swarm, name: "delta", data: "alpha")
            #expect(directory.contains("belongs to the server alpha"), "\(directory)")
            let both = try await refusedSlave("fourth", swarm, name: "bravo", data: "alpha")
            #expect(both.contains("belongs to the server alpha"), "\(both)")

            try await swarm.restart("alpha")
            try await swarm.waitUntilUnchanged(since: before, ["alpha", "bravo"])
        }
    }

    @Test func dataOfAnotherSwarmIsRefused() async throws {
        try await Swarm.run(SwarmOptions(["--copies", "2"])) { swarm in
            try await swarm.startMaster()
            try await swarm.startSlaves(["alpha", "bravo"], quota: "1M")
            try await swarm.put("text", to: "/f")
            let before = try await swarm.snapshotAtRest(["alpha", "bravo"], ["/f": Data("text".utf8)])

            // The same password, another database.
            let other = "127.0.0.1:\(try Swarm.unusedPort())"
            let database = ["--mongodb", try await PrivateMongod.shared().uri]
            try swarm.launch(
                "other",
                ["master", "--listen", other, "--data", swarm.data(of: "other").path]
                    + database + ["--database", PrivateMongod.freshDatabaseName("other")])
            try await swarm.waitFor("the other master ready") {
                try await swarm.request("http://\(other)/readyz", [], token: nil).status == 200
            }
            try await swarm.stop("alpha")
            let words = try await refusedSlave("stray", swarm, name: "alpha", data: "alpha", master: "http://\(other)")
            #expect(words.contains("another swarm"), "\(words)")
            let servers = try await swarm.request("http://\(other)/v1/servers", [])
            #expect(try BrimJSON.decoder().decode([ServerStatus].self, from: servers.body).isEmpty)

            try await swarm.restart("alpha")
            try await swarm.waitUntilUnchanged(since: before, ["alpha", "bravo"])
            try await swarm.stop("other")
        }
    }

    @Test func aMastersDataDirectoryIsHeldByOneMaster() async throws {
        try await Swarm.run(Self.patient(["--copies", "1"])) { swarm in
            try await swarm.startMaster()
            try await swarm.startSlave("alpha", quota: "1M")
            try await swarm.put("text", to: "/f")
            let before = try await swarm.snapshotAtRest(["alpha"], ["/f": Data("text".utf8)])
            let mongods = swarm.ownMongods()

            let second = try swarm.launch(
                "second",
                [
                    "master", "--listen", "127.0.0.1:\(try Swarm.unusedPort())",
                    "--data", swarm.data(of: Swarm.master).path,
                ])
            #expect(try await second.waitForExit(within: .seconds(90)) == .status(1))
            let words = try String(contentsOf: swarm.log(of: "second"), encoding: .utf8)
            #expect(words.contains("in use") && words.contains("--data"), "\(words)")
            // The first one's mongod was left in peace.
            #expect(swarm.ownMongods() == mongods)
            try await swarm.waitUntilUnchanged(since: before, ["alpha"])
            try await swarm.stop(Swarm.master)
            try await swarm.restart(Swarm.master)
            try await swarm.waitUntilUnchanged(since: before, ["alpha"])
        }
    }
}
