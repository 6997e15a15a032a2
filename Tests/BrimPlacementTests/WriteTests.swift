import BrimModel
import Testing

@testable import BrimPlacement

@Suite struct WriteTests {
    @Test func theClientsMachineFirstThenOtherZonesThenTheEmptiest() {
        let planner = makePlanner(
            server("a", zone: "x", used: 90), server("b", zone: "x"), server("c", zone: "y", used: 50),
            server("d", zone: "z", used: 40), server("e", receives: false))
        #expect(planner.roomForWrite(size: 1, copies: 3, n: 3, near: [name("a")]).names == ["a", "d", "c"])
        #expect(planner.roomForWrite(size: 1, copies: 2, n: 3).names == ["b", "d"])
        #expect(planner.roomForWrite(size: 1, copies: 4, n: 4).names == ["b", "d", "c", "a"])
        #expect(planner.roomForWrite(size: 1, copies: 2, n: 3, excluding: [name("b")]).names == ["d", "c"])
        #expect(planner.roomForWrite(size: 1, copies: 5, n: 5) == .tooFewServers(available: 4))
    }

    @Test func writesMayUseTheHeadroom() {
        let planner = makePlanner(server("a", quota: 10, brim: 5, used: 7))
        #expect(planner.roomForWrite(size: 3, copies: 1, n: 1).names == ["a"])
        #expect(planner.roomForWrite(size: 4, copies: 1, n: 1).shortage?.missing == 1)
    }

    @Test func copiesAreGivenUpByTheSameBounds() {
        let planner = makePlanner(
            floor: -1000, server("a"), server("b", quota: 10, used: 10), server("c", quota: 10, used: 10))
        func place(b: Int, c: Int) -> [WriteTarget]? {
            planner.roomForWrite(size: 2, copies: 2, n: 3, excluding: [name("a")]) { server in
                server == name("b")
                    ? [victim(1, size: 2, surplus: b, on: "a", "b")] : [victim(2, size: 2, surplus: c, on: "a", "c")]
            }
            .targets
        }
        // The copies raise the new file from −3 to −2 and from −2 to −1: the victims keep at least that.
        #expect(place(b: -1, c: 0)?.map(\.leastVictimSurplus).sorted() == [-1, 0])
        #expect(place(b: 0, c: -1)?.first { $0.leastVictimSurplus == 0 }?.server == name("b"))
        #expect(place(b: -1, c: -1) == nil)
        #expect(place(b: -2, c: 5) == nil)
        var floored = planner
        floored.floor = 0
        let targets = floored.roomForWrite(size: 2, copies: 1, n: 3) { _ in [] }.targets
        #expect(targets == [WriteTarget(server: name("a"), leastVictimSurplus: 1)])
    }

    @Test func oneVictimIsNotCountedForTwoTargets() {
        let planner = makePlanner(server("a"), server("b", quota: 10, used: 10), server("c", quota: 10, used: 10))
        func place(surplus: Int) -> [String]? {
            planner.roomForWrite(size: 2, copies: 2, n: 2, excluding: [name("a")]) { _ in
                [victim(1, size: 2, surplus: surplus, on: "a", "b", "c")]
            }
            .names?.sorted()
        }
        #expect(place(surplus: 2) == ["b", "c"])
        #expect(place(surplus: 1) == nil)
    }

    @Test func theShortageTellsWhatIsMissing() throws {
        let planner = makePlanner(
            server("a", quota: 10, used: 4), server("b", quota: 10, used: 8), server("c", quota: 5, used: 5))
        let shortage = try #require(planner.roomForWrite(size: 6, copies: 2, n: 2).shortage)
        #expect(shortage == Shortage(copies: 2, placeable: 1, missing: 4, candidates: [name("b")]))
        let less = planner.roomForWrite(size: 6, copies: 2, n: 2) { _ in
            [victim(1, size: 3, surplus: 2, on: "a", "b")]
        }
        #expect(less.shortage?.missing == 1)
        #expect(planner.roomForWrite(size: 20, copies: 1, n: 1).shortage?.candidates == [])
    }

    @Test func whatTheServerReservesForAWriteIsNotHeldTwice() {
        var planner = makePlanner(server("a", quota: 10))
        let until = ContinuousClock.now + .seconds(10)
        func fits(_ size: Int64) -> Bool { planner.roomForWrite(size: size, copies: 1, n: 1).targets != nil }
        planner.heard(usage(1, used: 0), from: name("a"))
        planner.granted("v", size: 4, on: [name("a")], until: until)
        #expect(fits(6) && !fits(7))
        planner.heard(usage(2, used: 4, writing: 4), from: name("a"))
        #expect(fits(6) && !fits(7), "it has begun")
        #expect(!planner.isUnsettled([name("a")]))
        planner.granted("w", size: 3, on: [name("a")], until: until)
        #expect(fits(3) && !fits(4), "another has not begun")
        planner.writeEnded("v")
        #expect(fits(3) && !fits(4))
        planner.heard(usage(3, used: 4), from: name("a"))
        #expect(fits(3) && !fits(4), "what was reserved is stored")
        planner.heard(usage(4, used: 9, writing: 5), from: name("a"))
        #expect(fits(1) && !fits(2), "a write that grew beyond what was granted")
    }

    /// Bytes that a write could still have, where 4 of the 10 are granted for one write.
    private func room(after events: (inout Planner) -> Void) -> Int64? {
        var planner = makePlanner(server("a", quota: 10))
        planner.heard(usage(1, used: 0), from: name("a"))
        planner.granted("w", size: 4, on: [name("a")], until: .now + .seconds(10))
        events(&planner)
        return (0...10).last { planner.roomForWrite(size: $0, copies: 1, n: 1).targets != nil }
    }

    @Test func whatIsStoredIsCountedOnceWhicheverComesFirst() {
        let (stored, other) = ([name("a"): usage(3, used: 4)], usage(4, used: 5))
        #expect(room { $0.heard(stored[name("a")] ?? other, from: name("a")) } == 2, "it might be another write's")
        #expect(
            room {
                $0.heard(usage(3, used: 4), from: name("a"))
                $0.writeStored("w", usages: stored)
            } == 6, "the heartbeat first")
        #expect(
            room {
                $0.writeStored("w", usages: stored)
                $0.heard(usage(2, used: 4, writing: 4), from: name("a"))
                $0.writeEnded("w")
            } == 6, "the commit first, and an older heartbeat")
        #expect(
            room {
                $0.heard(other, from: name("a"))
                $0.writeStored("w", usages: stored)
                $0.writeEnded("w")
            } == 5, "another write was stored since")
        #expect(
            room {
                $0.granted("v", size: 3, on: [name("a")], until: .now + .seconds(10))
                $0.writeStored("w", usages: stored)
                $0.writeStored("w", usages: stored)
            } == 3, "only its own room is free again")
    }

    @Test func wordsOfAnEarlierStartSayNothing() {
        #expect(
            room {
                $0.writeStored("w", usages: [name("a"): usage(9, used: 1, boot: "earlier")])
                $0.writeEnded("w")
            } == 6)
        #expect(
            room {
                $0.writeStored("w", usages: [name("a"): usage(9, used: 4, boot: "earlier")])
                $0.writeEnded("w")
                $0.heard(usage(2, used: 4), from: name("a"))
            } == 6)
    }

    /// The word that comes with a write may show what an order did, or not.
    @Test func whileOrdersAreNotAnsweredAWriteWaitsForTheAnswer() {
        let order = EvictionPlan(server: name("a"), victims: [victim(9, size: 2, surplus: 5, on: "a", "b")])
        #expect(
            room {
                $0.heard(usage(2, used: 5), from: name("a"))
                $0.ordered(order)
                $0.writeStored("w", usages: [name("a"): usage(4, used: 7)])
                $0.writeEnded("w")
            } == 3, "what is deleted counts once")
        #expect(
            room {
                $0.heard(usage(2, used: 5), from: name("a"))
                $0.ordered(order)
                $0.writeStored("w", usages: [name("a"): usage(4, used: 7)])
                $0.writeEnded("w")
                $0.acknowledged(order, usage: usage(4, used: 7))
            } == 3)
        #expect(
            room {
                $0.heard(usage(2, used: 5), from: name("a"))
                $0.ordered(order)
                $0.writeStored("w", usages: [name("a"): usage(4, used: 7)])
                $0.acknowledged(order, usage: usage(3, used: 3))
            } == 3, "the answer is older than what was stored")
    }

    @Test func whatIsRevokedIsFreeAtOnce() {
        #expect(room { $0.writeEnded("w") } == 6, "perhaps it was stored")
        #expect(room { $0.writeRevoked("w") } == 10)
        var planner = makePlanner(server("a", quota: 10))
        planner.heard(usage(1, used: 0), from: name("a"))
        planner.granted("w", size: 4, on: [name("a")], until: .now + .seconds(10))
        #expect(planner.awaitingWord([name("a")]) == [] && planner.isUnsettled([name("a")]))
        planner.writeEnded("w")
        #expect(planner.awaitingWord([name("a"), name("unknown")]) == [name("a")])
        planner.heard(usage(1, used: 0), from: name("a"))
        #expect(planner.awaitingWord([name("a")]) == [])
    }

    @Test func grantedRoomIsHeldUntilItIsSeenOrExpires() {
        var planner = makePlanner(server("a", quota: 10))
        let start = ContinuousClock.now
        func fits(_ size: Int64) -> Bool { planner.roomForWrite(size: size, copies: 1, n: 1).targets != nil }
        planner.heard(usage(1, used: 0), from: name("a"))
        planner.granted("w", size: 6, on: [name("a"), name("unknown")], until: start + .seconds(10))
        planner.granted("w", size: 6, on: [name("a")], until: start + .seconds(10))
        #expect(fits(4) && !fits(5))
        planner.heard(usage(2, used: 0), from: name("a"))
        #expect(!fits(5))
        planner.writeEnded("w")
        #expect(!fits(5), "committed, but the server has not said so yet")
        planner.heard(usage(1, used: 0), from: name("a"))
        #expect(!fits(5), "an older word")
        planner.heard(usage(3, used: 6), from: name("a"))
        #expect(fits(4) && !fits(5))

        planner.granted("v", size: 3, on: [name("a")], until: start + .seconds(10))
        #expect(planner.nextGrantExpiry == start + .seconds(10))
        planner.expireGrants(at: start + .seconds(9))
        #expect(!fits(2))
        planner.expireGrants(at: start + .seconds(10))
        #expect(fits(4))
        planner.writeEnded("v")
        #expect(fits(4))
    }
}
