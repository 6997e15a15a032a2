import BrimMetadata
import BrimModel
import BrimWire
import Logging
import ServiceLifecycle

/// What is known of the servers: first hand when this master leads, else as it is stored.
struct Rosters: Sendable {
    /// Follows the documents.
    let stored: Roster
    let leader: LeaseKeeper

    var current: Roster { leader.leadership?.roster ?? stored }
}

/// Keeps a roster up to date with the servers' documents.
struct RosterReader: BackgroundLoop {
    static let interval = Duration.seconds(1)

    let worker = Worker("servers", unit: "readings")
    let store: any MetadataStore
    let roster: Roster
    let clock: any BrimClock
    let logger: Logger

    func run() async throws {
        while !Task.isShuttingDownGracefully, !Task.isCancelled {
            do {
                try await read()
                worker.rests(atMost: Self.interval)
            } catch {
                worker.failed(error, again: Self.interval)
                logger.debug("the servers cannot be read", metadata: ["error": "\(error)"])
            }
            await clock.pause(Self.interval)
        }
    }

    private func read() async throws {
        await roster.follow(try await store.servers())
        worker.did(1)
    }
}
