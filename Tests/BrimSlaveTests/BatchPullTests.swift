import BrimModel
import BrimWire
import Foundation
import NIOCore
import Testing

@testable import BrimSlave

/// Small blobs that are pulled together.
extension SwarmTests {
    private typealias Blobs = [(blob: BlobID, content: [UInt8])]

    private func samples(_ count: Int, size: Int = 4096) -> Blobs {
        (0..<count).map { (BlobIDs.shared.next(), bytes(size, seed: UInt64($0 + 1))) }
    }

    /// A slave and a source that answers as it is told.
    private func withSource(
        quota: Int64 = 10_000_000, adjust: @Sendable (inout SlaveConfiguration) -> Void = { _ in },
        _ body: (TestSwarm, FakeSource) async throws -> Void
    ) async throws {
        try await TestSwarm.with(quotas: [quota], adjust: adjust) { (swarm: TestSwarm) async throws in
            let source = try FakeSource(keys: swarm.keys)
            try await TestSwarm.running([source.server]) { try await body(swarm, source) }
        }
    }

    private func order(
        _ swarm: TestSwarm, _ slave: Int, _ blobs: Blobs, from sources: [Peer], first: Int64 = 1
    ) async throws -> OrderReply {
        let orders = try blobs.enumerated().map { index, sample in
            var pull = try swarm.pull(sample.blob, sample.content, from: [])
            pull.sources = sources
            return Order(sequence: first + Int64(index), evict: [], pull: pull)
        }
        return try await swarm.order(slave, OrderBatch(term: 1, orders: orders, leader: try await swarm.master.url))
    }

    private func completions(_ swarm: TestSwarm, _ count: Int) async throws -> [BlobID: CompletionsRequest.Item] {
        try await eventually("\(count) pulls ended") { swarm.master.state.completions.count >= count }
        #expect(swarm.master.state.completions.count == count)
        return Dictionary(swarm.master.state.completions.map { ($0.blob, $0) }) { first, _ in first }
    }

    private func expectAllThere(_ swarm: TestSwarm, _ blobs: Blobs) async throws {
        for (blob, content) in blobs { #expect(try await swarm.get(blob, from: 0).body == content) }
        #expect(try swarm.slaves[0].temporary.names("incoming").isEmpty)
    }

    @Test("Small blobs of one source come in one request and are durable together")
    func pulledTogether() async throws {
        try await withSource { swarm, source in
            let blobs = samples(40) + samples(1, size: 0) + samples(1, size: Limits.blockBytes)
            source.set { for (blob, content) in blobs { $0.blobs[blob] = content } }
            #expect(try await order(swarm, 0, blobs, from: [try await source.peer]).refused.isEmpty)
            let ended = try await completions(swarm, blobs.count)
            #expect(ended.values.allSatisfy { $0.error == nil && $0.badSources.isEmpty })
            #expect(source.state.batches == [blobs.map(\.blob)] && source.state.alone.isEmpty)
            try await expectAllThere(swarm, blobs)
            for (blob, content) in blobs {
                try await eventually("confirmed") { try await swarm.row(blob, on: 0)?.state == .confirmed }
                let row = try #require(try await swarm.row(blob, on: 0))
                #expect(row.size == Int64(content.count) && row.checksum == checksum(content) && row.label.n == 3)
            }
            let usage = try await swarm.slaves[0].service.usage
            #expect(usage.used == Int64(40 * 4096 + Limits.blockBytes) && usage.reserved == 0 && usage.files == 42)
        }
    }

    @Test("What an answer lacks, or has wrong, is asked for alone; what came whole counts")
    func badAnswers() async throws {
        let answers: [(bad: Set<Int>, answer: @Sendable ([BlobID: [UInt8]], [BlobID]) throws -> ByteBuffer)] = [
            // Breaks off within the fifth.
            (
                Set(4..<10),
                { blobs, wanted in
                    FakeSource.frames(blobs, wanted).getSlice(at: 0, length: 4 * 4112 + 100) ?? ByteBuffer()
                }
            ),
            // Says that it does not send the first, and has other bytes for the second; one nobody asked for comes too.
            (
                [0, 1],
                { blobs, wanted in
                    var blobs = blobs
                    let stranger = BlobIDs.shared.next()
                    blobs[wanted[0]] = nil
                    blobs[wanted[1]]?[7] ^= 1
                    blobs[stranger] = [1, 2, 3]
                    return FakeSource.frames(blobs, [stranger] + wanted)
                }
            ),
            // A wrong length: the frames that follow are not where they should be.
            (
                Set(2..<10),
                { blobs, wanted in
                    var answer = FakeSource.frames(blobs, wanted)
                    answer.setInteger(UInt32(4095), at: 2 * 4112 + 12)
                    return answer
                }
            ),
            // Knows nothing of such requests.
            (Set(0..<10), { _, _ in throw BrimError(.notFound, "there is no such route") }),
        ]
        for (bad, answer) in answers {
            try await withSource { swarm, source in
                let blobs = samples(10)
                source.set { state in
                    for (blob, content) in blobs { state.blobs[blob] = content }
                    state.answer = { try answer($0, $1) }
                }
                _ = try await order(swarm, 0, blobs, from: [try await source.peer])
                let ended = try await completions(swarm, 10)
                #expect(ended.values.allSatisfy { $0.error == nil && $0.badSources.isEmpty })
                #expect(Set(source.state.alone) == Set(bad.map { blobs[$0].blob }))
                try await expectAllThere(swarm, blobs)
            }
        }
    }

    @Test("A source that falls silent in the middle costs one wait, and the next source has the blobs")
    func aSourceThatFallsSilent() async throws {
        try await withSource(adjust: { $0.transferIdle = .seconds(5) }) { swarm, source in
            let blobs = samples(6)
            source.set { $0.answer = { _, _ in throw try await Self.silence() } }
            let other = try FakeSource(keys: swarm.keys, name: "other")
            other.set { for (blob, content) in blobs { $0.blobs[blob] = content } }
            try await TestSwarm.running([other.server]) {
                _ = try await order(swarm, 0, blobs, from: [try await source.peer, try await other.peer])
                let ended = try await completions(swarm, 6)
                #expect(ended.values.allSatisfy { $0.error == nil && $0.badSources == [source.name] })
                try await expectAllThere(swarm, blobs)
            }
        }
    }

    private static func silence() async throws -> BrimError {
        try await Task.sleep(for: .seconds(20))
        return BrimError(.timeout, "too late")
    }

    @Test("Damage of one blob of many: the source sets it aside, and the next source is asked")
    func damageAmongMany() async throws {
        try await TestSwarm.with(quotas: [10_000_000, 10_000_000, 10_000_000]) { (swarm: TestSwarm) async throws in
            let blobs = samples(12)
            for (blob, content) in blobs { #expect(try await swarm.put(blob, content, to: [1, 2]).status == 201) }
            let (damaged, gone) = (blobs[3].blob, blobs[5].blob)
            let file = try FileHandle(forWritingTo: URL(fileURLWithPath: swarm.slaves[1].path(damaged)))
            try file.write(contentsOf: [blobs[3].content[0] ^ 0x10])
            try file.close()
            try POSIX.unlink(swarm.slaves[1].path(gone))
            _ = try await order(swarm, 0, blobs, from: [swarm.slaves[1].peer, swarm.slaves[2].peer])
            let ended = try await completions(swarm, 12)
            for (blob, item) in ended {
                #expect(item.error == nil)
                #expect(item.badSources == (blob == damaged || blob == gone ? [swarm.slaves[1].name] : []))
            }
            try await expectAllThere(swarm, blobs)
            try await eventually("reported") { Set(swarm.master.state.lost) == [damaged, gone] }
            #expect(try swarm.slaves[1].temporary.names("quarantine").contains { $0.hasPrefix("\(damaged).") })
        }
    }

    @Test("A blob that is given up while it is on its way with others does not stay")
    func cancelledAmongMany() async throws {
        try await withSource { swarm, source in
            let blobs = samples(8)
            let url = try await swarm.master.url
            source.set { state in
                for (blob, content) in blobs { state.blobs[blob] = content }
                state.answer = { known, wanted in
                    _ = try await swarm.order(
                        0,
                        OrderBatch(
                            term: 1, orders: [Order(sequence: 100, evict: [blobs[2].blob, blobs[6].blob])], leader: url)
                    )
                    return FakeSource.frames(known, wanted)
                }
            }
            _ = try await order(swarm, 0, blobs, from: [try await source.peer])
            let ended = try await completions(swarm, 8)
            for (index, sample) in blobs.enumerated() {
                let isCancelled = index == 2 || index == 6
                #expect(ended[sample.blob]?.error?.code == (isCancelled ? .conflict : nil))
                #expect(swarm.slaves[0].holds(sample.blob) == !isCancelled)
                #expect((try await swarm.row(sample.blob, on: 0) == nil) == isCancelled)
            }
            let usage = try await swarm.slaves[0].service.usage
            #expect(usage.used == 6 * 4096 && usage.reserved == 0)
        }
    }

    @Test("A quota that is just enough is filled, and not by a byte more")
    func aQuotaThatIsJustEnough() async throws {
        try await withSource(quota: 10 * 4096) { swarm, source in
            let blobs = samples(11)
            source.set { for (blob, content) in blobs { $0.blobs[blob] = content } }
            let reply = try await order(swarm, 0, blobs, from: [try await source.peer])
            #expect(reply.refused.map(\.sequence) == [11] && reply.refused.first?.error.code == .full)
            #expect(reply.usage.used == 10 * 4096)
            #expect(try await completions(swarm, 10).values.allSatisfy { $0.error == nil })
            let usage = try await swarm.slaves[0].service.usage
            #expect(usage.used == 10 * 4096 && usage.reserved == 0 && usage.files == 10)
            try await expectAllThere(swarm, Array(blobs.dropLast()))
        }
    }

    @Test("What is here already, or ordered twice, is not brought here again")
    func someAreHereAlready() async throws {
        try await withSource { swarm, source in
            let blobs = samples(6)
            source.set { for (blob, content) in blobs { $0.blobs[blob] = content } }
            for (blob, content) in blobs.prefix(2) {
                #expect(try await swarm.put(blob, content, to: [0]).status == 201)
            }
            _ = try await order(swarm, 0, blobs + [blobs[5]], from: [try await source.peer])
            try await eventually("all ended") { swarm.master.state.completions.count == 7 }
            #expect(swarm.master.state.completions.allSatisfy { $0.error == nil })
            #expect(source.state.batches.map(Set.init) == [Set(blobs.dropFirst(2).map(\.blob))])
            try await expectAllThere(swarm, blobs)
            let usage = try await swarm.slaves[0].service.usage
            #expect(usage.used == 6 * 4096 && usage.reserved == 0 && usage.files == 6)
        }
    }

    @Test func requestsForManyBlobsAreForNodesAndBounded() async throws {
        try await TestSwarm.with(quotas: [10_000_000]) { (swarm: TestSwarm) async throws in
            let url = "http://\(swarm.slaves[0].address)/v1/blobs"
            let (blob, missing) = (BlobIDs.shared.next(), BlobIDs.shared.next())
            #expect(try await swarm.put(blob, bytes(100), to: [0]).status == 201)
            func read(_ blobs: [BlobID], _ token: String?) async throws -> (status: Int, body: ByteBuffer) {
                let body = ByteBuffer(data: try BrimJSON.encoder().encode(BlobReadRequest(blobs: blobs)))
                return try await swarm.peers.exchange(
                    .POST, url, headers: ["content-type": "application/json"], body: body, token: token,
                    deadline: .seconds(10))
            }
            #expect(try await read([blob], nil).status == 401)
            let reader = try swarm.keys.sign(
                .read(ReadGrant(blob: blob, version: 1, name: "f"), lifetime: .seconds(60)))
            #expect(try await read([blob], reader).status == 403)
            let many = [BlobID](repeating: blob, count: Limits.copyBatchBlobs + 1)
            #expect(try await read(many, try swarm.token()).status == 400)
            let (status, answer) = try await read([missing, blob], try swarm.token())
            #expect(status == 200)
            var wanted = ByteBuffer()
            BlobFrames.append(missing, nil, to: &wanted)
            BlobFrames.append(blob, ByteBuffer(bytes: bytes(100)), to: &wanted)
            #expect(answer == wanted)
        }
    }
}
