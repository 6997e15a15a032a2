import BrimMetadata
import BrimModel
import BrimWire
import Logging
import ServiceLifecycle
import Synchronization

/// Has this master lead while nobody else does: acquires the lease when it is free, renews it, and ends the services of the
/// leader when it may have run out. Also knows who leads otherwise.
final class LeaseKeeper: BackgroundLoop {
    let worker = Worker("leadership", unit: "terms")

    /// Who leads, as far as this master knows.
    enum Standing: Sendable {
        case leads(Leadership)
        /// Another one does, which is reached at this URL.
        case follows(String)
        case unknown
    }

    private struct State {
        var leadership: Leadership?
        var other: (url: String, until: ContinuousClock.Instant)?
        var hasSeenLeader = false
    }

    /// How long requests wait for a leader when none is known: less than clients wait for an answer.
    static let patience = Duration.seconds(8)
    private static let look = Duration.milliseconds(50)

    private let state = Mutex(State())
    private let store: any MetadataStore
    /// Names this master: no other that runs has it.
    private let holder: String
    private let duration: Duration
    private let ownURL: @Sendable () async throws -> String
    private let name: LeaderName
    private let make: @Sendable (Mandate) -> Leadership
    private let clock: any BrimClock
    private let logger: Logger

    /// - Parameters:
    ///   - duration: of the lease.
    ///   - url: where this master is reached; waits until it is known.
    ///   - name: is told who leads.
    ///   - make: the services of a term.
    init(
        store: any MetadataStore, holder: String, duration: Duration,
        url: @escaping @Sendable () async throws -> String,
        name: LeaderName, clock: any BrimClock, logger: Logger, make: @escaping @Sendable (Mandate) -> Leadership
    ) {
        self.store = store
        self.holder = holder
        self.duration = duration
        ownURL = url
        self.name = name
        self.make = make
        self.clock = clock
        self.logger = logger
    }

    var standing: Standing {
        let now = clock.now
        return state.withLock { state in
            if let leadership = state.leadership, leadership.mandate.isValid { return .leads(leadership) }
            if let other = state.other, now < other.until { return .follows(other.url) }
            return .unknown
        }
    }

    /// The services of the leader, while this master is it.
    var leadership: Leadership? {
        if case .leads(let leadership) = standing { leadership } else { nil }
    }

    /// Where the leader is reached; nil while none is known.
    var url: String? { name.value }

    /// Throws `.notLeader`, or `.unavailable` when nobody leads.
    func leading() throws -> Leadership {
        switch standing {
        case .leads(let leadership): return leadership
        case .follows(let url): throw Refusal.notLeader(url)
        case .unknown: throw Refusal.nobodyLeads
        }
    }

    /// Whether a leader was known since the start.
    var hasSeenLeader: Bool { state.withLock { $0.hasSeenLeader } }

    /// Has something done by the leader: by this master when it leads, `elsewhere` (given the leader's URL) when another
    /// does. Waits while nobody leads. When the leader changes on the way, or cannot be reached, the new one is asked if
    /// `repeats`: doing it twice must be as good as once.
    func asLeader<Reply: Sendable>(
        repeats: Bool = true, within limit: Duration = LeaseKeeper.patience,
        _ own: @Sendable (Leadership) async throws -> Reply,
        elsewhere: @escaping @Sendable (String) async throws -> Reply
    ) async throws -> Reply {
        let deadline = clock.now + limit
        var failure = Refusal.nobodyLeads
        while true {
            do {
                switch standing {
                case .leads(let leadership): return try await own(leadership)
                case .follows(let url):
                    return try await whileFollowing(url) { try await elsewhere(url) }
                case .unknown: break
                }
            } catch let error as BrimError where error.code == .notLeader || (error.code == .unavailable && repeats) {
                // A refusal of the leader itself is final; one because it leads no more, or does not answer, is not.
                if leads(butRefused: error) { throw error }
                failure = error.code == .notLeader ? Refusal.nobodyLeads : error
            }
            guard clock.now < deadline else { throw failure }
            try await clock.sleep(for: Self.look)
        }
    }

    private func leads(butRefused error: BrimError) -> Bool { leadership != nil && error.code == .unavailable }

    /// Throws `.unavailable` as soon as another leads.
    private func whileFollowing<Reply: Sendable>(
        _ url: String, _ body: @escaping @Sendable () async throws -> Reply
    ) async throws -> Reply {
        try await withThrowingTaskGroup(of: Reply.self) { group in
            group.addTask { try await body() }
            group.addTask {
                while case .follows(url) = self.standing { try await self.clock.sleep(for: Self.look * 4) }
                throw BrimError(
                    .unavailable, "the leading master changed before it answered",
                    advice: "Look whether it was done, and try again")
            }
            defer { group.cancelAll() }
            guard let reply = try await group.next() else { throw CancellationError() }
            return reply
        }
    }

    // MARK: - Terms

    func run() async throws {
        guard let url = try? await cancelWhenGracefulShutdown({ try await self.ownURL() }) else { return }
        let poll = max(.milliseconds(100), min(.milliseconds(500), duration / 10))
        while !Task.isShuttingDownGracefully, !Task.isCancelled {
            if let mandate = await acquire(url, again: poll) { try await lead(mandate, as: url) }
            await clock.pause(poll)
        }
    }

    /// nil when another master leads, or nothing is known.
    private func acquire(_ url: String, again: Duration) async -> Mandate? {
        let asked = clock.now
        do {
            let lease = try await store.acquireLease(holder: holder, url: url, for: duration)
            if lease.holder == holder { return Mandate(term: lease.term, until: asked + duration, clock: clock) }
            follow(lease, besides: url, asked)
        } catch {
            worker.failed(error, again: again)
            logger.debug("the lease cannot be acquired", metadata: ["error": "\(error)"])
        }
        return nil
    }

    private func follow(_ lease: LeadershipLease, besides own: String, _ asked: ContinuousClock.Instant) {
        worker.waits(for: "the lease of \(lease.url), leader of term \(lease.term)", atMost: lease.left)
        // The lease of a master that was here before names nobody who could be asked.
        let isOther = lease.left > .zero && lease.url != own && !lease.url.isEmpty
        let before = state.withLock { state in
            defer {
                state.other = isOther ? (lease.url, asked + lease.left) : nil
                if isOther { state.hasSeenLeader = true }
            }
            return state.other?.url
        }
        name.value = isOther ? lease.url : nil
        if isOther, before != lease.url {
            logger.info(
                "another master leads", metadata: ["master.url": "\(lease.url)", "term": "\(lease.term)"])
        }
    }

    private func lead(_ mandate: Mandate, as url: String) async throws {
        let leadership = make(mandate)
        worker.begins("leads in term \(mandate.term)")
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.serve(leadership, as: url) }
            group.addTask { await self.renew(mandate) }
            group.addTask { try? await mandate.expiry() }
            defer {
                let wasServing = state.withLock { state in
                    defer { state.leadership = nil }
                    return state.leadership != nil
                }
                name.value = nil
                if wasServing { logger.info("this master leads no more", metadata: ["term": "\(mandate.term)"]) }
                // Whoever still acts in this term is refused.
                if !Task.isShuttingDownGracefully { mandate.end() }
                group.cancelAll()
            }
            try await group.next()
        }
        mandate.end()
        worker.did(1)
        worker.rests()
        if Task.isShuttingDownGracefully { await release(mandate) }
    }

    /// So that others need not wait.
    private func release(_ mandate: Mandate) async {
        do {
            try await store.releaseLease(holder: holder, term: mandate.term)
        } catch {
            logger.debug("the lease was not given back", metadata: ["error": "\(error)"])
        }
    }

    /// Runs the services of a term until they are cancelled or shut down.
    private func serve(_ leadership: Leadership, as url: String) async throws {
        do {
            try await leadership.begin()
        } catch {
            worker.failed(error)
            logger.warning("a term cannot begin", metadata: ["error": "\(error)"])
            return
        }
        guard leadership.mandate.isValid, !Task.isCancelled else { return }
        state.withLock { state in
            (state.leadership, state.other, state.hasSeenLeader) = (leadership, nil, true)
        }
        name.value = url
        logger.info("this master leads", metadata: ["term": "\(leadership.mandate.term)"])
        try await withThrowingTaskGroup(of: Void.self) { group in
            for loop in leadership.loops { group.addTask { try await loop.run() } }
            try await group.waitForAll()
        }
    }

    /// Renews the lease each third of its time; returns when it is lost.
    private func renew(_ mandate: Mandate) async {
        var pause = duration / 3
        while (try? await clock.sleep(for: pause)) != nil {
            let asked = clock.now
            do {
                guard try await store.renewLease(holder: holder, term: mandate.term, for: duration) else {
                    return logger.warning("the lease was lost", metadata: ["term": "\(mandate.term)"])
                }
                mandate.prolong(until: asked + duration)
                pause = duration / 3
            } catch {
                pause = duration / 15
                logger.warning("the lease cannot be renewed", metadata: ["error": "\(error)"])
            }
        }
    }
}
