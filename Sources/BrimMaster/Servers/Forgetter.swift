import BrimMetadata
import BrimModel
import BrimPlacement
import BrimWire
import Logging
import ServiceLifecycle

/// Strikes servers off. Every step is in MongoDB before the next: the loop goes on with those whose forgetting was begun
/// when whoever asked for it, or the leader before, is gone.
actor Forgetter: BackgroundLoop {
    nonisolated let worker = Worker("forgetter", unit: "servers")

    private static let pause = Duration.seconds(5)
    /// Files in one update.
    private static let range = 1000

    private let documents: ServerDocuments
    private let judge: ServerJudge
    private let publisher: ViewPublisher
    private let views: any Views
    private let ledger: Ledger
    /// Rung when copies may have to move.
    private let changed: Bell
    private let clock: any BrimClock
    private let logger: Logger
    /// One server is struck off at a time.
    private let gate = AsyncGate()

    init(
        documents: ServerDocuments, judge: ServerJudge, publisher: ViewPublisher, views: any Views, ledger: Ledger,
        changed: Bell, clock: any BrimClock = SystemClock(), logger: Logger
    ) {
        self.documents = documents
        self.judge = judge
        self.publisher = publisher
        self.views = views
        self.ledger = ledger
        self.changed = changed
        self.clock = clock
        self.logger = logger
    }

    private var store: any MetadataStore { documents.store }
    private var roster: Roster { documents.roster }

    func run() async throws {
        repeat {
            do {
                try await resume()
                worker.rests(atMost: Self.pause)
            } catch {
                worker.failed(error, again: Self.pause)
                logger.debug("forgetting is interrupted", metadata: ["error": "\(error)"])
            }
        } while await clock.pause(Self.pause)
    }

    /// Strikes a server off; returns, when no document names it any more, how many files lost their last copy that can
    /// be read.
    ///
    /// Throws `.notFound`; `.conflict` for a server whose copies count, and, unless `losesData`, while files would be lost.
    func forget(_ name: ServerName, losesData: Bool) async throws -> Int64 {
        guard let record = await roster.record(name) else { throw Refusal.noServer(name) }
        guard !record.isCounted else { throw Refusal.stillCounts(name) }
        let lost = try await LastCopies(on: name, store, roster)
        guard losesData || lost.count == 0 else { throw try await lost.refusal(store) }
        try await documents.exclusively { store, roster in
            await roster.merge(try await store.beginForget(name, losesData: losesData))
        }
        logger.notice(
            "a server is being forgotten", metadata: ["server.name": "\(name)", "files.lost": "\(lost.count)"])
        try await publisher.publish()
        try await finish(name)
        return lost.count
    }

    /// Goes on with what was begun, perhaps by another leader.
    func resume() async throws {
        for record in await roster.records where record.forget != nil { try await finish(record.name) }
    }

    private func finish(_ name: ServerName) async throws {
        try await gate.exclusively { try await self.strikeOff(name) }
    }

    private func strikeOff(_ name: ServerName) async throws {
        guard let record = await roster.record(name), let mark = record.forget else { return }
        ledger.decide { _ = $0.lost(name) }
        try await drop(name, sparesLast: !mark.losesData)
        // From here on it becomes a holder of no file. Commits that count with an older view may still enter it.
        await publisher.strike(name, id: record.id)
        try await publisher.publish()
        try await clock.sleep(for: ViewKeeper.maxAge)
        // Nobody agreed to lose what was written to it alone meanwhile. Nothing names it any more when this ends, also where
        // other holders came or went while it was taken off.
        repeat {
            try await drop(name, sparesLast: true)
        } while try await !store.copies(on: name, after: nil, limit: 1).isEmpty
        try await documents.exclusively { store, roster in
            try await store.endForget(name, id: record.id)
            await roster.forget(name)
        }
        await publisher.forgot(name)
        await judge.forget(name)
        logger.notice("a server is forgotten", metadata: ["server.name": "\(name)", "server.id": "\(record.id)"])
        try await publisher.publish()
        changed.ring()
    }

    /// Takes it off the files that name it. With `sparesLast` not off live ones that nobody else who answers has a copy of:
    /// when there are any, it throws `.conflict` and the server is no longer forgotten. Others that had copies of them are gone
    /// since this began, or they were written to it meanwhile.
    private func drop(_ name: ServerName, sparesLast: Bool) async throws {
        while try await store.dropReplicas(
            of: name, keeping: sparesLast ? await roster.readable(besides: name) : nil, limit: Self.range,
            view: try await views.current()) > 0
        { changed.ring() }
        guard sparesLast else { return }
        let lost = try await LastCopies(on: name, store, roster)
        if lost.count > 0 { try await takeBack(name, lost) }
    }

    private func takeBack(_ name: ServerName, _ lost: LastCopies) async throws {
        await publisher.unstrike(name)
        // It holds copies that it was taken off already: its report says which, and they are entered again or deleted.
        // Before the mark goes, since the answer to that may get lost.
        await roster.doubt(name)
        try await documents.exclusively { store, roster in
            await roster.merge(try await store.cancelForget(name))
        }
        try await publisher.publish()
        throw try await lost.refusal(store)
    }
}
