import BrimModel
import BrimPlacement
import Testing

@Suite struct GrowthTests {
    private static let day: Int64 = 86_400
    private static let start: Int64 = 1_800_000_000

    private static func sample(day: Double, safe: Int64) -> Growth.Sample {
        Growth.Sample(
            at: Timestamp(seconds: start + Int64(day * Double(Self.day)), nanoseconds: 0), files: 1, bytes: safe / 4,
            wanted: safe - safe / 4)
    }

    @Test func steadyGrowthEndsWhenRoomIsUsedUp() throws {
        let samples = (0...10).map { Self.sample(day: Double($0), safe: 1000 + 100 * Int64($0)) }
        let growth = try #require(Growth(samples: samples.shuffled(), capacity: 3000))
        #expect(abs(growth.bytesPerDay - 100) < 1e-6)
        #expect(growth.since == samples[0].at)
        // 1000 bytes are left on day 10.
        #expect(growth.exhausted?.seconds == Self.start + 20 * Self.day)
    }

    @Test func whatIsStoredByDayAndRemovedByNightIsNoGrowth() throws {
        let samples = (0..<96).map { Self.sample(day: Double($0) / 4, safe: 1000 + ($0 % 4 < 2 ? 0 : 200)) }
        let growth = try #require(Growth(samples: samples, capacity: 2000))
        #expect(abs(growth.bytesPerDay) < 2)
    }

    @Test func lessAndLessNeverEnds() throws {
        let samples = (0...5).map { Self.sample(day: Double($0), safe: 1000 - 100 * Int64($0)) }
        let growth = try #require(Growth(samples: samples, capacity: 2000))
        #expect(growth.bytesPerDay < 0 && growth.exhausted == nil)
    }

    @Test func tooSlowToMatter() throws {
        let samples = [Self.sample(day: 0, safe: 1000), Self.sample(day: 20, safe: 1004)]
        let growth = try #require(Growth(samples: samples, capacity: 1 << 60))
        #expect(growth.bytesPerDay > 0 && growth.exhausted == nil)
    }

    @Test func thereMayBeNoRoomNow() throws {
        let samples = (0...3).map { Self.sample(day: Double($0), safe: 1000 + 100 * Int64($0)) }
        #expect(Growth(samples: samples, capacity: 1200)?.exhausted == samples[3].at)
    }

    @Test func aFewHoursSayNothing() {
        #expect(Growth(samples: [], capacity: 10) == nil)
        #expect(Growth(samples: [Self.sample(day: 0, safe: 4)], capacity: 10) == nil)
        let hours = (0..<20).map { Self.sample(day: Double($0) / 24, safe: 4) }
        #expect(Growth(samples: hours, capacity: 10) == nil)
    }

    /// A swarm that was filled months ago and grows slowly now.
    @Test func onlyTheLastMonthCounts() throws {
        let samples =
            [Self.sample(day: 0, safe: 0), Self.sample(day: 1, safe: 1_000_000)]
            + (0...30).map { Self.sample(day: 60 + Double($0), safe: 1_000_000 + 4 * Int64($0)) }
        let growth = try #require(Growth(samples: samples, capacity: 1_001_200))
        #expect(abs(growth.bytesPerDay - 4) < 0.2)
        #expect(growth.since == samples[2].at)
    }
}
