import BrimModel
import BrimWire
import Foundation
import NIOCore
import Testing

@testable import BrimSlave

extension SwarmTests {
    @Test("Orders: evict and pull from another server; repeated ones have no effect, lower terms are refused")
    func orders() async throws {
        try await TestSwarm.with(quotas: [1_000_000, 250_000]) { (swarm: TestSwarm) async throws in
            let url = try await swarm.master.url
            let (wanted, victim) = (BlobIDs.shared.next(), BlobIDs.shared.next())
            let content = bytes(200_000)
            #expect(try await swarm.put(wanted, content, to: [0]).status == 201)
            #expect(try await swarm.put(victim, bytes(100_000), to: [1]).status == 201)
            let pull = try swarm.pull(wanted, content, from: [0])

            let full = try await swarm.order(
                1, OrderBatch(term: 5, orders: [Order(sequence: 1, evict: [], pull: pull)], leader: url))
            #expect(full.refused.map(\.sequence) == [1] && full.refused.first?.error.code == .full)

            let batch = OrderBatch(term: 5, orders: [Order(sequence: 2, evict: [victim], pull: pull)], leader: url)
            let reply = try await swarm.order(1, batch)
            #expect(reply.refused.isEmpty && reply.usage.used == 200_000)
            #expect(!swarm.slaves[1].holds(victim))
            try await eventually("completed") { swarm.master.state.completions.count == 1 }
            let item = try #require(swarm.master.state.completions.first)
            #expect(item.error == nil && item.blob == wanted && item.sequence == 2)
            try await eventually("confirmed") { try await swarm.row(wanted, on: 1)?.state == .confirmed }
            #expect(try await swarm.get(wanted, from: 1).body == content)

            _ = try await swarm.order(
                1, OrderBatch(term: 5, orders: [Order(sequence: 3, evict: [wanted])], leader: url))
            #expect(!swarm.slaves[1].holds(wanted))
            let again = try await swarm.order(1, batch)
            #expect(again.refused.isEmpty && again.usage.used == 0)
            #expect(
                await failure { _ = try await swarm.order(1, OrderBatch(term: 4, orders: [], leader: url)) }
                    == .conflict)
            #expect(swarm.master.state.completions.count == 1)
        }
    }

    @Test("A pull goes on to the next source, and names the ones that were bad")
    func badSources() async throws {
        try await TestSwarm.with(quotas: [1_000_000, 1_000_000, 1_000_000]) { (swarm: TestSwarm) async throws in
            let url = try await swarm.master.url
            let blob = BlobIDs.shared.next()
            let content = bytes(150_000)
            #expect(try await swarm.put(blob, content, to: [0]).status == 201)
            // Server 1 does not have it.
            let pull = try swarm.pull(blob, content, from: [1, 0])
            _ = try await swarm.order(
                2, OrderBatch(term: 1, orders: [Order(sequence: 1, evict: [], pull: pull)], leader: url))
            try await eventually("completed") { swarm.master.state.completions.count == 1 }
            let item = try #require(swarm.master.state.completions.first)
            #expect(item.error == nil && item.badSources == [swarm.slaves[1].name])
            #expect(try await swarm.get(blob, from: 2).body == content)

            let other = try swarm.pull(BlobIDs.shared.next(), content, from: [1])
            _ = try await swarm.order(
                2, OrderBatch(term: 1, orders: [Order(sequence: 2, evict: [], pull: other)], leader: url))
            try await eventually("failed") { swarm.master.state.completions.count == 2 }
            #expect(swarm.master.state.completions.last?.error != nil)
            #expect(try await swarm.slaves[2].service.usage.used == 150_000)
        }
    }

    @Test func discardedPull() async throws {
        try await TestSwarm.with(quotas: [1_000_000, 1_000_000]) { (swarm: TestSwarm) async throws in
            let url = try await swarm.master.url
            let blob = BlobIDs.shared.next()
            #expect(try await swarm.put(blob, bytes(1000), to: [0]).status == 201)
            swarm.master.set { $0.discard = true }
            let pull = try swarm.pull(blob, bytes(1000), from: [0])
            _ = try await swarm.order(
                1, OrderBatch(term: 1, orders: [Order(sequence: 1, evict: [], pull: pull)], leader: url))
            try await eventually("discarded") {
                let used = try await swarm.slaves[1].service.usage.used
                return swarm.master.state.completions.count == 1 && used == 0
            }
            try await eventually("gone") { !swarm.slaves[1].holds(blob) }
        }
    }

    /// What is kept was given up since, and pulled again for nothing.
    @Test func anAnswerThatComesLateSaysNothingOfALaterCopy() async throws {
        try await TestSwarm.with(quotas: [1_000_000, 1_000_000]) { (swarm: TestSwarm) async throws in
            let url = try await swarm.master.url
            let blob = BlobIDs.shared.next()
            #expect(try await swarm.put(blob, bytes(1000), to: [0]).status == 201)
            let pull = try swarm.pull(blob, bytes(1000), from: [0])
            func order(_ sequence: Int64, evict: [BlobID] = [], pull: Order.Pull? = nil) async throws {
                let orders = [Order(sequence: sequence, evict: evict, pull: pull)]
                let reply = try await swarm.order(1, OrderBatch(term: 1, orders: orders, leader: url))
                #expect(reply.refused.isEmpty)
            }
            let late = Latch<Void>()
            swarm.master.set { $0.beforeCompletion = { if $0.sequence == 1 { try await late.get() } } }
            try await order(1, pull: pull)
            try await eventually("told") { swarm.master.state.completions.map(\.sequence) == [1] }
            try await order(2, evict: [blob])
            #expect(!swarm.slaves[1].holds(blob))
            try await order(3, pull: pull)
            try await eventually("there again") { try await swarm.row(blob, on: 1) != nil }
            swarm.master.set { $0.discard = true }
            late.set(.success(()))
            try await eventually("discarded") {
                let used = try await swarm.slaves[1].service.usage.used
                return swarm.master.state.completions.map(\.sequence) == [1, 3] && used == 0
            }
            #expect(!swarm.slaves[1].holds(blob))
        }
    }

    @Test("A damaged byte is never served: the blob is set aside and reported")
    func damage() async throws {
        try await TestSwarm.with(quotas: [10_000_000, 10_000_000]) { (swarm: TestSwarm) async throws in
            for place in [10, 1_200_000] {
                let blob = BlobIDs.shared.next()
                var content = bytes(1_300_000, seed: UInt64(place))
                #expect(try await swarm.put(blob, content, to: [0]).status == 201)
                let before = try await swarm.slaves[0].service.usage
                content[place] ^= 0x40
                let file = try FileHandle(forWritingTo: URL(fileURLWithPath: swarm.slaves[0].path(blob)))
                try file.seek(toOffset: UInt64(place))
                try file.write(contentsOf: [content[place]])
                try file.close()
                let healthy = place < 65_536 ? "bytes=65536-131071" : "bytes=0-65535"
                #expect(try await swarm.get(blob, from: 0, headers: [("range", healthy)]).body.count == 65_536)
                #expect(await failure { _ = try await swarm.get(blob, from: 0) } != nil)
                try await eventually("reported") { swarm.master.state.lost.contains(blob) }
                #expect(!swarm.slaves[0].holds(blob))
                let quarantined = try swarm.slaves[0].temporary.names("quarantine")
                #expect(quarantined.contains { $0.hasPrefix("\(blob).") })
                #expect(try await swarm.row(blob, on: 0) == nil)
                #expect(await failure { _ = try await swarm.get(blob, from: 0) } == .notFound)
                let after = try await swarm.slaves[0].service.usage
                #expect(after.used == before.used && after.files == before.files - 1)
            }
        }
    }

    @Test func missingFile() async throws {
        try await TestSwarm.with(quotas: [10_000_000]) { (swarm: TestSwarm) async throws in
            let blob = BlobIDs.shared.next()
            #expect(try await swarm.put(blob, bytes(10), to: [0]).status == 201)
            try POSIX.unlink(swarm.slaves[0].path(blob))
            #expect(await failure { _ = try await swarm.get(blob, from: 0) } == .corrupt)
            try await eventually("reported") { swarm.master.state.lost == [blob] }
            #expect(try await swarm.slaves[0].service.usage.used == 0)
        }
    }
}
