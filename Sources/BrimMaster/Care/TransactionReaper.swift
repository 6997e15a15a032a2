import BrimMetadata
import BrimModel
import BrimWire
import Logging
import ServiceLifecycle

/// Ends transactions that a master left open in the database when it died or froze, on every master: nobody else's
/// commits have to wait until the database gives them up itself.
struct TransactionReaper: BackgroundLoop {
    /// No statement of a transaction follows another so late, unless its master stands still.
    static let patience = Duration.seconds(2)
    static let interval = Duration.seconds(1)

    let worker = Worker("transactions", unit: "stalled transactions ended")
    let store: any MetadataStore
    let clock: any BrimClock
    let logger: Logger

    init(store: any MetadataStore, clock: any BrimClock = SystemClock(), logger: Logger) {
        self.store = store
        self.clock = clock
        self.logger = logger
    }

    func run() async throws {
        repeat {
            do {
                worker.did(try await store.endStalledTransactions(after: Self.patience))
                worker.rests(atMost: Self.interval)
            } catch {
                worker.failed(error, again: Self.interval)
                logger.debug("transactions that stand still cannot be ended", metadata: ["error": "\(error)"])
            }
        } while await clock.pause(Self.interval)
    }
}
