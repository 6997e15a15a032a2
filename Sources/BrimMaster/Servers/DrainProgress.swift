import BrimMetadata
import BrimModel
import BrimWire
import Logging
import ServiceLifecycle

/// Counts, in the background, how much of each draining server is safe elsewhere. What is shown is the last count: no
/// look at the status costs a scan.
actor DrainProgress: Service {
    /// Copies looked at in one read.
    static let page = 2000
    /// Copies that are counted while somebody waits.
    static let atOnce: Int64 = 50_000
    /// A server's copies are counted anew this often, or after ten times as long as it took.
    static let interval = Duration.seconds(1)

    /// One complete count.
    private struct Count {
        var safeFiles: Int64 = 0
        var safeBytes: Int64 = 0
        var remainingFiles: Int64 = 0
        var remainingBytes: Int64 = 0
    }

    private struct Drain {
        var since: Timestamp
        var count: Count
        /// When it was counted.
        var at: ContinuousClock.Instant
        var cost: Duration
        /// Bytes per second, smoothed over about half a minute.
        var speed: Double
    }

    private let store: any MetadataStore
    private let roster: Roster
    private let maxCopies: Int
    private let logger: Logger
    private let clock: any BrimClock
    private let bell: Bell
    private var drains: [ServerName: Drain] = [:]

    init(
        store: any MetadataStore, roster: Roster, maxCopies: Int, clock: any BrimClock = SystemClock(),
        logger: Logger
    ) {
        self.store = store
        self.roster = roster
        self.maxCopies = maxCopies
        self.clock = clock
        bell = Bell(clock: clock)
        self.logger = logger
    }

    func run() async throws {
        while await bell.wait(atMost: Self.interval) {
            let records = await roster.records.filter { $0.drain != nil }
            let names = Set(records.map(\.name))
            drains = drains.filter { names.contains($0.key) }
            for record in records where isDue(record) {
                do {
                    try await count(record.name)
                } catch {
                    logger.debug(
                        "a drain cannot be measured", metadata: ["server.name": "\(record.name)", "error": "\(error)"])
                }
            }
        }
    }

    /// A server began to drain. One of usual size is counted before this returns, so that the next status is right.
    func begin(_ name: ServerName) async {
        guard let files = await roster.record(name)?.usage.files, files <= Self.atOnce else { return bell.ring() }
        do {
            try await count(name)
        } catch {
            logger.debug("a drain cannot be measured", metadata: ["server.name": "\(name)", "error": "\(error)"])
        }
    }

    /// As it was counted last; nil for a server that is not draining. Before the first count nothing is known to be safe.
    func status(of record: ServerRecord) -> DrainStatus? {
        guard let since = record.drain else { return nil }
        guard let drain = drains[record.name], drain.since == since else {
            return DrainStatus(
                since: since, state: record.state, safeFiles: 0, safeBytes: 0, remainingFiles: record.usage.files,
                remainingBytes: record.usage.used, bytesPerSecond: 0, etaSeconds: nil)
        }
        let left = drain.count.remainingBytes
        let speed = Int64(drain.speed.rounded())
        let eta = drain.count.remainingFiles == 0 ? 0 : speed > 0 ? (left + speed - 1) / speed : nil
        return DrainStatus(
            since: since, state: record.state, safeFiles: drain.count.safeFiles, safeBytes: drain.count.safeBytes,
            remainingFiles: drain.count.remainingFiles, remainingBytes: left, bytesPerSecond: speed, etaSeconds: eta)
    }

    private func isDue(_ record: ServerRecord) -> Bool {
        guard let drain = drains[record.name], drain.since == record.drain else { return true }
        return clock.now - drain.at >= max(Self.interval, drain.cost * 10)
    }

    /// Counts one server's copies now.
    func count(_ name: ServerName) async throws {
        let began = clock.now
        var count = Count()
        var after: BlobID?
        while !Task.isShuttingDownGracefully, !Task.isCancelled {
            let counted = Set(await roster.records.filter { $0.name != name && $0.isCounted }.map(\.name))
            let page = try await store.copies(on: name, after: after, limit: Self.page)
            for copy in page {
                // No more copies can be had than there are servers.
                let wanted = max(1, min(copy.n, counted.count, maxCopies))
                if copy.replicas.count(where: counted.contains) >= wanted {
                    count.safeFiles += 1
                    count.safeBytes += copy.size
                } else {
                    count.remainingFiles += 1
                    count.remainingBytes += copy.size
                }
            }
            guard page.count == Self.page, let last = page.last else { return await note(name, count, began: began) }
            after = last.blob
        }
    }

    private func note(_ name: ServerName, _ count: Count, began: ContinuousClock.Instant) async {
        guard let since = await roster.record(name)?.drain else {
            drains[name] = nil
            return
        }
        let now = clock.now
        var speed = 0.0
        if let last = drains[name], last.since == since {
            let seconds = max(0.001, (now - last.at).inSeconds)
            let fallen = Double(max(0, last.count.remainingBytes - count.remainingBytes)) / seconds
            let weight = min(1, seconds / 30)
            speed = last.speed == 0 ? fallen : last.speed * (1 - weight) + fallen * weight
            if count.remainingFiles == 0 { speed = 0 }
        }
        drains[name] = Drain(since: since, count: count, at: now, cost: now - began, speed: speed)
    }
}
