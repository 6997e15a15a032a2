import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import Testing

extension ScenarioTests {
    /// A shortage that is shared evenly.
    @Suite struct ReplicationBalanceTests {
        private static let servers = ["alpha", "bravo", "charlie"]

        private func fill(_ range: Range<Int>, _ swarm: Swarm, _ contents: inout [String: Data]) async throws {
            for index in range {
                contents["/f\(index)"] = Data([UInt8(ascii: "a") + UInt8(index)])
                try await swarm.put(contents["/f\(index)"] ?? Data(), to: "/f\(index)")
            }
        }

        private func waitForRest(_ swarm: Swarm, copies: Int) async throws -> [Int] {
            var surpluses: [Int] = []
            try await swarm.waitFor("\(copies) copies, and rest") {
                let files = try await swarm.files().values
                surpluses = files.compactMap(\.surplus).sorted()
                let status = try await swarm.status()
                return files.reduce(0) { $0 + ($1.k ?? 0) } == copies && status.atRest && status.copying == 0
                    && status.minSurplus == surpluses.first && status.maxSurplus == surpluses.last
            }
            return surpluses
        }

        @Test func aShortageIsSharedAndNewRoomMakesAllEqual() async throws {
            let flags = ["--copies", "3", "--floor", "-1000", "--headroom", "0", "--write-copies", "1"]
            try await Swarm.run(SwarmOptions(flags)) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(Self.servers, quota: "10")
                try await swarm.holdingQuotas {
                    var contents: [String: Data] = [:]
                    try await fill(0..<10, swarm, &contents)
                    #expect(try await waitForRest(swarm, copies: 30) == Array(repeating: 0, count: 10))
                    // Thirty places for twenty files: one and a half each.
                    try await fill(10..<20, swarm, &contents)
                    let shared = try await waitForRest(swarm, copies: 30)
                    #expect(shared == Array(repeating: -2, count: 10) + Array(repeating: -1, count: 10))
                    try await swarm.hold("who holds what", for: .seconds(4)) { try await swarm.allHolders() }
                    try await swarm.waitUntilConsistent(contents)

                    // Forty places, and charlie can hold each file once: two copies of each.
                    try await swarm.brim("server", "quota", "charlie", "20")
                    let equal = try await waitForRest(swarm, copies: 40)
                    #expect(equal == Array(repeating: -1, count: 20))
                    #expect(try await swarm.status().servers.map(\.used) == [10, 10, 20])
                    try await swarm.waitUntilConsistent(contents)
                    // One more place on alpha: one file has three, and nothing moves for it to and fro.
                    try await swarm.brim("server", "quota", "alpha", "11")
                    let uneven = try await waitForRest(swarm, copies: 41)
                    #expect(uneven == Array(repeating: -1, count: 19) + [0])
                    try await swarm.hold("who holds what", for: .seconds(4)) { try await swarm.allHolders() }
                }
            }
        }
    }
}
