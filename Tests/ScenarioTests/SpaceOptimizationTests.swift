import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import Testing

extension ScenarioTests {
    /// Small and large disks, small and large files: at rest each disk is as full as it can be.
    @Suite struct SpaceOptimizationTests {
        private static let quotas = ["alpha": "13", "bravo": "100000", "charlie": "12", "delta": "1"]

        /// With files of 10, 2 and 1 bytes: 13 and 100,000 hold all three, 12 holds 10 + 2, and 1 holds the smallest. Any
        /// other filling of 12 (10 + 1, or 2 + 1) leaves a file with two copies that may take the place of the smallest one,
        /// which has four.
        @Test(arguments: [["10", "2", "1"], ["1", "2", "10"], ["2", "1", "10"]])
        func everyDiskIsFullWithWhatFits(order: [String]) async throws {
            try await Swarm.run(SwarmOptions(["--copies", "1", "--headroom", "0"])) { swarm in
                try await swarm.startMaster()
                for (name, quota) in Self.quotas.sorted(by: { $0.key < $1.key }) {
                    try await swarm.startSlave(name, quota: quota)
                }
                try await swarm.holdingQuotas {
                    var contents: [String: Data] = [:]
                    for size in order {
                        contents["/\(size)"] = Data(repeating: UInt8(ascii: "x"), count: Int(size) ?? 0)
                        try await swarm.put(contents["/\(size)"] ?? Data(), to: "/\(size)")
                    }
                    let best = [
                        "/10": ["alpha", "bravo", "charlie"], "/2": ["alpha", "bravo", "charlie"],
                        "/1": ["alpha", "bravo", "delta"],
                    ]
                    try await swarm.waitFor("the best filling, and rest") {
                        let holders = try await swarm.allHolders()
                        let status = try await swarm.status()
                        return holders == best && status.atRest && status.copying == 0
                    }
                    try await swarm.hold("who holds what", for: .seconds(4)) { try await swarm.allHolders() }
                    #expect(try await swarm.status().servers.map(\.used) == [13, 13, 12, 1])
                    try await swarm.waitUntilConsistent(contents)
                }
            }
        }
    }
}
