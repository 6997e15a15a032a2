import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import Testing

extension ScenarioTests {
    /// Zones, and servers that leave by intent.
    @Suite struct ZoneTests {
        @Test func copiesSpreadOverZonesAndAZoneIsChangedByCommand() async throws {
            try await Swarm.run(SwarmOptions(["--copies", "2", "--max-copies", "2"])) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(["alpha", "bravo"], quota: "1M", ["--zone", "x"])
                try await swarm.startSlaves(["charlie", "delta"], quota: "1M", ["--zone", "y"])
                for index in 0..<8 {
                    try await swarm.put(Data.random(count: 999, seed: UInt64(index)), to: "/f\(index)")
                }
                for (path, holders) in try await swarm.allHolders() {
                    let inX = holders.filter { ["alpha", "bravo"].contains($0) }
                    #expect(holders.count == 2 && inX.count == 1, "\(path) is on \(holders)")
                }

                try await swarm.brim("server", "zone", "bravo", "y")
                #expect(try await swarm.server("bravo").zone == "y")
                // Now alpha is alone in its zone.
                for index in 8..<14 {
                    try await swarm.put(Data.random(count: 999, seed: UInt64(index)), to: "/f\(index)")
                    let holders = try await swarm.holders("/f\(index)")
                    #expect(holders.count == 2 && holders.contains("alpha"), "\(holders)")
                }
                // A copy that is lost is made where none is.
                try await swarm.brim("server", "drain", "alpha")
                try await swarm.waitFor("two copies of each") {
                    try await swarm.files().values.allSatisfy { $0.k == 2 }
                }
                try await swarm.brim("server", "undrain", "alpha")

                // Like a quota: kept until the slave is started with another one.
                try await swarm.stop("bravo")
                try await swarm.restart("bravo")
                #expect(try await swarm.server("bravo").zone == "y")
                try await swarm.stop("bravo")
                try await swarm.restart("bravo", ["--zone", "z"])
                #expect(try await swarm.server("bravo").zone == "z")
            }
        }

        @Test func aServerThatSaysGoodbyeIsSuspectAtOnceAndCountsUntilItIsDown() async throws {
            var options = SwarmOptions(["--copies", "2"])
            options.suspectAfter = .seconds(300)
            options.downAfter = .seconds(600)
            try await Swarm.run(options) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(["alpha", "bravo", "charlie"], quota: "1M")
                try await swarm.put("text", to: "/f")
                try await swarm.waitFor("three copies") { try await swarm.k("/f") == 3 }
                let blobs = try swarm.blobs(on: "charlie")
                try await swarm.stop("charlie")
                // Nobody waited for its silence.
                #expect(try await swarm.server("charlie").state == .suspect)
                try await swarm.hold("k and holders", for: .seconds(7)) {
                    let file = try await swarm.stat("/f")
                    return "\(file.k ?? -1) \(file.replicas ?? [])"
                }
                #expect(try await swarm.k("/f") == 3)
                try await swarm.put("written meanwhile", to: "/g")
                #expect(try await !swarm.holders("/g").contains("charlie"))
                try await swarm.restart("charlie")
                #expect(try await swarm.k("/f") == 3)
                try await swarm.waitFor("a spare copy of what it missed") { try await swarm.k("/g") == 3 }
                let after = try swarm.blobs(on: "charlie")
                #expect(blobs.allSatisfy { after[$0.key] == $0.value })
            }
        }
    }
}
