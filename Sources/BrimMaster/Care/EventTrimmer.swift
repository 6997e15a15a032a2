import BrimMetadata
import BrimModel
import BrimWire
import Logging
import ServiceLifecycle

/// Keeps the stories of files from growing without end: once a day it goes through all of them, in pages.
actor EventTrimmer: BackgroundLoop {
    /// Events of a file that stay whatever their age.
    static let newest = 50
    /// Younger events stay all.
    static let age = Duration.seconds(30 * 86_400)
    static let interval = Duration.seconds(86_400)
    /// After a start, so that it does not get into the way of what is urgent then.
    static let delay = Duration.seconds(600)
    /// Events looked at at a time.
    static let page = 5000

    nonisolated let worker = Worker("events", unit: "events trimmed")
    private let store: any MetadataStore
    private let clock: any BrimClock
    private let logger: Logger

    init(store: any MetadataStore, clock: any BrimClock = SystemClock(), logger: Logger) {
        self.store = store
        self.clock = clock
        self.logger = logger
    }

    func run() async throws {
        var pause = Self.delay
        worker.rests(atMost: pause)
        while await clock.pause(pause) {
            do {
                try await trim()
                pause = Self.interval
                worker.rests(atMost: pause)
            } catch {
                pause = Self.delay
                worker.failed(error, again: pause)
                logger.warning("events cannot be trimmed", metadata: ["error": "\(error)"])
            }
        }
    }

    /// Goes through all stories once.
    func trim() async throws {
        let retention = EventRetention(
            newest: Self.newest, since: clock.timestamp.adding(.zero - Self.age))
        var after: FileID?
        worker.begins("goes through the stories of all files")
        repeat {
            let page = try await store.trimEvents(retention, after: after, limit: Self.page)
            worker.did(page.deleted)
            after = page.next
        } while after != nil && !Task.isShuttingDownGracefully
    }
}

extension MetadataStore {
    /// Records events; what fails is logged only, as a story is not worth what it tells of.
    func note(_ events: [FileEvent], _ logger: Logger) async {
        guard !events.isEmpty else { return }
        do {
            try await record(events)
        } catch {
            logger.warning(
                "events could not be recorded", metadata: ["events": "\(events.count)", "error": "\(error)"])
        }
    }
}
