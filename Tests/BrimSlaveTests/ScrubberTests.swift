import BrimModel
import BrimWire
import Foundation
import Testing

@testable import BrimSlave

/// A slave that verifies what it holds, against a fake master.
@Suite(.serialized) struct ScrubberTests {
    private func policy(_ interval: Duration, rate: Int64 = 1 << 40) throws -> ScrubPolicy {
        var settings = SwarmSettings()
        settings.scrubInterval = interval
        settings.scrubRate = rate
        settings.scrubLoad = 1
        return ScrubPolicy(settings)
    }

    private func put(_ swarm: TestSwarm, _ count: Int) async throws -> [BlobID] {
        var blobs: [BlobID] = []
        for index in 0..<count {
            let blob = BlobIDs.shared.next()
            let (status, _) = try await swarm.put(blob, bytes(100_000 + index, seed: UInt64(index)), to: [0])
            #expect(status == 201)
            blobs.append(blob)
        }
        return blobs
    }

    /// Changes one byte, without the program.
    private func damage(_ path: String, at place: UInt64) throws {
        let file = try FileHandle(forUpdating: URL(filePath: path))
        try file.seek(toOffset: place)
        let byte = try #require(try file.read(upToCount: 1)?.first)
        try file.seek(toOffset: place)
        try file.write(contentsOf: Data([byte ^ 1]))
        try file.close()
    }

    @Test func findsRotTruncationGrowthAndAbsence() async throws {
        try await TestSwarm.with(quotas: [10_000_000]) { (swarm: TestSwarm) async throws in
            let blobs = try await put(swarm, 6)
            let slave = swarm.slaves[0]
            try damage(slave.path(blobs[0]), at: 70_000)
            try FileHandle(forUpdating: URL(filePath: slave.path(blobs[1]))).truncate(atOffset: 99_000)
            let grown = try FileHandle(forUpdating: URL(filePath: slave.path(blobs[2])))
            try grown.seekToEnd()
            try grown.write(contentsOf: Data([1]))
            try grown.close()
            try FileManager.default.removeItem(atPath: slave.path(blobs[3]))
            let policy = try policy(.milliseconds(500))
            swarm.master.set { $0.scrub = policy }
            try await eventually("all four are found", within: .seconds(60)) {
                Set(swarm.master.state.lost) == Set(blobs.prefix(4))
            }
            #expect(Set(swarm.master.state.damage.keys) == Set(blobs.prefix(3).map(\.description)))
            #expect(try slave.temporary.names("quarantine").count == 3)
            for blob in blobs.prefix(4) {
                #expect(try await swarm.row(blob, on: 0) == nil)
                #expect(!slave.holds(blob))
            }
            // What is whole stays, and what was set aside still takes its room.
            for blob in blobs.suffix(2) { #expect(slave.holds(blob)) }
            let usage = try await slave.service.usage
            #expect(usage.files == 2)
            #expect(usage.used == 100_000 + 99_000 + 100_003 + 100_004 + 100_005)
        }
    }

    @Test func theThinnestFilesComeFirst() async throws {
        try await TestSwarm.with(quotas: [10_000_000]) { (swarm: TestSwarm) async throws in
            let blobs = try await put(swarm, 4)
            for blob in blobs { try damage(swarm.slaves[0].path(blob), at: 0) }
            // A second for each, so that they are told one by one.
            let policy = try policy(.milliseconds(100), rate: 100_000)
            swarm.master.set { state in
                state.surplus = [blobs[0]: 2, blobs[1]: -1, blobs[2]: 0, blobs[3]: 1]
                state.scrub = policy
            }
            try await eventually("all are found", within: .seconds(60)) { swarm.master.state.lost.count == 4 }
            #expect(swarm.master.state.asked.first.map(Set.init) == Set(blobs))
            #expect(swarm.master.state.lost == [blobs[1], blobs[2], blobs[3], blobs[0]])
        }
    }

    @Test func aHealthyServerIsLeftAsItIs() async throws {
        try await TestSwarm.with(quotas: [10_000_000]) { (swarm: TestSwarm) async throws in
            let blobs = try await put(swarm, 3)
            let policy = try policy(.milliseconds(200))
            let before = Timestamp.now.milliseconds
            swarm.master.set { $0.scrub = policy }
            let catalog = try Catalog(
                path: swarm.slaves[0].temporary.path + "/catalog.sqlite", health: DiskHealth(logger: quiet()))
            try await eventually("all are verified twice", within: .seconds(60)) {
                try await catalog.oldestVerification() ?? 0 > before + 500
            }
            #expect(swarm.master.state.lost.isEmpty)
            #expect(try swarm.slaves[0].temporary.names("quarantine").isEmpty)
            for blob in blobs { #expect(swarm.slaves[0].holds(blob)) }
            try catalog.close()
        }
    }

    @Test func verifiesOneBlobWhenAsked() async throws {
        try await TestSwarm.with(quotas: [10_000_000]) { (swarm: TestSwarm) async throws in
            let blobs = try await put(swarm, 2)
            func verify(_ blob: BlobID) async throws -> BlobVerification {
                try await swarm.peers.call(
                    .POST, "http://\(swarm.slaves[0].address)/v1/blobs/\(blob)/verify", token: try swarm.token(),
                    as: BlobVerification.self)
            }
            #expect(try await verify(blobs[0]) == BlobVerification(condition: .ok))
            try damage(swarm.slaves[0].path(blobs[0]), at: 0)
            #expect(try await verify(blobs[0]).condition == .corrupt)
            #expect(try await verify(blobs[0]).condition == .missing)
            try await eventually("the master hears") { swarm.master.state.lost.contains(blobs[0]) }
            #expect(try await verify(blobs[1]).condition == .ok)
            #expect(try await verify(BlobIDs.shared.next()).condition == .missing)
        }
    }

    @Test func everyLoopSaysWhatItIsAt() async throws {
        try await TestSwarm.with(quotas: [10_000_000]) { (swarm: TestSwarm) async throws in
            _ = try await put(swarm, 2)
            try await eventually("the loops have run") {
                let reply = try await swarm.peers.call(
                    .GET, "http://\(swarm.slaves[0].address)/v1/workers", token: try swarm.token(),
                    as: WorkersReply.self)
                let names = Set(reply.workers.map(\.name))
                #expect(
                    names == [
                        "heartbeat", "reports", "outbox", "pending blobs", "confirmations", "commits", "completions",
                        "read counts", "pulls",
                        "scrub", "namespace replica",
                    ])
                #expect(reply.workers.allSatisfy { $0.place == "alpha" })
                let beat = try #require(reply.workers.first { $0.name == "heartbeat" })
                return beat.done > 1 && beat.lastRun != nil && beat.nextRun != nil && beat.state == .idle
                    && beat.rate > 0
            }
        }
    }
}
