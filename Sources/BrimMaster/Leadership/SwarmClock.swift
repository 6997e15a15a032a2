import BrimModel
import Synchronization

/// The time that all masters go by: each by its own clock, unless that is far off the others'. So one wrong clock neither
/// has tokens refused nor makes anything older than it is. Steady time and waiting are never touched.
package final class SwarmClock: BrimClock {
    /// Smaller changes of what is wrong are left alone: a comparison is only as exact as the database was quick.
    private static let grain = Duration.seconds(1)

    private let base: any BrimClock
    private let correction = Mutex(Duration.zero)

    package init(_ base: any BrimClock = SystemClock()) { self.base = base }

    package var now: ContinuousClock.Instant { base.now }
    package var timestamp: Timestamp { own.adding(correction.withLock { $0 }) }
    package func sleep(for duration: Duration) async throws { try await base.sleep(for: duration) }

    /// What the machine's clock says, right or wrong.
    var own: Timestamp { base.timestamp }

    /// Goes by its own clock and this much more from now on. Answers whether it went by its own alone before, or does now,
    /// and the other way round.
    func correct(by new: Duration) -> Bool {
        correction.withLock { old in
            let isNews = (old == .zero) != (new == .zero)
            if isNews || abs(new - old) > Self.grain { old = new }
            return isNews
        }
    }
}

/// The clocks of the masters that live, compared with the database's.
struct MasterClocks: Sendable {
    /// Clocks that differ by no more are taken to agree.
    static let tolerance = Duration.seconds(10)

    /// By how much each master's clock is ahead of the database's, by the master's URL.
    let ahead: [String: Duration]
    /// What ``right`` was while there was more than one master.
    var known: Duration?

    /// By how much the right time is ahead of the database's: the middle of all clocks. Where there is none in the middle
    /// of the masters', the database's is one of them. One that is left alone goes on by what was right.
    var right: Duration {
        if let known, ahead.count <= 1 { return known }
        var clocks = Array(ahead.values)
        if clocks.count.isMultiple(of: 2) { clocks.append(.zero) }
        return clocks.sorted()[clocks.count / 2]
    }

    /// What a master whose clock is so much ahead of the database's has to add to it.
    func correction(ofOneAhead ahead: Duration) -> Duration {
        let wrong = ahead - right
        return abs(wrong) > Self.tolerance ? .zero - wrong : .zero
    }

    /// What a person should know.
    var warnings: [String] {
        var warnings = ahead.sorted { $0.key < $1.key }.compactMap { url, ahead in
            Self.difference(ahead - right).map {
                "the clock of the master \(url) is \($0) the others, by which it goes: set that machine's clock"
            }
        }
        if let difference = Self.difference(right) {
            let masters = ahead.count == 1 ? "the master's" : "the masters'"
            warnings.append("\(masters) clock is \(difference) that of MongoDB's primary: set the one that is wrong")
        }
        return warnings
    }

    /// `2h ahead of` or `90s behind`; nil for clocks that agree.
    static func difference(_ ahead: Duration) -> String? {
        guard abs(ahead) > tolerance else { return nil }
        let seconds = abs(ahead).wholeMilliseconds / 1000
        let rounded = seconds < 600 ? seconds : (seconds + 30) / 60 * 60
        return "\(DurationText.format(.seconds(rounded))) \(ahead > .zero ? "ahead of" : "behind")"
    }
}

private func abs(_ duration: Duration) -> Duration { duration < .zero ? .zero - duration : duration }
