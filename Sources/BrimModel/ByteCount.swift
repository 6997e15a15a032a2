/// Sizes as people write them: K, M, G, T are powers of 1000, KiB … TiB of 1024, a bare number is bytes.
public enum ByteCount {
    private static let units: [(names: [String], bytes: Int64)] = [
        (["", "B"], 1), (["K", "KB"], 1000), (["M", "MB"], 1_000_000), (["G", "GB"], 1_000_000_000),
        (["T", "TB"], 1_000_000_000_000), (["KIB", "KI"], 1 << 10), (["MIB", "MI"], 1 << 20), (["GIB", "GI"], 1 << 30),
        (["TIB", "TI"], 1 << 40),
    ]

    /// Parses `10`, `1.5G`, `64 KiB`; units in either case. Throws `.invalid`.
    public static func parse(_ text: String) throws -> Int64 {
        let number = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        let unit = text.dropFirst(number.count).drop { $0 == " " }.uppercased()
        let factor = units.first { $0.names.contains(unit) }?.bytes
        // Whole numbers are exact; a Double would not be above 2^53.
        if let factor, let value = Int64(number) {
            let (bytes, overflow) = value.multipliedReportingOverflow(by: factor)
            if !overflow { return bytes }
        } else if let factor, let value = Double(number), value * Double(factor) < 9e18 {
            return Int64((value * Double(factor)).rounded(.down))
        }
        throw BrimError(.invalid, "'\(text)' is not a size", advice: "Write for example 500M, 2T, 64KiB or 1048576")
    }

    /// A size for people: three significant digits and a decimal unit, `1.05 GB`, `10 B`.
    public static func format(_ bytes: Int64) -> String {
        let names = ["B", "kB", "MB", "GB", "TB", "PB", "EB"]
        var value = Double(bytes)
        var unit = 0
        while abs(value) >= 999.5, unit < names.count - 1 {
            value /= 1000
            unit += 1
        }
        if unit == 0 { return "\(bytes) B" }
        let decimals: Double = abs(value) < 9.995 ? 100 : abs(value) < 99.95 ? 10 : 1
        let rounded = (value * decimals).rounded() / decimals
        let text = rounded == rounded.rounded() && decimals == 1 ? String(Int(rounded)) : String(rounded)
        return "\(text) \(names[unit])"
    }
}

/// Durations as people write them: `500ms`, `3s`, `5m`, `1h`, `30d`.
public enum DurationText {
    private static let units: [(name: String, milliseconds: Double)] = [
        ("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000),
    ]

    /// Parses a number with a unit. Throws `.invalid`, also for negative ones.
    public static func parse(_ text: String) throws -> Duration {
        let number = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        let unit = String(text.dropFirst(number.count))
        guard let value = Double(number), let factor = units.first(where: { $0.name == unit })?.milliseconds,
            value * factor < 1e15
        else {
            throw BrimError(.invalid, "'\(text)' is not a duration", advice: "Write for example 500ms, 3s, 5m or 1h")
        }
        return .milliseconds(Int64((value * factor).rounded()))
    }

    /// The shortest exact form: `500ms`, `3s`, `5m`.
    public static func format(_ duration: Duration) -> String {
        let milliseconds = duration.wholeMilliseconds
        for unit in units.reversed() where milliseconds != 0 && milliseconds % Int64(unit.milliseconds) == 0 {
            return "\(milliseconds / Int64(unit.milliseconds))\(unit.name)"
        }
        return "\(milliseconds)ms"
    }
}

extension Duration {
    /// The duration in whole milliseconds, rounded towards zero.
    public var wholeMilliseconds: Int64 {
        components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
    }

    /// The duration in seconds.
    public var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
