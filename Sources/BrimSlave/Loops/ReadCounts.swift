import BrimModel
import BrimWire
import Logging
import ServiceLifecycle
import Synchronization

/// Counts how much clients read each blob, and tells the leader now and then: an estimate, by which policies may give popular
/// files more copies. What cannot be told is forgotten.
final class ReadCounts: BackgroundLoop {
    let worker = Worker("read counts", unit: "blobs")

    /// Blobs counted between two reports; of others nothing is known.
    static let most = 5000
    private static let pause = Duration.seconds(10)

    private let counts = Mutex<[BlobID: Double]>([:])
    private let report: @Sendable ([ReadCount]) async throws -> Void
    private let logger: Logger

    /// `report` tells the leader.
    init(logger: Logger, report: @escaping @Sendable ([ReadCount]) async throws -> Void) {
        self.logger = logger
        self.report = report
    }

    /// So many bytes of a blob of `size` were sent to a client.
    func sent(_ bytes: Int64, of blob: BlobID, size: Int64) {
        let read = size > 0 ? Double(bytes) / Double(size) : 1
        counts.withLock { counts in
            if let before = counts[blob] {
                counts[blob] = before + read
            } else if counts.count < Self.most {
                counts[blob] = read
            }
        }
    }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                try? await Task.sleep(for: Self.pause)
                await self.tell()
                self.worker.rests(atMost: Self.pause)
            }
        }
    }

    private func tell() async {
        let taken = counts.withLock { counts in
            defer { counts = [:] }
            return counts
        }
        guard !taken.isEmpty else { return }
        worker.begins("tells of \(taken.count) blobs")
        do {
            try await report(taken.map { ReadCount(blob: $0.key, reads: $0.value) })
            worker.did(taken.count)
        } catch {
            worker.failed(error, again: Self.pause)
            logger.debug("reads could not be told", metadata: ["error": "\(error)"])
        }
    }
}
