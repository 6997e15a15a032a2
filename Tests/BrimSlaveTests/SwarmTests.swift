import BrimModel
import BrimWire
import Foundation
import NIOCore
import Testing

@testable import BrimSlave

/// Slaves with their HTTP interface, against a fake master.
@Suite(.serialized) struct SwarmTests {
    @Test("A write goes through the chain, is committed with both copies and read back with ranges")
    func writeAndRead() async throws {
        try await TestSwarm.with(quotas: [10_000_000, 10_000_000]) { (swarm: TestSwarm) async throws in
            let content = bytes(1_300_000)
            let blob = BlobIDs.shared.next()
            let (status, body) = try await swarm.put(blob, content, to: [0, 1])
            try #require(status == 201, "\(String(buffer: body))")
            let reply = try BrimJSON.decoder().decode(WriteReply.self, from: Data(body.readableBytesView))
            #expect(reply.replicas == swarm.slaves.map(\.name) && reply.checksum == checksum(content))
            #expect(swarm.master.state.commits.first?.made == swarm.slaves.map(\.name))
            for slave in swarm.slaves {
                #expect(try Data(contentsOf: URL(fileURLWithPath: slave.path(blob))) == Data(content))
                let usage = try await slave.service.usage
                #expect(usage.used == 1_300_000 && usage.reserved == 0 && usage.files == 1)
            }
            for index in 0...1 {
                try await eventually("confirmed") { try await swarm.row(blob, on: index)?.state == .confirmed }
                #expect(try await swarm.row(blob, on: index)?.label.file == FileID(42))
                #expect(try await swarm.get(blob, from: index).body == content)
            }
            let (whole, _) = try await swarm.get(blob, from: 0)
            #expect(whole["etag"] == "\"4-\(blob)\"" && whole.length == 1_300_000 && whole["accept-ranges"] == "bytes")
            #expect(whole["brim-checksum"] == "\(checksum(content))")
            for (range, wanted) in [
                ("bytes=0-0", 0..<1), ("bytes=70000-200000", 70_000..<200_001), ("bytes=-3", 1_299_997..<1_300_000),
                ("bytes=65536-", 65_536..<1_300_000), ("bytes=1-1048576", 1..<1_048_577),
            ] {
                let (part, body) = try await swarm.get(blob, from: 1, headers: [("range", range)])
                #expect(part.status == 206 && body == Array(content[wanted]), "\(range)")
                #expect(part["content-range"] == "bytes \(wanted.lowerBound)-\(wanted.upperBound - 1)/1300000")
            }
            let (stale, all) = try await swarm.get(
                blob, from: 1, headers: [("range", "bytes=0-0"), ("if-range", "\"3-\(blob)\"")])
            #expect(stale.status == 200 && all.count == content.count)
            #expect(
                await failure { _ = try await swarm.get(blob, from: 0, headers: [("range", "bytes=1300000-")]) }
                    == .range)
        }
    }

    @Test func emptyAndUnannounced() async throws {
        try await TestSwarm.with(quotas: [10, 10]) { (swarm: TestSwarm) async throws in
            let empty = BlobIDs.shared.next()
            #expect(try await swarm.put(empty, [], to: [0, 1]).status == 201)
            #expect(try await swarm.get(empty, from: 1).body == [])
            let blob = BlobIDs.shared.next()
            let (status, body) = try await swarm.put(blob, [1, 2, 3, 4, 5], to: [0, 1], chunked: true)
            #expect(status == 201, "\(String(buffer: body))")
            #expect(try await swarm.get(blob, from: 1).body == [1, 2, 3, 4, 5])
            #expect(try await swarm.slaves[0].service.usage.used == 5)
            let tooMuch = BlobIDs.shared.next()
            let refused = try await swarm.put(tooMuch, bytes(6), to: [0, 1], chunked: true)
            #expect(refused.status == 507 && code(refused.body) == .full)
            #expect(try await swarm.slaves[0].service.usage.used == 5)
            #expect(!swarm.slaves[0].holds(tooMuch) && !swarm.slaves[1].holds(tooMuch))
        }
    }

    @Test("A full server on the way refuses the whole write; room is asked for once")
    func fullOnTheWay() async throws {
        try await TestSwarm.with(quotas: [10_000_000, 1000]) { (swarm: TestSwarm) async throws in
            let blob = BlobIDs.shared.next()
            let refused = try await swarm.put(blob, bytes(400_000), to: [0, 1])
            #expect(refused.status == 507 && code(refused.body) == .full, "\(String(buffer: refused.body))")
            #expect(swarm.master.state.rooms == [399_000])
            #expect(swarm.master.state.commits.isEmpty)
            try await eventually("nothing remains") {
                let usage = try await swarm.slaves[0].service.usage
                return usage.used == 0 && usage.files == 0
            }
            #expect(try swarm.slaves[0].temporary.names("incoming").isEmpty && !swarm.slaves[0].holds(blob))
        }
    }

    @Test("A master that gives up copies makes room for the write that lacks it")
    func roomIsMade() async throws {
        try await TestSwarm.with(quotas: [1000]) { (swarm: TestSwarm) async throws in
            let old = BlobIDs.shared.next()
            #expect(try await swarm.put(old, bytes(900), to: [0]).status == 201)
            let url = try await swarm.master.url
            swarm.master.set {
                $0.makeRoom = { _ in
                    let batch = OrderBatch(term: 1, orders: [Order(sequence: 1, evict: [old])], leader: url)
                    _ = try await swarm.order(0, batch)
                }
            }
            let blob = BlobIDs.shared.next()
            #expect(try await swarm.put(blob, bytes(500), to: [0]).status == 201)
            #expect(swarm.master.state.rooms == [400])
            #expect(!swarm.slaves[0].holds(old) && swarm.slaves[0].holds(blob))
            #expect(try await swarm.slaves[0].service.usage.used == 500)
        }
    }

    @Test("Concurrent writes never exceed the quota on disk")
    func quotaUnderConcurrency() async throws {
        try await TestSwarm.with(quotas: [100_000]) { (swarm: TestSwarm) async throws in
            let results = try await withThrowingTaskGroup(of: (BlobID, Int).self) { group in
                for index in 0..<24 {
                    let blob = BlobIDs.shared.next()
                    group.addTask {
                        (blob, try await swarm.put(blob, bytes(9_000), to: [0], chunked: index % 2 == 0).status)
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            let stored = results.filter { $0.1 == 201 }
            #expect(stored.count == 11)
            #expect(results.allSatisfy { $0.1 == 201 || $0.1 == 507 })
            for (blob, status) in results { #expect(swarm.slaves[0].holds(blob) == (status == 201)) }
            #expect(try await swarm.slaves[0].service.usage.used == 99_000)
        }
    }

    @Test func refusedWrites() async throws {
        try await TestSwarm.with(quotas: [1_000_000, 1_000_000]) { (swarm: TestSwarm) async throws in
            let blob = BlobIDs.shared.next()
            let address = swarm.slaves[0].address
            func status(_ token: String?) async throws -> Int {
                let pipe = BytePipe(capacity: 10)
                pipe.finish()
                return try await swarm.peers.upload(
                    "http://\(address)/v1/blobs/\(blob)", length: 0, headers: [], body: pipe, token: token,
                    idle: .seconds(5)
                ).status
            }
            #expect(try await status(nil) == 401)
            #expect(try await status(try swarm.token()) == 403)
            let other = try await swarm.grant(blob, [1])
            #expect(try await status(try swarm.keys.sign(.write(other, lifetime: .seconds(60)))) == 403)
            let wrong = try await swarm.put(blob, [1], to: [0], headers: [("brim-checksum", "crc32c:00000000")])
            #expect(wrong.status == 400 && !swarm.slaves[0].holds(blob))
            let longer = try await swarm.put(
                blob, bytes(20), to: [0, 1], chunked: true, grant: try await swarm.grant(blob, [0, 1], size: 10))
            #expect(longer.status == 400, "\(String(buffer: longer.body))")
            let shorter = try await swarm.put(
                blob, bytes(5), to: [0, 1], chunked: true, grant: try await swarm.grant(blob, [0, 1], size: 10))
            #expect(shorter.status == 400)
            #expect(!swarm.slaves[0].holds(blob) && !swarm.slaves[1].holds(blob))
            #expect(try await swarm.slaves[0].service.usage.used == 0)
            #expect(swarm.master.state.commits.isEmpty)
        }
    }

    @Test("A commit that is refused since it was entered before, and overwritten, leaves the blob")
    func refusedAfterItWasEntered() async throws {
        try await TestSwarm.with(quotas: [1_000_000]) { (swarm: TestSwarm) async throws in
            swarm.master.set {
                $0.commitError = BrimError(.conflict, "belongs to an old version", retryable: false)
                $0.confirmPending = true
            }
            let blob = BlobIDs.shared.next()
            #expect(try await swarm.put(blob, bytes(10), to: [0]).status == 409)
            #expect(swarm.master.state.pending == [blob])
            #expect(swarm.slaves[0].holds(blob))
        }
    }

    @Test("A refused commit leaves nothing; an unanswered one leaves the blob pending until a master decides")
    func commitOutcomes() async throws {
        try await TestSwarm.with(quotas: [1_000_000]) {
            $0.pendingExpiry = .milliseconds(500)
        } _: { (swarm: TestSwarm) async throws in
            swarm.master.set {
                $0.commitError = BrimError(.precondition, "changed")
                $0.confirmPending = false
            }
            let refused = BlobIDs.shared.next()
            let answer = try await swarm.put(refused, bytes(10), to: [0])
            #expect(answer.status == 412 && !swarm.slaves[0].holds(refused))

            swarm.master.set {
                $0.commitError = BrimError(.unavailable, "no database")
                $0.confirmPending = false
            }
            let unknown = BlobIDs.shared.next()
            #expect(try await swarm.put(unknown, bytes(10), to: [0]).status == 503)
            #expect(swarm.slaves[0].holds(unknown))
            try await eventually("dropped") { !swarm.slaves[0].holds(unknown) }
            try await eventually("told") { swarm.master.state.deleted.contains(unknown) }
            #expect(try await swarm.slaves[0].service.usage.used == 0)

            swarm.master.set { $0.confirmPending = true }
            let kept = BlobIDs.shared.next()
            #expect(try await swarm.put(kept, bytes(10), to: [0]).status == 503)
            try await eventually("confirmed") { try await swarm.row(kept, on: 0)?.state == .confirmed }
            #expect(swarm.slaves[0].holds(kept))
        }
    }

    @Test func sentAgain() async throws {
        try await TestSwarm.with(quotas: [1_000_000, 1_000_000]) { (swarm: TestSwarm) async throws in
            let blob = BlobIDs.shared.next()
            #expect(try await swarm.put(blob, bytes(70_000), to: [0, 1]).status == 201)
            #expect(try await swarm.put(blob, bytes(70_000), to: [0, 1]).status == 200)
            #expect(try await swarm.put(blob, bytes(70_000, seed: 2), to: [0, 1]).status == 409)
            #expect(try await swarm.get(blob, from: 1).body == bytes(70_000))
            #expect(try await swarm.slaves[0].service.usage.used == 70_000)
        }
    }

    @Test("A client that breaks off leaves nothing behind")
    func cutOff() async throws {
        try await TestSwarm.with(quotas: [10_000_000, 10_000_000]) { (swarm: TestSwarm) async throws in
            let blob = BlobIDs.shared.next()
            let token = try swarm.keys.sign(.write(try await swarm.grant(blob, [0, 1]), lifetime: .seconds(60)))
            let pipe = BytePipe(capacity: 1 << 30)
            _ = await pipe.send(ByteBuffer(bytes: bytes(900_000)))
            async let ended = failure {
                _ = try await swarm.peers.upload(
                    "http://\(swarm.slaves[0].address)/v1/blobs/\(blob)?token=\(token)", length: 1_000_000, headers: [],
                    body: pipe, token: nil, idle: .seconds(5))
            }
            try await eventually("it has begun on both") {
                let first = try await swarm.slaves[0].service.usage.reserved
                let second = try await swarm.slaves[1].service.usage.reserved
                return first > 0 && second > 0
            }
            pipe.finish(throwing: BrimError(.invalid, "unplugged"))
            #expect(await ended == .invalid)
            for slave in swarm.slaves {
                try await eventually("nothing remains") {
                    let usage = try await slave.service.usage
                    return try usage.used == 0 && slave.temporary.names("incoming").isEmpty && !slave.holds(blob)
                }
            }
        }
    }
}
