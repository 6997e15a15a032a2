import BrimMetadata
import BrimModel

extension MetadataConformance {
    static let servers: [MetadataConformance] = [
        MetadataConformance("join: down at first, refreshed later, another id refused") { f in
            let first = try await f.join(f.bravo, quota: 500, used: 7)
            try expectEqual(first.state, .down)
            try expectEqual(first.quota, 500)
            try expectEqual(first.usage.used, 7)
            try expectEqual(first.load, ServerLoad())
            try expectEqual(first.recount, nil)
            try expectEqual(first.report, nil)
            try await f.join(f.alpha)
            try await expectError(.exists) { try await f.join(f.bravo, id: "another") }
            try expect(try await f.store.setState(f.bravo, from: .down, to: .up, term: 1), "the state was down")
            let again = try await f.join(f.bravo, quota: 500, boot: "b2", used: 9)
            try expectEqual(again.state, .up)
            try expectEqual(again.usage.used, 9)
            try expectEqual(again.usage.boot, "b2")
            try expectEqual(try await f.store.servers().map(\.name), [f.alpha, f.bravo])
            try expectEqual(try await f.store.servers()[1], again)
            try await expectError(.invalid) { try await f.join(f.charlie, quota: -1) }
        },
        MetadataConformance("quota: what is requested anew counts, the same request leaves what was set") { f in
            try await f.join(f.alpha, quota: 500)
            try await f.store.setQuota(f.alpha, 900)
            try expectEqual(try await f.join(f.alpha, quota: 500).quota, 900)
            try expectEqual(try await f.join(f.alpha, quota: 600).quota, 600)
            try expectEqual(try await f.join(f.alpha, quota: 600).requestedQuota, 600)
            try await expectError(.notFound) { try await f.store.setQuota(f.delta, 1) }
            try await expectError(.invalid) { try await f.store.setQuota(f.alpha, -1) }
            try await f.store.setQuota(f.alpha, 0)
            try expectEqual(try await f.store.servers()[0].quota, 0)
        },
        MetadataConformance("heartbeats: of the right server, older words of one start are not news") { f in
            try await f.join(f.alpha, count: 5, used: 50)
            func beat(id: String = "id", boot: String = "b1", _ count: Int64, at: Int64) async throws {
                try await f.store.noteHeartbeat(
                    f.alpha, id: id, usage: ConformanceFixture.usage(boot: boot, count: count, used: count * 10),
                    load: ServerLoad(cpu: 0.5, network: 0.25, disk: 1, transfers: 3),
                    at: Timestamp(seconds: at, nanoseconds: 5))
            }
            try await beat(7, at: 1_900_000_000)
            var alpha = try await f.store.servers()[0]
            try expectEqual(alpha.usage.used, 70)
            try expectEqual(alpha.load, ServerLoad(cpu: 0.5, network: 0.25, disk: 1, transfers: 3))
            try expectEqual(alpha.heartbeat, Timestamp(seconds: 1_900_000_000, nanoseconds: 5))
            try await beat(6, at: 1_900_000_001)
            alpha = try await f.store.servers()[0]
            try expectEqual(alpha.usage.used, 70)
            try expectEqual(alpha.heartbeat.seconds, 1_900_000_001)
            try await beat(boot: "b2", 0, at: 1_900_000_002)
            try expectEqual(try await f.store.servers()[0].usage.used, 0)
            try await expectError(.notFound) { try await beat(id: "another", 9, at: 1_900_000_003) }
            try await expectError(.notFound) {
                try await f.store.noteHeartbeat(
                    f.delta, id: "id", usage: ConformanceFixture.usage(count: 1, used: 1), load: ServerLoad(), at: .now)
            }
        },
        MetadataConformance("states change from what they are") { f in
            try await f.join(f.alpha)
            try expect(try await !f.store.setState(f.alpha, from: .up, to: .suspect, term: 1), "it was not up")
            try expect(try await f.store.setState(f.alpha, from: .down, to: .up, term: 1), "it was down")
            try expectEqual(try await f.store.servers()[0].state, .up)
            try expect(try await !f.store.setState(f.delta, from: .up, to: .down, term: 1), "there is no delta")
        },
        MetadataConformance("reports") { f in
            try await f.join(f.alpha)
            let time = Timestamp(seconds: 1_900_000_000, nanoseconds: 999_999_999)
            try await f.store.noteReport(f.alpha, at: time)
            try expectEqual(try await f.store.servers()[0].report, time)
            try await expectError(.notFound) { try await f.store.noteReport(f.delta, at: time) }
        },
        MetadataConformance("views carry epochs; those of an old term are refused") { f in
            try expectEqual(try await f.store.view(), ServerView(epoch: 0, counted: [], readable: [], up: []))
            let first = try await f.store.beginTerm(holder: "master-1")
            let view = try await f.store.publishView(
                counted: [f.alpha], readable: [f.alpha, f.bravo], up: [f.alpha], term: first)
            try expectEqual(
                view, ServerView(epoch: 1, counted: [f.alpha], readable: [f.alpha, f.bravo], up: [f.alpha]))
            try expectEqual(try await f.store.view(), view)
            let second = try await f.store.beginTerm(holder: "master-2")
            try expect(second > first, "terms rise")
            try await expectError(.conflict) {
                _ = try await f.store.publishView(counted: [], readable: [], up: [], term: first)
            }
            try expectEqual(try await f.store.view(), view)
            try expectEqual(
                try await f.store.publishView(counted: [], readable: [], up: [], term: second).epoch, 2)
        },
    ]
}
