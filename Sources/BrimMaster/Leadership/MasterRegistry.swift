import BrimMetadata
import BrimModel
import BrimWire
import Logging
import ServiceLifecycle
import Synchronization

/// Knows all masters, and lets them know of this one. Compares their clocks, and has this master go by the right time.
final class MasterRegistry: BackgroundLoop {
    static let interval = Duration.seconds(1)
    /// An answer of the database that takes longer says too little of its time.
    private static let promptness = Duration.seconds(2)

    let worker = Worker("masters", unit: "meetings")
    private let store: any MetadataStore
    private let id: String
    private let version: String
    private let url: @Sendable () async throws -> String
    private let clock: SwarmClock
    private let logger: Logger
    private let records = Mutex<[MasterRecord]>([])
    /// By how much this master's clock, and the right time, are ahead of the database's.
    private let ahead = Mutex<(own: Duration?, right: Duration?)>((nil, nil))

    /// `id` names this start of a master; `url` waits until it is known where it is reached.
    init(
        store: any MetadataStore, id: String, version: String, url: @escaping @Sendable () async throws -> String,
        clock: SwarmClock, logger: Logger
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
        while !Task.isShuttingDownGracefully, !Task.isCancelled {
            do {
                let hello = MasterHello(id: id, url: url, version: version, ahead: ahead.withLock { $0.own })
                try await look { try await store.meetMasters(hello) }
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

    /// Looks at the other masters before this one is among them, so that the first request is answered by the right time.
    func begin() async throws { try await look { try await store.masters() } }

    // MARK: - Clocks

    /// Takes in what the database answers, and the time that it has.
    private func look(_ ask: () async throws -> [MasterRecord]) async throws {
        let (asked, time) = (clock.now, clock.own)
        let met = try await ask()
        let took = clock.now - asked
        records.withLock { $0 = met }
        guard took <= Self.promptness, let record = met.first else { return }
        let own = time.adding(took / 2).since(record.heartbeat.adding(record.silence))
        ahead.withLock { $0.own = own }
        let clocks = clocks
        if clocks.ahead.count > 1 { ahead.withLock { $0.right = clocks.right } }
        let correction = clocks.correction(ofOneAhead: own)
        guard clock.correct(by: correction) else { return }
        if correction == .zero {
            logger.notice("the clock of this master is right again")
        } else {
            logger.error(
                "the clock of this master is wrong: it goes by the others'; set it",
                metadata: ["ahead": "\(DurationText.format(.zero - correction))"])
        }
    }

    /// Those of all masters that live, this one's as it was found last.
    private var clocks: MasterClocks {
        let live = records.withLock { $0.filter(\.isLive) }
        let (own, right) = ahead.withLock { $0 }
        var ahead: [String: Duration] = [:]
        for record in live where record.id != id { ahead[record.url] = record.ahead }
        ahead[live.first { $0.id == id }?.url ?? ""] = own
        return MasterClocks(ahead: ahead, known: right)
    }

    /// What a person should know of the clocks.
    var warnings: [String] { clocks.warnings }

    // MARK: - Who is there

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
