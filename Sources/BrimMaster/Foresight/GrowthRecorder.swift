import BrimMetadata
import BrimModel
import BrimPlacement
import BrimWire
import Logging
import ServiceLifecycle

/// Notes once an hour how much is stored.
actor GrowthRecorder: BackgroundLoop {
    /// Between looks at the clock.
    private static let pause = Duration.seconds(60)

    nonisolated let worker = Worker("growth", unit: "samples")
    private let store: any MetadataStore
    private let clock: any BrimClock
    private let logger: Logger
    private var lastHour: Int64?

    init(store: any MetadataStore, clock: any BrimClock = SystemClock(), logger: Logger) {
        self.store = store
        self.clock = clock
        self.logger = logger
    }

    func run() async throws {
        repeat {
            do {
                try await note()
                worker.rests(atMost: Self.pause)
            } catch {
                worker.failed(error, again: Self.pause)
                logger.debug("growth cannot be noted", metadata: ["error": "\(error)"])
            }
        } while await clock.pause(Self.pause)
    }

    private func note() async throws {
        let hour = clock.timestamp.seconds / 3600
        guard hour != lastHour else { return }
        worker.begins("counts what is stored")
        try await store.noteGrowth(Growth.Sample(try await store.histogram(), at: clock.timestamp))
        worker.did(1)
        lastHour = hour
    }
}

extension Growth.Sample {
    init(_ histogram: SurplusHistogram, at: Timestamp) {
        self.init(at: at, files: histogram.files, bytes: histogram.bytes, wanted: histogram.wanted)
    }
}
