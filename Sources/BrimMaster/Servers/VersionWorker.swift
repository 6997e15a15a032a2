import BrimMetadata
import Logging
import ServiceLifecycle

/// Gives versions that were overwritten documents of their own, so that their copies can give way. Goes on where it stopped:
/// what is left to do is in MongoDB.
actor VersionWorker: Service {
    /// Files in one transaction.
    private static let batch = 100

    private let store: any MetadataStore
    private let views: ViewKeeper
    private let bell: Bell
    private let changed: Bell
    private let logger: Logger

    /// `bell` rings when a file was overwritten; `changed` is rung when there is trash that was not there before.
    init(store: any MetadataStore, views: ViewKeeper, bell: Bell, changed: Bell, logger: Logger) {
        self.store = store
        self.views = views
        self.bell = bell
        self.changed = changed
        self.logger = logger
    }

    func run() async throws {
        while await bell.wait(atMost: .seconds(2)) {
            do {
                try await settleAll()
            } catch {
                logger.debug("old versions have to wait", metadata: ["error": "\(error)"])
            }
        }
    }

    private func settleAll() async throws {
        var settled = 0
        while !Task.isShuttingDownGracefully {
            let count = try await store.settleVersions(
                of: nil, limit: Self.batch, view: try await views.current())
            settled += count
            if count == 0 { break }
        }
        if settled > 0 { changed.ring() }
    }
}
