import BrimMetadata
import BrimModel
import BrimWire
import Logging
import ServiceLifecycle

/// Gives versions that were overwritten documents of their own, so that their copies can give way. Goes on where it stopped:
/// what is left to do is in MongoDB. Not at once but every second, to be out of the way of those who write the same file
/// again and again.
actor VersionWorker: BackgroundLoop {
    nonisolated let worker = Worker("versions", unit: "old versions")

    /// Files in one transaction.
    private static let batch = 100
    private static let pause = Duration.seconds(1)

    private let store: any MetadataStore
    private let views: any Views
    private let changed: Bell
    private let clock: any BrimClock
    private let logger: Logger

    /// `changed` is rung when there is trash that was not there before.
    init(
        store: any MetadataStore, views: any Views, changed: Bell, clock: any BrimClock = SystemClock(),
        logger: Logger
    ) {
        self.store = store
        self.views = views
        self.changed = changed
        self.clock = clock
        self.logger = logger
    }

    func run() async throws {
        while await clock.pause(Self.pause) {
            do {
                try await settleAll()
                worker.rests(atMost: Self.pause)
            } catch {
                worker.failed(error, again: Self.pause)
                logger.debug("old versions have to wait", metadata: ["error": "\(error)"])
            }
        }
    }

    private func settleAll() async throws {
        while !Task.isShuttingDownGracefully, try await settle() > 0 {}
    }

    /// Gives some of those that wait documents of their own, and returns how many: also for those who need their room now.
    func settle() async throws -> Int {
        let count = try await store.settleVersions(of: nil, limit: Self.batch, view: try await views.current())
        worker.did(count)
        if count > 0 { changed.ring() }
        return count
    }
}
