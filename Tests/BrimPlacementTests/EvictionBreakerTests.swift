import BrimPlacement
import Testing

@Suite struct EvictionBreakerTests {
    private let start = ContinuousClock.now

    private func at(_ seconds: Int) -> ContinuousClock.Instant { start + .seconds(seconds) }

    /// One copy of ten bytes each second.
    private func flood(_ breaker: inout EvictionBreaker, from: Int, count: Int, of all: Int64 = 100) -> Int {
        (0..<count).count { breaker.admits(copies: 1, bytes: 10, of: all, at: at(from + $0)) }
    }

    private func admits(_ breaker: inout EvictionBreaker, _ copies: Int, bytes: Int64, at second: Int) -> Bool {
        breaker.admits(copies: copies, bytes: bytes, of: 100, at: at(second))
    }

    private func closes(_ breaker: inout EvictionBreaker, at second: Int) -> Bool {
        breaker.closesQuietly(at: at(second))
    }

    @Test func opensBeyondTheLimitWithinAWindow() {
        var breaker = EvictionBreaker(copies: 20, share: 0.1)
        #expect(flood(&breaker, from: 0, count: 20) == 20)
        #expect(!breaker.isOpen)
        #expect(flood(&breaker, from: 20, count: 5) == 0)
        #expect(breaker.isOpen)
        #expect(breaker.excess == 21)
    }

    @Test func theLimitIsTheGreaterOfNumberAndShare() {
        let breaker = EvictionBreaker(copies: 1000, share: 0.1)
        #expect(breaker.limit(of: 0) == 1000)
        #expect(breaker.limit(of: 50_000) == 5000)
        var many = EvictionBreaker(copies: 20, share: 0.1)
        #expect(flood(&many, from: 0, count: 60, of: 500) == 50)
    }

    @Test func slowlyAnythingMayGo() {
        var breaker = EvictionBreaker(copies: 20, share: 0)
        for round in 0..<50 { #expect(flood(&breaker, from: round * 600, count: 20) == 20) }
        #expect(!breaker.isOpen)
    }

    @Test func whatIsExplainedDoesNotCount() {
        var breaker = EvictionBreaker(copies: 20, share: 0)
        // A new server, or a quota that was cut: all may move once.
        breaker.explainAll(stored: 10_000, at: at(0))
        #expect(flood(&breaker, from: 0, count: 1000) == 1000)
        #expect(!breaker.isOpen)
        // Then it has been used up.
        #expect(flood(&breaker, from: 1000, count: 100) == 20)
        #expect(breaker.isOpen)
    }

    @Test func aWriteExplainsWhatItDisplaces() {
        var breaker = EvictionBreaker(copies: 5, share: 0)
        for second in 0..<500 {
            breaker.explain(30, at: at(second))
            #expect(admits(&breaker, 3, bytes: 30, at: second))
        }
        #expect(!breaker.isOpen)
        breaker.explain(.max, at: at(501))
        breaker.explain(.max, at: at(501))
        #expect(admits(&breaker, 1000, bytes: 1 << 40, at: 502))
    }

    @Test func anExplanationEndsWhenAllIsAtRest() {
        var breaker = EvictionBreaker(copies: 20, share: 0)
        breaker.explainAll(stored: 10_000, at: at(0))
        // Rest that comes at once may have come before its effect.
        breaker.rested(at: at(1))
        #expect(flood(&breaker, from: 2, count: 40) == 40)
        breaker.rested(at: at(600))
        #expect(flood(&breaker, from: 601, count: 40) == 20)
    }

    @Test func explainedOnesGoWhileItIsOpen() {
        var breaker = EvictionBreaker(copies: 1, share: 0)
        _ = flood(&breaker, from: 0, count: 3)
        #expect(breaker.isOpen)
        #expect(!breaker.mayAdmit)
        breaker.explain(100, at: at(4))
        #expect(breaker.mayAdmit)
        #expect(admits(&breaker, 5, bytes: 100, at: 5))
        #expect(!admits(&breaker, 1, bytes: 1, at: 6))
        // What explains too little is of no use.
        breaker.explain(100, at: at(7))
        #expect(!admits(&breaker, 1, bytes: 101, at: 8))
        #expect(!breaker.mayAdmit)
    }

    @Test func closesWhenNobodyStrainsItAndWhenAPersonSaysSo() {
        var breaker = EvictionBreaker(copies: 1, share: 0)
        _ = flood(&breaker, from: 0, count: 3)
        #expect(!closes(&breaker, at: 500))
        breaker.wanted(at: at(500))
        #expect(!closes(&breaker, at: 1000))
        #expect(closes(&breaker, at: 1100))
        #expect(!breaker.isOpen)
        #expect(flood(&breaker, from: 1100, count: 3) == 1)
        breaker.reset()
        #expect(admits(&breaker, 1, bytes: 1, at: 1104))
    }

    @Test func opensAgainAsAnotherLeftIt() {
        var breaker = EvictionBreaker()
        breaker.reopen(excess: 7, at: at(0))
        #expect(breaker.isOpen && breaker.excess == 7)
        #expect(!admits(&breaker, 1, bytes: 1, at: 1))
        #expect(admits(&breaker, 0, bytes: 0, at: 1))
    }
}
