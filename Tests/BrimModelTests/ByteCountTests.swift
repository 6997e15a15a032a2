import BrimModel
import Testing

struct ByteCountTests {
    @Test(arguments: [
        ("0", 0), ("10", 10), ("10B", 10), ("1K", 1000), ("1k", 1000), ("1kB", 1000), ("1KiB", 1024), ("1kib", 1024),
        ("1.5G", 1_500_000_000), ("64 KiB", 65536), ("2T", 2_000_000_000_000), ("1TiB", 1 << 40), ("1MiB", 1 << 20),
        ("1GiB", 1 << 30), ("0.5K", 500), (".5K", 500), ("9007199254740993", 9_007_199_254_740_993),
        ("9223372036854775807", Int64.max),
    ])
    func parses(text: String, bytes: Int64) throws {
        #expect(try ByteCount.parse(text) == bytes)
    }

    @Test(arguments: [
        "", "x", "-1", "1X", "1KK", "1..5G", "K", "1 K K", "1e3", "9223372036854775808", "9300000T", "１", "0x10", "inf",
        "nan",
    ])
    func refuses(text: String) {
        #expect(#expect(throws: BrimError.self) { try ByteCount.parse(text) }?.code == .invalid)
    }

    @Test(arguments: [
        (0, "0 B"), (10, "10 B"), (999, "999 B"), (1000, "1.0 kB"), (1050, "1.05 kB"), (9994, "9.99 kB"),
        (9996, "10.0 kB"), (99_940, "99.9 kB"), (100_000, "100 kB"), (999_400, "999 kB"), (999_600, "1.0 MB"),
        (1_073_741_824, "1.07 GB"), (-1500, "-1.5 kB"), (Int64.max, "9.22 EB"), (Int64.min, "-9.22 EB"),
    ])
    func formats(bytes: Int64, text: String) {
        #expect(ByteCount.format(bytes) == text)
    }

    @Test(arguments: [
        ("500ms", 500), ("3s", 3000), ("5m", 300_000), ("1h", 3_600_000), ("30d", 2_592_000_000), ("1.5s", 1500),
        ("0s", 0),
    ])
    func durations(text: String, milliseconds: Int64) throws {
        #expect(try DurationText.parse(text) == .milliseconds(milliseconds))
    }

    @Test(arguments: ["", "3", "s", "-3s", "3 s", "3S", "1y", "1m30s", "99999999999999d"])
    func refusesDurations(text: String) {
        #expect(#expect(throws: BrimError.self) { try DurationText.parse(text) }?.code == .invalid)
    }

    @Test func durationsRoundTrip() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = Random(seed: seed)
        for _ in 0..<1000 {
            let unit = [1, 1000, 60_000, 3_600_000, 86_400_000].randomElement(using: &random) ?? 1
            let duration = Duration.milliseconds(Int64.random(in: 0...5000, using: &random) * Int64(unit))
            #expect(try DurationText.parse(DurationText.format(duration)) == duration, "seed \(seed)")
        }
        #expect(DurationText.format(.seconds(300)) == "5m")
        #expect(DurationText.format(.seconds(90)) == "90s")
        #expect(DurationText.format(.zero) == "0ms")
        #expect(DurationText.format(.microseconds(500)) == "0ms")
    }

    @Test(arguments: [
        ("2%", 98, 980), ("7%", 93, 930), ("0.5%", 100, 995), ("0", 100, 1000), ("0%", 100, 1000), ("100%", 0, 0),
        ("30", 70, 970), ("1K", 0, 0),
    ])
    func headroom(text: String, brimOf100: Int64, brimOf1000: Int64) throws {
        let headroom = try Headroom(parsing: text)
        #expect(headroom.brim(ofQuota: 100) == brimOf100)
        #expect(headroom.brim(ofQuota: 1000) == brimOf1000)
        #expect(try Headroom(parsing: headroom.description) == headroom)
        #expect(headroom.brim(ofQuota: 0) == 0)
        for quota: Int64 in [1, 7, 10, 49, 50, 51, Int64.max / 2] {
            #expect((0...quota).contains(headroom.brim(ofQuota: quota)))
        }
    }

    @Test(arguments: ["", "%", "-1%", "101%", "x", "2 %%", "nan%"]) func refusesHeadroom(text: String) {
        #expect(#expect(throws: BrimError.self) { try Headroom(parsing: text) }?.code == .invalid)
    }
}
