import BrimModel
import BrimWire
import Foundation
import Logging
import ServiceLifecycle
import Synchronization

/// Verifies every copy on this server once in an interval: of those whose time has come the copies of files with the least
/// surplus first, slowly, and while the disk has time for it. When each was verified is in the catalog, so that it goes on
/// after a restart where it stopped.
final class Scrubber: BackgroundLoop {
    let worker = Worker("scrub", unit: "copies")

    /// Copies that are put in order at a time: so many of those that have waited longest.
    static let page = 5000
    /// Verified copies that are noted together.
    static let batch = 64
    /// A busy disk is left alone for so long at most: then one more piece is read all the same, so that a disk that is
    /// never idle is verified too, if slowly.
    static let patience = Duration.seconds(60)
    /// Transfers under way at which this waits.
    static let transfers = 16
    /// What a small file costs besides its bytes, in bytes read meanwhile.
    static let seekBytes: Int64 = 64 * 1024

    private let node: SlaveNode
    private let policy = Mutex(ScrubPolicy())

    init(node: SlaveNode) { self.node = node }

    /// As a master says.
    func follow(_ new: ScrubPolicy) { policy.withLock { $0 = new } }

    private var interval: Int64 { max(1, policy.withLock { $0.intervalMilliseconds }) }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                var pause = Duration.seconds(5)
                do {
                    try await self.round()
                    pause = .milliseconds(min(5000, max(50, self.interval / 4)))
                    let oldest = try await self.node.catalog.oldestVerification()
                    let next = oldest.map { max(pause, .milliseconds($0 + self.interval - Timestamp.now.milliseconds)) }
                    self.worker.rests(atMost: next ?? pause)
                } catch {
                    self.worker.failed(error, again: pause)
                    self.node.logger.debug("scrubbing breaks off", metadata: ["error": "\(error)"])
                }
                try? await Task.sleep(for: pause)
            }
        }
    }

    /// Verifies all copies whose time has come.
    private func round() async throws {
        while !Task.isCancelled {
            try node.health.checkReadable()
            let due = try await node.catalog.unverified(
                since: Timestamp.now.milliseconds - interval, limit: Self.page)
            if due.isEmpty { return }
            try await verify(try await inOrder(due))
        }
    }

    /// The thinnest files first. Without a master, which knows the surplus, those that want the fewest copies.
    private func inOrder(_ rows: [CatalogRow]) async throws -> [CatalogRow] {
        var surplus: [String: Int] = [:]
        do {
            surplus = try await node.masters.call(
                "surplus", node.list(rows.map(\.blob)), as: SurplusReply.self
            ).surplus
        } catch let error as BrimError {
            node.logger.debug("no master tells surplus", metadata: ["error": "\(error)"])
        }
        let known = surplus
        return rows.enumerated().map { (known[$1.blob.description] ?? .max, $1.label.n, $0, $1) }
            .sorted { ($0.0, $0.1, $0.2) < ($1.0, $1.1, $1.2) }.map(\.3)
    }

    private func verify(_ rows: [CatalogRow]) async throws {
        let verifier = Verifier(node: node)
        var pace = Pace(meter: LoadMeter(directory: node.directory.path))
        var good: [BlobID] = []
        do {
            for row in rows {
                try Task.checkCancellation()
                worker.begins("reads \(row.label.name) (\(ByteCount.format(row.size)))")
                if row.size == 0 { try await wait(0, &pace) }
                let found = try await verifier.check(row.blob) { try await self.wait($0, &pace) }
                switch found?.condition {
                case .ok: good.append(row.blob)
                case nil: break
                default:
                    node.logger.warning(
                        "scrubbing found a bad copy",
                        metadata: ["blob": "\(row.blob)", "reason": "\(found?.reason ?? "")"])
                }
                worker.did(1)
                if good.count >= Self.batch { try await note(&good) }
            }
        } catch {
            try await note(&good)
            throw error
        }
        try await note(&good)
    }

    private func note(_ good: inout [BlobID]) async throws {
        try await node.catalog.noteVerified(good, at: Timestamp.now.milliseconds)
        good = []
    }

    // MARK: - Throttling

    private struct Pace {
        var meter: LoadMeter
        var measured = ContinuousClock.now
        var load = ServerLoad()
        /// When the next piece may be read.
        var next = ContinuousClock.now
    }

    /// Returns when `bytes` more may be read.
    private func wait(_ bytes: Int64, _ pace: inout Pace) async throws {
        let impatient = ContinuousClock.now + Self.patience
        while isBusy(&pace), ContinuousClock.now < impatient {
            worker.waits(for: "the disk to have time", atMost: .seconds(1))
            try await Task.sleep(for: .seconds(1))
        }
        let rate = policy.withLock { Double(max(1, $0.bytesPerSecond)) }
        let now = ContinuousClock.now
        if pace.next > now { try await Task.sleep(for: pace.next - now) }
        pace.next = max(now, pace.next) + .seconds(Double(max(bytes, Self.seekBytes)) / rate)
    }

    private func isBusy(_ pace: inout Pace) -> Bool {
        if node.transfers.current >= Self.transfers { return true }
        if ContinuousClock.now - pace.measured >= .seconds(1) {
            pace.load = pace.meter.measure(transfers: 0)
            pace.measured = .now
        }
        return pace.load.disk > policy.withLock { $0.load }
    }
}
