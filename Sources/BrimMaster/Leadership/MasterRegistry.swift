import BrimMetadata
import BrimModel
import BrimWire
import Logging
import ServiceLifecycle
import Synchronization

/// Knows all masters, and lets them know of this one.
final class MasterRegistry: BackgroundLoop {
    static let interval = Duration.seconds(1)

    let worker = Worker("masters", unit: "meetings")
    private let store: any MetadataStore
    private let id: String
    private let version: String
    private let url: @Sendable () async throws -> String
    private let clock: any BrimClock
    private let logger: Logger
    private let records = Mutex<[MasterRecord]>([])

    /// `id` names this start of a master; `url` waits until it is known where it is reached.
    init(
        store: any MetadataStore, id: String, version: String, url: @escaping @Sendable () async throws -> String,
        clock: any BrimClock, logger: Logger
    ) {
        self.store = store
        self.id = id
        self.version = version
        self.url = url
        self.clock = clock
        self.logger = logger
    }

    func run() async throws {
        guard let url = try? await cancelWhenGracefulShutdown({ try await self.url() }) else { return }
        let hello = MasterHello(id: id, url: url, version: version)
        while !Task.isShuttingDownGracefully, !Task.isCancelled {
            do {
                let met = try await store.meetMasters(hello)
                records.withLock { $0 = met }
                worker.did(1)
                worker.rests(atMost: Self.interval)
            } catch {
                worker.failed(error, again: Self.interval)
                logger.debug("the other masters cannot be met", metadata: ["error": "\(error)"])
            }
            await clock.pause(Self.interval)
        }
        guard Task.isShuttingDownGracefully else { return }
        do {
            try await store.leaveMasters(id)
        } catch {
            logger.debug("this master was not taken off the list", metadata: ["error": "\(error)"])
        }
    }

    /// The URL of this master, once it is known.
    var own: String? { records.withLock { records in records.first { $0.id == id }?.url } }

    /// URLs of the masters that live, the leader's first.
    func urls(leader: String?) -> [String] {
        let live = records.withLock { $0.filter(\.isLive).map(\.url) }
        guard let leader else { return live }
        return [leader] + live.filter { $0 != leader }
    }

    /// All that were heard of lately, the one started first before the others.
    func masters(leader: String?) -> [MasterStatus] {
        records.withLock { $0 }.map { record in
            MasterStatus(
                url: record.url, leader: record.url == leader, live: record.isLive, version: record.version,
                started: record.started, heartbeat: record.heartbeat)
        }
    }
}
