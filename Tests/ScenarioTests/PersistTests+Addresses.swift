import BrimTestKit
import Foundation
import Testing

/// Daemons that come back somewhere else, or to somebody who has waited for them.
extension ScenarioTests.PersistTests {
    @Test func aSlaveIsFoundOnAnotherPortAndJoinsWhenTheMasterIsBack() async throws {
        let servers = ["alpha", "bravo"]
        try await Swarm.run(Self.patient(["--copies", "2"])) { swarm in
            try await swarm.startMaster()
            try await swarm.startSlaves(servers, quota: "1M")
            let data = Data.random(count: 100_000, seed: 21)
            try await swarm.put(data, to: "/f")
            let before = try await swarm.snapshotAtRest(servers, ["/f": data])

            let port = try Swarm.unusedPort()
            try await swarm.stop("alpha")
            try await swarm.restart("alpha", port: port)
            try await swarm.waitUntilUnchanged(since: before, servers)
            #expect(try await swarm.server("alpha").address == "127.0.0.1:\(port)")

            // Started while nobody can tell it anything, on yet another port.
            try await swarm.stop(Swarm.master)
            try await swarm.stop("alpha")
            try await swarm.kill9("bravo")
            let later = try Swarm.unusedPort()
            try swarm.relaunch("alpha", port: later)
            try swarm.relaunch("bravo")
            try await swarm.waitFor("both slaves have found no master") {
                try servers.allSatisfy { server in
                    try String(contentsOf: swarm.log(of: server), encoding: .utf8).contains("cannot join yet")
                }
            }
            try await swarm.restart(Swarm.master)
            try await swarm.waitUntilUnchanged(since: before, servers)
            #expect(try await swarm.server("alpha").address == "127.0.0.1:\(later)")

            // Only that one has it now, for clients and for other slaves.
            try await swarm.stop("bravo")
            #expect(try await swarm.read("/f") == data)
            // A redirect names one server only: the one that is thought to answer.
            try await swarm.waitFor("bravo is missed") { try await swarm.server("bravo").state != .up }
            #expect(try await swarm.curl("/v1/files/f", "-L").body == data)
            try await swarm.restart("bravo")
            try await swarm.startSlave("charlie", quota: "1M")
            try await swarm.waitFor("a third copy") { try await swarm.k("/f") == 3 }
            try await swarm.waitUntilConsistent(["/f": data])
        }
    }

    @Test func aMongodWhosePortIsTakenMovesToAnother() async throws {
        try await Swarm.run(Self.patient(["--copies", "1"])) { swarm in
            try await swarm.startMaster()
            try await swarm.startSlave("alpha", quota: "1M")
            try await swarm.put("text", to: "/f")
            let before = try await swarm.snapshotAtRest(["alpha"], ["/f": Data("text".utf8)])
            let port = try swarm.ownMongodPort()
            try await swarm.stop(Swarm.master)
            // A stranger that knows another master.
            try swarm.launch(
                "squatter",
                [
                    "slave", "--master", "127.0.0.1:\(try Swarm.unusedPort())", "--quota", "1K",
                    "--data", swarm.data(of: "squatter").path, "--listen", "127.0.0.1:\(port)",
                ])
            try await swarm.waitFor("the port taken") {
                try String(contentsOf: swarm.log(of: "squatter"), encoding: .utf8).contains("listening")
            }
            try await swarm.restart(Swarm.master)
            let moved = try swarm.ownMongodPort()
            #expect(moved != port)
            try await swarm.waitUntilUnchanged(since: before, ["alpha"])
            try await swarm.stop("squatter")
            try await swarm.stop(Swarm.master)
            try await swarm.restart(Swarm.master)
            #expect(try swarm.ownMongodPort() == moved)
            try await swarm.waitUntilUnchanged(since: before, ["alpha"])
        }
    }

    @Test func writesUnderWayOutliveTheMaster() async throws {
        try await Swarm.run(Self.patient(["--copies", "2"])) { swarm in
            try await swarm.startMaster()
            try await swarm.startSlaves(["alpha", "bravo"], quota: "50M")
            var contents: [String: Data] = [:]
            for round in 0..<2 {
                let data = Data.random(count: 4_000_000, seed: UInt64(30 + round))
                contents["/large-\(round)"] = data
                let file = try swarm.scratchFile(data, named: "large").path
                async let upload = swarm.curl(
                    "/v1/files/large-\(round)", "-L", "--limit-rate", "1M", "-T", file)
                try await swarm.waitFor("bytes on their way") {
                    try swarm.incoming(on: "alpha").values.contains { $0 > 0 }
                }
                if round == 0 {
                    try await swarm.stop(Swarm.master)
                } else {
                    try await swarm.kill9(Swarm.master)
                }
                // The bytes need no master, only the commit at the end.
                try await swarm.restart(Swarm.master)
                let result = try await upload
                #expect(result.status == 201, "\(result.text)")
                try FileManager.default.removeItem(atPath: file)
            }
            try await swarm.waitUntilUp(["alpha", "bravo"])
            try await swarm.waitUntilConsistent(contents)
        }
    }
}
