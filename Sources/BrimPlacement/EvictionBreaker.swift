/// Stops copies from being given up, and unknown blobs from being deleted, at a rate that nothing explains.
///
/// By design every copy that is given up serves something: a write, a quota that was cut, files that have fewer copies.
/// If a fault should ever make that go round in circles this is what ends it. What happens to a swarm explains as many bytes
/// of copies as it may displace (`explain`); a copy given up beyond that counts, and when more than `limit` of these come
/// within `window` it opens: nothing is given up without an explanation until a person resets it, or nobody has wanted to for
/// a whole window. The process of giving up ends by itself, and when it has (`rested`) what was explained is done with.
///
/// A pure value; time is a parameter everywhere.
public struct EvictionBreaker: Sendable {
    public typealias Instant = ContinuousClock.Instant

    /// Copies that may be given up within a window without an explanation: so many, or this share of all, whichever is more.
    public var copies: Int
    public var share: Double
    /// The time over which copies are counted, and after which an open breaker that nobody strains closes.
    public var window: Duration

    /// Since when it is open; nil while it is closed.
    public private(set) var openSince: Instant?
    /// The copies that opened it.
    public private(set) var excess = 0
    /// Bytes of copies that what happened lately may displace.
    private(set) var explained: Int64 = 0
    private var lastExplained: Instant?
    private var lastWanted: Instant?
    /// What was given up within the window without an explanation, oldest first; bounded by joining what comes together.
    private var given: [(at: Instant, copies: Int)] = []

    public init(copies: Int = 1000, share: Double = 0.1, window: Duration = .seconds(600)) {
        self.copies = copies
        self.share = share
        self.window = window
    }

    public var isOpen: Bool { openSince != nil }

    /// Whether it is of any use to ask: closed, or something happened since that explains what is given up.
    public var mayAdmit: Bool { !isOpen || explained > 0 }

    /// Copies that are too many within a window, where there are `all`.
    public func limit(of all: Int64) -> Int { max(copies, Int(Double(all) * share)) }

    // MARK: - Events

    /// Something happened that may displace so many bytes of copies: a write may displace its size on each server.
    public mutating func explain(_ bytes: Int64, at now: Instant) {
        let (sum, overflow) = explained.addingReportingOverflow(max(0, bytes))
        explained = overflow ? .max : sum
        lastExplained = now
    }

    /// Something happened that may displace anything once: a server came or went, a person changed a quota or a setting.
    /// `stored` are the bytes of all copies.
    public mutating func explainAll(stored: Int64, at now: Instant) {
        explained = max(explained, stored)
        lastExplained = now
    }

    /// No step is left to be done. What was explained a window ago or earlier has had its effect.
    public mutating func rested(at now: Instant) {
        if let lastExplained, lastExplained.duration(to: now) >= window { explained = 0 }
    }

    /// Whether copies may be given up. They count as given up if so. `all` are the copies of all files.
    public mutating func admits(copies count: Int, bytes: Int64, of all: Int64, at now: Instant) -> Bool {
        guard count > 0 else { return true }
        if bytes <= explained {
            explained -= bytes
            return true
        }
        lastWanted = now
        guard !isOpen else {
            // What is left explains less than is wanted.
            explained = 0
            return false
        }
        given.removeAll { $0.at.duration(to: now) >= window }
        let sum = given.reduce(count) { $0 + $1.copies }
        guard sum <= limit(of: all) else {
            openSince = now
            excess = sum
            given = []
            return false
        }
        if let last = given.last, last.at.duration(to: now) < window / 100 {
            given[given.count - 1].copies += count
        } else {
            given.append((now, count))
        }
        return true
    }

    /// Copies would be given up if it were not open.
    public mutating func wanted(at now: Instant) { lastWanted = now }

    /// True when it closes because nobody has wanted to give anything up for a whole window.
    public mutating func closesQuietly(at now: Instant) -> Bool {
        guard let openSince, max(openSince, lastWanted ?? openSince).duration(to: now) >= window else { return false }
        reset()
        return true
    }

    /// A person says that all is well.
    public mutating func reset() {
        openSince = nil
        excess = 0
        given = []
    }

    /// As another master left it.
    public mutating func reopen(excess: Int, at now: Instant) {
        guard !isOpen else { return }
        openSince = now
        self.excess = excess
    }
}
