import BrimModel
import Foundation
import Testing

struct TimestampTests {
    @Test(arguments: [
        ("1970-01-01T00:00:00Z", 0, 0), ("2026-11-22T18:40:00.000000001Z", 1_795_372_800, 1),
        ("1969-12-31T23:59:59.500000000Z", -1, 500_000_000), ("1900-03-01T00:00:00Z", -2_203_891_200, 0),
        ("2000-02-29T12:00:00Z", 951_825_600, 0), ("0001-01-01T00:00:00Z", -62_135_596_800, 0),
        ("9999-12-31T23:59:59.999999999Z", 253_402_300_799, 999_999_999),
    ])
    func writesAndReads(text: String, seconds: Int64, nanoseconds: Int32) throws {
        let time = Timestamp(seconds: seconds, nanoseconds: nanoseconds)
        #expect(time.description == text)
        #expect(Timestamp(text) == time)
        #expect(try JSONDecoder().decode([Timestamp].self, from: try JSONEncoder().encode([time])) == [time])
    }

    @Test(arguments: [
        ("2026-11-22t18:40:00.5z", 500_000_000), ("2026-11-22 18:40:00.123Z", 123_000_000), ("2026-11-22T18:40:00Z", 0),
    ])
    func readsOtherForms(text: String, nanoseconds: Int32) {
        #expect(Timestamp(text) == Timestamp(seconds: 1_795_372_800, nanoseconds: nanoseconds))
    }

    @Test(arguments: [
        "", "2026", "2026-11-22", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-02-30T00:00:00Z",
        "2026-02-32T00:00:00Z", "2026-11-22T24:00:00Z", "2026-11-22T18:60:00Z", "2026-11-22T18:40:00.Z",
        "2026-11-22T18:40:00.1234567890Z", "2026-11-22T18:40:00", "2026-11-22T18:40:00+01:00x", "x2026-11-22T18:40:00Z",
    ])
    func refuses(text: String) {
        #expect(Timestamp(text) == nil)
    }

    @Test func randomTimesRoundTripInOrder() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = Random(seed: seed)
        for _ in 0..<2000 {
            let a = Timestamp(
                seconds: .random(in: -62_135_596_800...253_402_300_799, using: &random),
                nanoseconds: .random(in: 0...999_999_999, using: &random))
            #expect(Timestamp(a.description) == a, "seed \(seed)")
            let later = Timestamp(seconds: a.seconds, nanoseconds: a.nanoseconds + 1)
            #expect(a < later)
        }
    }

    @Test func nowIsNow() {
        #expect(abs(Timestamp.now.date.timeIntervalSinceNow) < 5)
    }
}
