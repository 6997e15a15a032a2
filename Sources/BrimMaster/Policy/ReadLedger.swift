import BrimMetadata
import BrimModel
import BrimWire
import Logging
import ServiceLifecycle
import Synchronization

/// Gathers what slaves say of reads, and enters it with the files, the most read first: bounded in what it holds and in what it
/// writes, so that a swarm whose files are all read all the time is no slower for it.
final class ReadLedger: BackgroundLoop {
    let worker = Worker("reads", unit: "files")

    /// Files that it knows reads of; beyond that those that were read least are forgotten.
    static let most = 50_000
    /// Files entered at a time.
    static let batch = 1000
    private static let pause = Duration.seconds(10)

    private let counts = Mutex<[BlobID: Double]>([:])
    private let store: any MetadataStore
    private let clock: any BrimClock
    private let logger: Logger

    init(store: any MetadataStore, clock: any BrimClock = SystemClock(), logger: Logger) {
        self.store = store
        self.clock = clock
        self.logger = logger
    }

    /// Takes what a slave says, in whole files.
    func add(_ reads: [ReadCount]) {
        counts.withLock { counts in
            for read in reads where read.reads > 0 && read.reads.isFinite {
                counts[read.blob, default: 0] += min(read.reads, ReadCount.most)
            }
            guard counts.count > Self.most else { return }
            counts = Self.mostRead(counts, Self.most / 2)
        }
    }

    private static func mostRead(_ counts: [BlobID: Double], _ limit: Int) -> [BlobID: Double] {
        let most = counts.sorted { ($0.value, $0.key) > ($1.value, $1.key) }.prefix(limit)
        return Dictionary(uniqueKeysWithValues: most.map { ($0.key, $0.value) })
    }

    func run() async throws {
        while await clock.pause(Self.pause) {
            do {
                try await enter()
                worker.rests(atMost: Self.pause)
            } catch {
                worker.failed(error, again: Self.pause)
                logger.debug("reads cannot be entered", metadata: ["error": "\(error)"])
            }
        }
    }

    /// Enters a batch. What cannot be entered is not known any more: nothing but an estimate suffers.
    func enter() async throws {
        let batch = counts.withLock { counts in
            let batch = Self.mostRead(counts, Self.batch)
            for blob in batch.keys { counts[blob] = nil }
            return batch
        }
        guard !batch.isEmpty else { return }
        worker.begins("reads of \(batch.count) files")
        let now = clock.timestamp
        try await store.addReads(batch, at: now, due: now)
        worker.did(batch.count)
    }
}
