import BrimModel
import Testing

@testable import BrimPlacement

@Suite struct EvictionTests {
    private func restore(_ planner: Planner, _ victims: Victim...) -> [Int64]? {
        planner.restoreHeadroom(on: name("b"), richest: victims)?.victims.map(\.file.rawValue)
    }

    @Test func downToTheBrimAndNoFurther() {
        let planner = makePlanner(server("a"), server("b", quota: 10, brim: 8, used: 9))
        #expect(planner.aboveBrim == [name("b")])
        #expect(restore(planner, victim(1, surplus: 1, on: "a", "b"), victim(2, surplus: 2, on: "a", "b")) == [2])
        let at = holding(used: 8)
        #expect(at.aboveBrim.isEmpty)
        #expect(restore(at, victim(1, surplus: 9, on: "a", "b")) == nil)
    }

    private func holding(floor: Int = 0, used: Int64) -> Planner {
        makePlanner(floor: floor, server("a"), server("b", quota: 10, brim: 8, used: used))
    }

    @Test func asFarAsPossible() {
        let planner = holding(used: 10)
        #expect(restore(planner, victim(1, surplus: 1, on: "a", "b"), victim(2, surplus: 0, on: "a", "b")) == [1])
        #expect(restore(planner, victim(2, surplus: 0, on: "a", "b")) == nil)
        #expect(restore(planner, victim(1, surplus: 5, on: "b")) == nil, "the last copy")
    }

    /// Else the copy would come right back into the headroom, for ever.
    @Test func filesAtRiskAreLeftAloneWhateverTheFloor() {
        let planner = holding(floor: -1000, used: 10)
        #expect(planner.headroomVictimSurplus(on: name("b")) == 1)
        #expect(restore(planner, victim(1, size: 2, surplus: 0, on: "a", "b")) == nil)
        #expect(restore(planner, victim(1, size: 2, surplus: 1, on: "a", "b")) == [1])
    }

    @Test func beyondTheQuotaOnlyTheFloorHolds() {
        let over = holding(floor: -1000, used: 12)
        #expect(over.headroomVictimSurplus(on: name("b")) == -999)
        #expect(restore(over, victim(1, size: 2, surplus: -5, on: "a", "b")) == [1])
        #expect(
            restore(over, victim(2, size: 3, surplus: 1, on: "a", "b"), victim(1, surplus: -5, on: "a", "b")) == [2])
        #expect(restore(holding(used: 12), victim(1, size: 2, surplus: 0, on: "a", "b")) == nil)
        #expect(restore(holding(floor: 1, used: 12), victim(1, size: 2, surplus: 1, on: "a", "b")) == nil)
    }

    @Test func deletionsUnderWayAreTakenOff() {
        var planner = holding(used: 10)
        let plan = EvictionPlan(server: name("b"), victims: [victim(1, size: 2, surplus: 5, on: "a", "b")])
        planner.ordered(plan)
        #expect(planner.aboveBrim.isEmpty)
        #expect(restore(planner, victim(2, size: 2, surplus: 5, on: "a", "b")) == nil)
        planner.failed(plan)
        #expect(planner.aboveBrim == [name("b")])
    }

    @Test func roomForAWriteUnderWay() {
        var planner = holding(used: 10)
        func ask(_ bytes: Int64, raisingTo surplus: Int = 0, _ victims: Victim...) -> [Int64]? {
            planner.roomOnRequest(bytes: bytes, on: name("b"), raisingTo: surplus, richest: victims)?
                .victims.map(\.file.rawValue)
        }
        #expect(ask(2, victim(1, size: 3, surplus: 1, on: "a", "b")) == [1])
        #expect(ask(4, victim(1, size: 3, surplus: 1, on: "a", "b")) == nil)
        #expect(ask(2, victim(1, size: 3, surplus: 0, on: "a", "b")) == nil)
        #expect(ask(2, victim(1, size: 3, surplus: 0, on: "b")) == nil)
        planner.floor = -1000
        #expect(ask(2, victim(1, size: 3, surplus: 0, on: "a", "b")) == nil)
        #expect(ask(2, raisingTo: -1, victim(1, size: 3, surplus: 0, on: "a", "b")) == [1])
        planner.ordered(EvictionPlan(server: name("b"), victims: [victim(7, size: 2, on: "a", "b")]))
        #expect(ask(2) == [], "room is on its way")
    }

    @Test func rest() {
        let full = makePlanner(
            server("a", quota: 10, brim: 9, used: 9), server("b", quota: 10, brim: 9, used: 9),
            server("c", receives: false))
        func atRest(_ level: Int, smallest: Int64 = 1, _ a: Int64, _ b: Int64) -> Bool {
            full.atRest(level: level, smallest: smallest, givable: [name("a"): a, name("b"): b, name("c"): 99])
        }
        #expect(atRest(0, 0, 0))
        #expect(!atRest(0, 0, 1), "an exchange may be legal")
        #expect(atRest(0, smallest: 5, 4, 4), "what may go is too little for the smallest file")
        #expect(!atRest(0, smallest: 5, 4, 5))
        #expect(atRest(-1, smallest: 2, 0, 0))
        #expect(!atRest(-1, smallest: 2, 0, 1), "with what is free it is enough")
        #expect(!atRest(-1, smallest: 1, 0, 0), "headroom is for files at risk")
        #expect(atRest(0, smallest: 10, 99, 99), "larger than any brim")
        #expect(full.atRest(level: 0, smallest: 1, givable: [:]))
        #expect(full.lacking(level: 0, size: 4) == [name("a"): 4, name("b"): 4])
        #expect(full.lacking(level: -1, size: 4) == [name("a"): 3, name("b"): 3])
        #expect(full.lacking(level: 0, size: 10) == [:])
    }
}
