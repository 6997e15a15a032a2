import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import Testing

extension ScenarioTests {
    /// Room is shared so that the least surplus is as high as it can be.
    @Suite struct BalanceTests {
        private static let servers = ["alpha", "bravo", "charlie"]

        /// Writes files of one byte, and enters them into `contents`.
        private func fill(
            _ prefix: String, _ range: Range<Int>, _ swarm: Swarm, _ contents: inout [String: Data]
        ) async throws {
            for index in range {
                let data = Data([UInt8(ascii: "a") + UInt8(index % 26)])
                try await swarm.put(data, to: "/\(prefix)\(index)")
                contents["/\(prefix)\(index)"] = data
            }
        }

        private func waitUntilAll(_ k: Int, _ swarm: Swarm) async throws {
            try await swarm.waitFor("\(k) copies of every file") {
                try await swarm.files().values.allSatisfy { $0.k == k }
            }
        }

        @Test func newFilesUseTheRoomThatIsAddedAndAllBecomeEqualAtLast() async throws {
            try await Swarm.run { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(Self.servers, quota: "10")
                var contents: [String: Data] = [:]
                try await fill("f", 0..<10, swarm, &contents)
                try await waitUntilAll(3, swarm)
                try await swarm.waitUntilConsistent(contents)
                var status = try await swarm.status()
                #expect(status.minSurplus == 0 && status.maxSurplus == 0)
                #expect(status.servers.map(\.used) == [10, 10, 10])

                // Full of wanted copies.
                let refused = try await swarm.tryPut(Data("x".utf8), to: "/x", ["--json"])
                #expect(refused.status == 1)
                #expect(try refused.error().code == .full)
                // Two copies are waited for: room on one server is not enough.
                try await swarm.brim("server", "quota", "charlie", "20")
                #expect(try await swarm.tryPut(Data("x".utf8), to: "/x").status == 1)
                try await swarm.waitUntilConsistent(contents)

                // With one it is, and there is only one place for new files.
                try await swarm.stop(Swarm.master)
                try await swarm.restart(Swarm.master, ["--write-copies", "1"])
                try await swarm.waitUntilUp(Self.servers)
                try await swarm.holdingQuotas {
                    try await fill("g", 0..<10, swarm, &contents)
                    for index in 0..<10 { #expect(try await swarm.holders("/g\(index)") == ["charlie"]) }
                    #expect(try await swarm.tryPut(Data("x".utf8), to: "/x").status == 1)
                    try await swarm.hold("who holds what", for: .seconds(3)) { try await swarm.allHolders() }
                    #expect(try await swarm.status().minSurplus == -2)
                    try await swarm.waitUntilConsistent(contents)

                    try await swarm.brim("server", "quota", "alpha", "20")
                    try await swarm.brim("server", "quota", "bravo", "20")
                    try await waitUntilAll(3, swarm)
                    try await swarm.waitFor("the status says so") {
                        status = try await swarm.status()
                        return status.minSurplus == 0 && status.maxSurplus == 0
                    }
                    try await swarm.waitUntilConsistent(contents)
                }
            }
        }

        @Test func spareRoomIsSharedEvenly() async throws {
            try await Swarm.run(SwarmOptions(["--copies", "1"])) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(Self.servers, quota: "10")
                try await swarm.holdingQuotas {
                    var contents: [String: Data] = [:]
                    // Thirty places in all.
                    try await fill("f", 0..<10, swarm, &contents)
                    try await waitUntilAll(3, swarm)
                    try await fill("f", 10..<15, swarm, &contents)
                    try await waitUntilAll(2, swarm)
                    try await swarm.hold("who holds what", for: .seconds(5)) { try await swarm.allHolders() }
                    try await swarm.waitUntilConsistent(contents)
                    try await fill("f", 15..<30, swarm, &contents)
                    try await waitUntilAll(1, swarm)
                    #expect(try await swarm.tryPut(Data("x".utf8), to: "/x").status == 1)
                    try await swarm.waitUntilConsistent(contents)
                    // Each removal is a place for a spare copy of another.
                    let gone = contents.keys.sorted().prefix(15)
                    for path in gone { contents[path] = nil }
                    let result = try await swarm.cli(["rm"] + gone)
                    #expect(result.status == 0, "\(result)")
                    try await waitUntilAll(2, swarm)
                    try await swarm.waitUntilConsistent(contents)
                }
            }
        }
    }
}
