import Foundation

/// How much a file is read: whole files' worth of bytes within about a day, a week and a month, each the sum of all reads
/// with weights that fall off exponentially with their age (`exp(−age/window)`). So a file read once a day comes to about
/// 1, 7 and 30.
public struct ReadRates: Sendable, Hashable, Codable {
    public var day: Double
    public var week: Double
    public var month: Double

    public init(day: Double = 0, week: Double = 0, month: Double = 0) {
        self.day = day
        self.week = week
        self.month = month
    }

    /// So much later.
    public func decayed(by duration: Duration) -> ReadRates {
        let days = max(0, duration.inSeconds) / 86_400
        return ReadRates(day: day * exp(-days), week: week * exp(-days / 7), month: month * exp(-days / 30))
    }

    /// With more reads, of now.
    public func adding(_ reads: Double) -> ReadRates {
        ReadRates(day: day + reads, week: week + reads, month: month + reads)
    }

    /// Too little to matter.
    public var isNegligible: Bool { month < 0.05 }
}

/// What was measured of a file, and when.
public struct MeasuredReads: Sendable, Hashable {
    public var rates: ReadRates
    public var at: Timestamp

    public init(_ rates: ReadRates, at: Timestamp) {
        self.rates = rates
        self.at = at
    }

    /// As it is by then.
    public func rates(at time: Timestamp) -> ReadRates { rates.decayed(by: time.since(at)) }
}
