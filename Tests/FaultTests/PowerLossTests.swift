import BrimModel
import BrimTestKit
import Foundation
import Testing

extension FaultTests {
    /// All servers lose their power at once, right after a write was acknowledged.
    @Suite struct PowerLossTests {
        private static let servers = ["alpha", "bravo"]

        @Test(.needsFaults)
        func whatWasAcknowledgedIsOnDisk() async throws {
            #expect(try await violations(syncsLie: false) == [])
        }

        /// A build that acknowledges before bytes are durable does not pass: the checker is no decoration.
        @Test(.needsFaults)
        func acknowledgingBeforeBytesAreDurableIsCaught() async throws {
            let found = try await violations(syncsLie: true)
            #expect(found.contains { $0.contains("cannot be read any more") }, "\(found)")
        }

        /// What the checker says after two losses of power.
        private func violations(syncsLie: Bool) async throws -> [String] {
            try await Swarm.run(.watchful(["--copies", "2"])) { swarm in
                var nodes: [Site.Node] = []
                for name in Self.servers {
                    nodes.append(
                        try await Site.Node(name, of: swarm, bytes: 60_000_000, inodes: 2000, writeback: 300))
                }
                try await swarm.startMaster()
                try await swarm.startSlaves(Self.servers, quota: "10M")
                for node in nodes { try node.faults.set(syncsLie: syncsLie) }

                let history = History(seed: 1)
                let client = try swarm.client()
                let workload = Workload(
                    clients: [client], offline: client, history: history, seed: 1, scratch: swarm.scratch)
                var random = SeededRandom(seed: 1)
                for _ in 1...2 {
                    for number in 0..<24 {
                        let group = history.pick(&random)
                        await workload.perform(.put(number % 3, history.newValue(for: group)), 0, client, group)
                    }
                    for name in Self.servers { try swarm.freeze(name) }
                    for node in nodes { try await node.disk.losePower() }
                    for name in Self.servers { try await swarm.kill9(name) }
                    for node in nodes { try await node.disk.restorePower() }
                    for name in Self.servers { try swarm.relaunch(name) }
                    try await swarm.waitUntilUp(Self.servers)
                }
                #expect(history.acknowledged == 48)
                try await workload.readEverything(patience: syncsLie ? .seconds(2) : .seconds(60))
                return history.violations()
            }
        }
    }
}
