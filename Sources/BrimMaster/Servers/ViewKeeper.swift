import BrimMetadata
import BrimModel
import BrimWire
import Logging
import ServiceLifecycle

/// Keeps this master's copy of the published view fresh. A master whose view is older than `ViewKeeper.maxAge` counts
/// with nothing: it refuses commits rather than count copies on a server that the leader has given up.
actor ViewKeeper: BackgroundLoop {
    nonisolated let worker = Worker("view of servers", unit: "readings")

    /// How old a view may be when something is counted with it. The leader's recount begins this long after it
    /// published a view, so that no commit counted with an older one can follow.
    static let maxAge = Duration.seconds(5)
    private static let pause = Duration.seconds(1)

    private let maxAge: Duration
    private let store: any MetadataStore
    private let clock: any BrimClock
    private let logger: Logger
    private var view: ServerView?
    private var readAt: ContinuousClock.Instant

    init(
        store: any MetadataStore, maxAge: Duration = ViewKeeper.maxAge, clock: any BrimClock = SystemClock(),
        logger: Logger
    ) {
        self.maxAge = maxAge
        self.store = store
        self.clock = clock
        self.logger = logger
        readAt = clock.now
    }

    /// The view to count with. Throws `.unavailable` when it is too old.
    func current() throws -> ServerView {
        guard let view, clock.now - readAt < maxAge else { throw Self.lost }
        return view
    }

    /// Waits until the database has not answered for `maxAge`, and says so. Throws when cancelled.
    func untilLost() async throws -> BrimError {
        while view != nil {
            let left = maxAge - (clock.now - readAt)
            guard left > .zero else { break }
            try await clock.sleep(for: left)
        }
        return Self.lost
    }

    private static let lost = BrimError(
        .unavailable, "this master has lost touch with its database", advice: "Check MongoDB and try again")

    /// Takes in a view that was just published or read at `at`.
    func take(_ new: ServerView, readAt at: ContinuousClock.Instant) {
        if let view, view.epoch > new.epoch { return }
        view = new
        readAt = at
    }

    func refresh() async throws {
        let began = clock.now
        take(try await store.view(), readAt: began)
    }

    func run() async throws {
        var failing = false
        repeat {
            do {
                try await refresh()
                worker.did(1)
                worker.rests(atMost: Self.pause)
                if failing { logger.info("the database answers again") }
                failing = false
            } catch {
                worker.failed(error, again: Self.pause)
                if !failing { logger.warning("the database does not answer", metadata: ["error": "\(error)"]) }
                failing = true
            }
        } while await clock.pause(Self.pause)
    }
}
