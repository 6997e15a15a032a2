import BrimModel
import Testing

@testable import BrimPlacement

/// Room is neither counted twice nor forgotten, whatever the order in which a slave's words arrive.
@Suite struct LedgerTests {
    private let file = needy(1, size: 4, on: "a")

    /// b holds 10 of 20; the copy of 4 bytes is ordered.
    private func ordered(giving victims: [Victim] = []) -> (Planner, CopyPlan) {
        var planner = makePlanner(server("a"), server("b", quota: 20))
        planner.heard(usage(1, used: 10), from: name("b"))
        let plan = CopyPlan(file: file, target: name("b"), sources: [name("a")], victims: victims)
        planner.ordered(plan)
        return (planner, plan)
    }

    private func room(_ planner: Planner) -> Int64? {
        planner.ledger.accounts[name("b")].map { $0.room(below: $0.server.quota) }
    }

    @Test func anOrderIsPromisedUntilItsAnswer() {
        var (planner, plan) = ordered()
        #expect(room(planner) == 6)
        planner.acknowledged(plan, usage: usage(2, used: 14))
        #expect(room(planner) == 6)
        planner.acknowledged(plan, usage: usage(2, used: 14))
        #expect(room(planner) == 6, "answered twice")
        planner.completed(plan)
        #expect(room(planner) == 6)
        #expect(planner.copiesUnderWay == 0)
    }

    @Test func anOlderHeartbeatDoesNotTakeTheAnswerBack() {
        var (planner, plan) = ordered()
        planner.acknowledged(plan, usage: usage(3, used: 14))
        planner.heard(usage(2, used: 10), from: name("b"))
        #expect(room(planner) == 6)
        var stale = server("b", quota: 20)
        (stale.usageBoot, stale.usageCount, stale.used) = ("boot", 2, 10)
        planner.update(servers: [server("a"), stale])
        #expect(room(planner) == 6)
        #expect(planner.server(name("b"))?.used == 14)
        planner.heard(usage(0, used: 3, boot: "next"), from: name("b"))
        #expect(room(planner) == 17, "a new start counts from 0")
    }

    /// Whoever hears of it: a word that comes again later says nothing new.
    @Test func moreRoomIsNewsOnce() {
        var planner = makePlanner(server("b", quota: 20))
        func isNews(_ change: (inout Planner) -> Void) -> Bool {
            change(&planner)
            return planner.takeNews()
        }
        _ = isNews { $0.heard(usage(1, used: 10), from: name("b")) }
        let (less, more, again) = (
            isNews { $0.heard(usage(2, used: 12), from: name("b")) },
            isNews { $0.heard(usage(3, used: 5), from: name("b")) },
            isNews { $0.heard(usage(3, used: 5), from: name("b")) }
        )
        #expect(!less && more && !again)
        // The documents may show it first, and the heartbeat nothing new then.
        func document(_ count: Int64, used: Int64) -> [ServerSnapshot] {
            var server = server("b", quota: 20)
            (server.usageBoot, server.usageCount, server.used) = ("boot", count, used)
            return [server]
        }
        let (fuller, roomier, repeated) = (
            isNews { $0.update(servers: document(4, used: 6)) },
            isNews { $0.update(servers: document(5, used: 3)) },
            isNews { $0.heard(usage(5, used: 3), from: name("b")) }
        )
        #expect(!fuller && roomier && !repeated)
        let granted = isNews { $0.granted("w", size: 4, on: [name("b")], until: .now + .seconds(10)) }
        // With the bytes of the write, and yet less than before.
        let stored = isNews { $0.writeStored("w", usages: [name("b"): usage(4, used: 6)]) }
        #expect(!granted && stored)
    }

    @Test func withoutAUsageItSettles() {
        var (planner, plan) = ordered()
        planner.acknowledged(plan, usage: nil)
        #expect(room(planner) == 6)
        planner.heard(usage(2, used: 14), from: name("b"))
        #expect(room(planner) == 6)
        (planner, plan) = ordered()
        planner.completed(plan)
        #expect(room(planner) == 6, "completed before the answer came")
        planner.heard(usage(2, used: 14), from: name("b"))
        #expect(room(planner) == 6)
    }

    @Test func failureTakesThePromiseBack() {
        var (planner, plan) = ordered()
        planner.failed(plan)
        #expect(room(planner) == 10)
        planner.failed(plan)
        planner.completed(plan)
        planner.acknowledged(plan, usage: nil)
        #expect(room(planner) == 10, "an ended plan is over")
    }

    @Test func victimsOfAPlanPayForItOnly() {
        let given = victim(2, size: 6, surplus: 5, on: "a", "b")
        var (planner, plan) = ordered(giving: [given])
        #expect(room(planner) == 10, "what they free beyond the copy is not counted before it is free")
        #expect(planner.bytesToFree(for: needy(3, size: 12, on: "a"), on: name("b")) == 0, "but it is on its way")
        planner.acknowledged(plan, usage: usage(2, used: 8))
        #expect(room(planner) == 12)
    }

    /// A plan that failed before its answer came, and the same plan once more: the late answer is not the second's.
    @Test func aLateAnswerIsNotTakenForAnotherPlans() throws {
        var planner = makePlanner(server("a"), server("b", quota: 20, used: 10))
        let first = try #require(planner.place(file).plan)
        planner.ordered(first)
        planner.failed(first)
        planner.forgetRound()
        let second = try #require(planner.place(file).plan)
        planner.ordered(second)
        planner.acknowledged(first, usage: nil)
        planner.failed(first)
        #expect(planner.underWay(FileID(1)) == second)
        #expect(room(planner) == 6)
    }

    @Test func aLostServerOwesNothing() {
        var (planner, plan) = ordered(giving: [victim(2, size: 6, surplus: 5, on: "a", "b")])
        planner.ordered(EvictionPlan(server: name("b"), victims: [victim(3, on: "a", "b")]))
        #expect(planner.lost(name("b")) == [plan])
        #expect(planner.lost(name("b")).isEmpty)
        #expect(room(planner) == 10)
        #expect(planner.ledger.accounts.values.allSatisfy { $0.isIdle })
    }

    @Test func serversThatGoKeepTheirAccountWhileSomethingIsUnderWay() {
        var (planner, plan) = ordered()
        planner.update(servers: [server("a")])
        #expect(planner.place(needy(5, on: "a")) == .capped)
        planner.completed(plan)
        planner.update(servers: [server("a")])
        #expect(planner.server(name("b")) == nil)
    }
}
