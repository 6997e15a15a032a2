import BrimModel

/// How fast what is stored grows, and when there will be no room any more for one copy of each file beyond the wanted ones.
public struct Growth: Sendable, Hashable {
    /// What was stored at one time.
    public struct Sample: Sendable, Hashable {
        public var at: Timestamp
        /// Readable files.
        public var files: Int64
        /// Bytes of each file once.
        public var bytes: Int64
        /// The same times the file's n.
        public var wanted: Int64

        public init(at: Timestamp, files: Int64, bytes: Int64, wanted: Int64) {
            self.at = at
            self.files = files
            self.bytes = bytes
            self.wanted = wanted
        }

        /// Bytes that all files take when each has a surplus of 1.
        public var safe: Int64 { wanted + bytes }
    }

    /// Less than this between the first sample and the last says nothing yet.
    public static let shortest = Duration.seconds(86_400)
    /// Older ones say little of what is going on now.
    public static let window = Duration.seconds(30 * 86_400)

    /// Bytes per day by which that grows which all files take with a surplus of 1; may be negative.
    public var bytesPerDay: Double
    /// Of the oldest sample that was used.
    public var since: Timestamp
    /// When min(k − n) can be 1 no more; nil when it never will be at this rate.
    public var exhausted: Timestamp?

    /// The line of least squares through the samples of the last 30 days; nil when these are not a day apart yet.
    ///
    /// - Parameters:
    ///   - samples: in any order.
    ///   - capacity: bytes that servers may be filled with.
    public init?(samples: [Sample], capacity: Int64) {
        let sorted = samples.sorted { $0.at < $1.at }
        guard let last = sorted.last else { return nil }
        let used = sorted.filter { last.at.seconds - $0.at.seconds <= Self.window.components.seconds }
        guard let first = used.first, last.at.seconds - first.at.seconds >= Self.shortest.components.seconds else {
            return nil
        }
        let days = used.map { Double($0.at.seconds - first.at.seconds) / 86_400 }
        let bytes = used.map { Double($0.safe) }
        let (meanDays, meanBytes) = (Self.mean(days), Self.mean(bytes))
        let spread = days.reduce(0) { $0 + ($1 - meanDays) * ($1 - meanDays) }
        bytesPerDay = zip(days, bytes).reduce(0) { $0 + ($1.0 - meanDays) * ($1.1 - meanBytes) } / spread
        since = first.at
        exhausted = Self.end(of: Double(capacity) - Double(last.safe), at: bytesPerDay, from: last.at)
    }

    private static func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(values.count) }

    /// When so many bytes are used up; the day itself when they are already.
    private static func end(of room: Double, at bytesPerDay: Double, from: Timestamp) -> Timestamp? {
        if room < 0 { return from }
        guard bytesPerDay > 0 else { return nil }
        let seconds = room / bytesPerDay * 86_400
        // Beyond that no date means anything.
        guard seconds < 1000 * 365 * 86_400 else { return nil }
        return Timestamp(seconds: from.seconds + Int64(seconds), nanoseconds: 0)
    }
}
