import BrimMetadata
import BrimModel

extension MetadataConformance {
    /// Longer than a check takes.
    private static let long = Duration.seconds(3600)
    private static let short = Duration.milliseconds(50)

    static let requests: [MetadataConformance] = [
        MetadataConformance("a request that carries an id is carried out once") { f in
            func again(_ request: String, _ entry: Entry?, _ body: () async throws -> Void) async throws {
                guard case .done(let done) = try await f.store.outcome(of: request) else {
                    throw ConformanceFailure(description: "\(request) was done")
                }
                try expectEqual(done?.id, entry?.id)
                try expectEqual(done?.name, entry?.name)
                try await expectError(.conflict, body)
            }
            try expectEqual(try await f.store.outcome(of: "1"), nil)
            func make(_ name: String, _ request: String) async throws -> Entry {
                try await f.store.create(
                    NewEntry(
                        place: f.place(name), type: .directory, mode: 0o755, modified: ConformanceFixture.time,
                        request: request))
            }
            let made = try await make("d", "1")
            try await again("1", made) { _ = try await make("d", "1") }
            // What it made is gone, and is not made again.
            _ = try await f.remove([made])
            try await again("1", made) { _ = try await make("d", "1") }

            // A request that failed may be tried again.
            try await f.directory("there")
            try await expectError(.exists) { _ = try await make("there", "2") }
            try expectEqual(try await f.store.outcome(of: "2"), nil)
            _ = try await make("here", "2")

            let file = try await f.file("f")
            func move(_ from: String, _ to: String) async throws -> Entry {
                try await f.store.rename(
                    file.id, from: f.place(from), to: f.place(to), path: "/\(to)", replace: false, view: f.view,
                    request: "3")
            }
            let moved = try await move("f", "g")
            try await again("3", moved) { _ = try await move("g", "f") }
            try expect(try await f.store.entry(at: f.place("g")) != nil, "it was moved once")

            let current = try await f.store.entry(file.id)
            let removal = Removal(try present(current), path: "/g")
            func remove() async throws -> [BrimError?] {
                try await f.store.remove([removal], now: false, view: f.view, request: "4")
            }
            try expectEqual(try await remove(), [nil])
            try await again("4", nil) { _ = try await remove() }
            func undelete() async throws -> Entry {
                try await f.store.undelete(file.id, to: f.place("g"), view: f.view, request: "5")
            }
            let undeleted = try await undelete()
            try await again("5", undeleted) { _ = try await undelete() }
        },
        MetadataConformance("a version is restored once for a request") { f in
            let first = try await f.file("f")
            try await f.file("f")
            _ = try await f.store.settleVersions(of: nil, limit: 10, view: f.view)
            let version = try await f.store.restore(1, of: first.id, view: f.view, request: "1").content?.version
            try expectEqual(version, 3)
            try await expectError(.conflict) {
                _ = try await f.store.restore(1, of: first.id, view: f.view, request: "1")
            }
            try expectEqual(try await f.store.entry(first.id)?.content?.version, 3)
        },
        MetadataConformance("a removal that does not take everything is not done") { f in
            let directory = try await f.directory("d")
            try await f.file("f", in: directory.id)
            let current = try present(try await f.store.entry(directory.id))
            let outcomes = try await f.store.remove(
                [Removal(current, path: "/d")], now: false, view: f.view, request: "1")
            try expectEqual(outcomes.map { $0?.code }, [.notEmpty])
            try expectEqual(try await f.store.outcome(of: "1"), nil)
        },
        MetadataConformance("a request that was refused is not carried out by anybody who is still at it") { f in
            let refusal = BrimError(.notFound, "/f does not exist", advice: "Look where it is")
            try expectEqual(try await f.store.refuse("1", with: refusal), .refused(refusal))
            let file = try await f.file("f")
            func move(_ request: String) async throws -> Entry {
                try await f.store.rename(
                    file.id, from: f.place("f"), to: f.place("g"), path: "/g", replace: false, view: f.view,
                    request: request)
            }
            try await expectError(.conflict) { _ = try await move("1") }
            try expect(try await f.store.entry(at: f.place("f")) != nil, "it was moved though that was refused")
            // The first outcome counts.
            let other = BrimError(.exists, "/g exists already")
            try expectEqual(try await f.store.refuse("1", with: other), .refused(refusal))
            try expectEqual(try await f.store.outcome(of: "1"), .refused(refusal))
            let moved = try await move("2")
            try expectEqual(try await f.store.refuse("2", with: other), .done(moved))
        },
    ]

    private static func present(_ entry: Entry?) throws -> Entry {
        guard let entry else { throw ConformanceFailure(description: "an entry is gone") }
        return entry
    }

    static let leases: [MetadataConformance] = [
        MetadataConformance("a lease is one master's until it ends; its term grows with each holder") { f in
            let first = try await f.store.acquireLease(holder: "a", url: "http://a:1", for: long)
            try expectEqual(first.holder, "a")
            try expectEqual(first.url, "http://a:1")
            try expect(first.term > 0 && first.left == long, "it begins")
            let second = try await f.store.acquireLease(holder: "b", url: "http://b:1", for: long)
            try expectEqual(second.holder, "a", "the holder for others")
            try expectEqual(second.url, "http://a:1")
            try expectEqual(second.term, first.term)
            try expect(second.left > .zero && second.left <= long, "it lasts still")
            try expect(try await f.store.renewLease(holder: "a", term: first.term, for: long), "its holder renews it")
            try expect(try await !f.store.renewLease(holder: "b", term: first.term, for: long), "b is not its holder")
            try await f.store.releaseLease(holder: "b", term: first.term)
            try expectEqual(
                try await f.store.acquireLease(holder: "b", url: "http://b:1", for: long).holder, "a",
                "the holder after another gave back what it had not")
            try await f.store.releaseLease(holder: "a", term: first.term)
            let third = try await f.store.acquireLease(holder: "b", url: "http://b:1", for: long)
            try expectEqual(third.holder, "b", "the holder after it was given back")
            try expect(third.term > first.term, "its term is later")
            try expect(try await !f.store.renewLease(holder: "a", term: first.term, for: long), "that term is over")
            try await f.store.releaseLease(holder: "a", term: first.term)
            try expectEqual(try await f.store.acquireLease(holder: "a", url: "http://a:1", for: long).term, third.term)
        },
        MetadataConformance("a lease runs out by the clock of the database") { f in
            let first = try await f.store.acquireLease(holder: "a", url: "http://a:1", for: short)
            var taken = try await f.store.acquireLease(holder: "b", url: "http://b:1", for: long)
            while taken.holder == "a" {
                try await Task.sleep(for: .milliseconds(10))
                taken = try await f.store.acquireLease(holder: "b", url: "http://b:1", for: long)
            }
            try expect(taken.term > first.term, "a new term")
            try expect(try await !f.store.renewLease(holder: "a", term: first.term, for: long), "it was too late")
            try await expectError(.conflict) {
                _ = try await f.store.publishView(counted: [], readable: [], up: [], term: first.term)
            }
        },
        MetadataConformance("who holds the lease and asks for it begins a new term") { f in
            let first = try await f.store.acquireLease(holder: "a", url: "http://a:1", for: long)
            let again = try await f.store.acquireLease(holder: "a", url: "http://a:2", for: long)
            try expect(again.term > first.term, "a later term")
            try expectEqual(again.url, "http://a:2")
            try expect(try await !f.store.renewLease(holder: "a", term: first.term, for: long), "the first is over")
            try expect(try await f.store.renewLease(holder: "a", term: again.term, for: long), "the second is not")
        },
        MetadataConformance("of many who ask at once one gets the lease") { f in
            let store = f.store
            let holders = try await withThrowingTaskGroup(of: LeadershipLease.self) { group in
                for number in 1...8 {
                    group.addTask {
                        try await store.acquireLease(holder: "m\(number)", url: "http://m\(number):1", for: long)
                    }
                }
                return try await group.reduce(into: Set<String>()) { $0.insert($1.holder) }
            }
            try expectEqual(holders.count, 1, "the number of holders")
        },
        MetadataConformance("judgements of earlier terms are refused once a leader has claimed the servers") { f in
            try await f.join(f.alpha)
            let first = try await f.store.beginTerm(holder: "a")
            try await f.store.claimServers(term: first)
            try expect(try await f.store.setState(f.alpha, from: .down, to: .up, term: first), "it was down")
            let second = try await f.store.beginTerm(holder: "b")
            try await f.store.claimServers(term: second)
            try await expectError(.conflict) {
                _ = try await f.store.setState(f.alpha, from: .up, to: .down, term: first)
            }
            // Claiming late takes nothing back.
            try await f.store.claimServers(term: first)
            try await expectError(.conflict) {
                _ = try await f.store.setState(f.alpha, from: .up, to: .down, term: first)
            }
            try expectEqual(try await f.store.servers()[0].state, .up)
            try expect(try await f.store.setState(f.alpha, from: .up, to: .suspect, term: second), "it was up")
            try expect(try await !f.store.setState(f.alpha, from: .up, to: .down, term: second), "it is suspect")
        },
        MetadataConformance("masters meet; one that left, or was started anew at its place, is not there any more") {
            f in
            let a = MasterHello(id: "1", url: "http://a:1", version: "x")
            let b = MasterHello(id: "2", url: "http://b:1", version: "y")
            try expectEqual(try await f.store.meetMasters(a).map(\.id), ["1"])
            let both = try await f.store.meetMasters(b)
            try expectEqual(both.map(\.url), ["http://a:1", "http://b:1"])
            try expectEqual(both.map(\.version), ["x", "y"])
            try expect(both.allSatisfy(\.isLive), "both were just heard of")
            try expect(both[0].started == both[0].heartbeat, "the first heartbeat was its start")
            let later = try await f.store.meetMasters(a)
            try expectEqual(later[0].started, both[0].started)
            try expect(later[0].heartbeat >= both[0].heartbeat, "heard of again")
            try expectEqual(try await f.store.masters().map(\.id), ["1", "2"])
            let anew = MasterHello(id: "3", url: "http://a:1", version: "z", ahead: .milliseconds(-7_200_500))
            try expectEqual(try await f.store.meetMasters(anew).map(\.id), ["2", "3"])
            try expectEqual(try await f.store.masters().map(\.ahead), [nil, .milliseconds(-7_200_500)])
            let right = MasterHello(id: "3", url: "http://a:1", version: "z")
            try expectEqual(try await f.store.meetMasters(right).map(\.ahead), [nil, nil])
            try await f.store.leaveMasters("2")
            try await f.store.leaveMasters("2")
            try expectEqual(try await f.store.meetMasters(anew).map(\.id), ["3"])
        },
    ]
}
