import BrimMetadata
import BrimModel
import BrimWire
import Logging
import ServiceLifecycle

/// Deletes removed blobs on the servers that hold them, as the tombstones say, and drops tombstones that every server
/// has outlived. Goes on where it stopped: what is left to do is in MongoDB.
actor DeletionWorker: BackgroundLoop {
    nonisolated let worker = Worker("deletions", unit: "copies")

    private static let batch = 1000

    private let store: any MetadataStore
    private let roster: Roster
    private let desk: OrderDesk
    private let bell: Bell
    private let freed: Bell
    private let clock: any BrimClock
    private let logger: Logger

    /// `bell` rings when something was removed; `freed` is rung when room was freed.
    init(
        store: any MetadataStore, roster: Roster, desk: OrderDesk, bell: Bell, freed: Bell,
        clock: any BrimClock = SystemClock(), logger: Logger
    ) {
        self.store = store
        self.roster = roster
        self.desk = desk
        self.bell = bell
        self.freed = freed
        self.clock = clock
        self.logger = logger
    }

    func run() async throws {
        var lastTrim = clock.now
        while await bell.wait(atMost: .seconds(2)) {
            var failure: (any Error)?
            for server in await roster.records where server.state == .up {
                do {
                    try await deleteAll(on: server.name)
                } catch {
                    failure = error
                    logger.debug(
                        "deletions have to wait",
                        metadata: ["server.name": "\(server.name)", "error": "\(error)"])
                }
            }
            if clock.now - lastTrim > .seconds(60) {
                lastTrim = clock.now
                await trim()
            }
            if let failure {
                worker.failed(failure, again: .seconds(2))
            } else {
                worker.rests(atMost: .seconds(2))
            }
        }
    }

    private func deleteAll(on server: ServerName) async throws {
        while !Task.isShuttingDownGracefully {
            let blobs = try await store.pendingDeletions(on: server, limit: Self.batch)
            guard !blobs.isEmpty else { return }
            worker.begins("has \(blobs.count) removed blobs deleted on \(server)")
            _ = try await desk.send([OrderDesk.Draft(evict: blobs)], to: server)
            try await store.deletionsDone(on: server, blobs)
            worker.did(blobs.count)
            freed.ring()
            if blobs.count < Self.batch { return }
        }
    }

    private func trim() async {
        let reports = await roster.records.map(\.report)
        guard let oldest = reports.compactMap({ $0 }).min(), !reports.contains(nil) else { return }
        do {
            try await store.trimTombstones(before: oldest)
        } catch {
            logger.debug("tombstones could not be trimmed", metadata: ["error": "\(error)"])
        }
    }
}
