import Testing

@testable import MongoDriver

/// The pool's decisions, without threads, network or waiting.
@Suite struct PoolStateTests {
    let now = ContinuousClock.now

    func makeState(size: Int = 2, maxWaiting: Int = 2) -> PoolState {
        PoolState(size: size, maxWaiting: maxWaiting, waitLimit: .seconds(10))
    }

    @Test func slotsThenLineThenRefusal() {
        var state = makeState()
        #expect(state.admit(1, at: now) == .start(slot: 0))
        #expect(state.admit(2, at: now) == .start(slot: 1))
        #expect(state.admit(3, at: now) == .wait(timer: now + .seconds(10)))
        #expect(state.admit(4, at: now) == .wait(timer: nil))
        #expect(state.admit(5, at: now) == .refuseFull)
        #expect(state.waiting == 2)
        #expect(state.finish(slot: 1, keepsLease: false) == .start(3))
        #expect(state.slots == [.busy, .busy])
        #expect(state.finish(slot: 0, keepsLease: false) == .start(4))
        #expect(state.finish(slot: 0, keepsLease: false) == .nothing)
        #expect(state.slots == [.idle, .busy])
    }

    @Test func theSlotUsedLastComesFirst() {
        var state = makeState(size: 3)
        #expect(state.admit(1, at: now) == .start(slot: 0))
        #expect(state.finish(slot: 0, keepsLease: false) == .nothing)
        #expect(state.admit(2, at: now) == .start(slot: 0))
    }

    @Test func leases() {
        var state = makeState(size: 1)
        #expect(state.admit(1, at: now) == .start(slot: 0))
        #expect(state.finish(slot: 0, keepsLease: true) == .nothing)
        #expect(state.count(.leased) == 1)
        #expect(state.admit(2, at: now) == .wait(timer: now + .seconds(10)))
        let resumed = state.resume(slot: 0)
        #expect(resumed)
        let resumedTwice = state.resume(slot: 0)
        #expect(!resumedTwice)
        #expect(state.finish(slot: 0, keepsLease: false) == .start(2))
    }

    @Test func cancelling() {
        var state = makeState(size: 1)
        _ = state.admit(1, at: now)
        _ = state.admit(2, at: now)
        _ = state.admit(3, at: now)
        let left = state.cancel(2)
        #expect(left)
        let leftTwice = state.cancel(2)
        #expect(!leftTwice)
        let leftWhileRunning = state.cancel(1)
        #expect(!leftWhileRunning)
        #expect(state.finish(slot: 0, keepsLease: false) == .start(3))
    }

    @Test func expiring() {
        var state = makeState(size: 1, maxWaiting: 10)
        _ = state.admit(1, at: now)
        #expect(state.admit(2, at: now) == .wait(timer: now + .seconds(10)))
        #expect(state.admit(3, at: now + .seconds(4)) == .wait(timer: nil))
        var (expired, timer) = state.expire(at: now + .seconds(10))
        #expect(expired == [2])
        #expect(timer == now + .seconds(14))
        (expired, timer) = state.expire(at: now + .seconds(14))
        #expect(expired == [3])
        #expect(timer == nil)
        #expect(state.admit(4, at: now + .seconds(20)) == .wait(timer: now + .seconds(30)))
    }

    @Test func closing() {
        var state = makeState(size: 3)
        _ = state.admit(1, at: now)
        _ = state.admit(2, at: now)
        _ = state.admit(3, at: now)
        _ = state.admit(4, at: now)
        #expect(state.finish(slot: 1, keepsLease: false) == .start(4))
        #expect(state.finish(slot: 2, keepsLease: true) == .nothing)
        _ = state.admit(5, at: now)
        #expect(state.finish(slot: 1, keepsLease: false) == .start(5))
        _ = state.admit(6, at: now)
        let closing = state.close()
        #expect(closing.waiters == [6])
        #expect(closing.slots == [2])
        #expect(state.phase == .closing)
        #expect(state.admit(7, at: now) == .refuseClosed)
        let resumedAfterClosing = state.resume(slot: 2)
        #expect(!resumedAfterClosing)
        #expect(state.finish(slot: 0, keepsLease: true) == .stop)
        #expect(state.finish(slot: 1, keepsLease: false) == .stop)
        #expect(state.slots == [.stopped, .stopped, .stopped])
        #expect(state.close() == PoolState.Closing())
    }
}
