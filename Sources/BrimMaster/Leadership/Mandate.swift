import BrimMetadata
import BrimModel
import BrimWire
import Synchronization

/// One term of leadership as the leader knows of it: it may act until its own steady clock says that the lease may have run
/// out, counted from before the lease was asked for. What is tested with it needs no answer of the database.
final class Mandate: Sendable {
    let term: Int64
    private let until: Mutex<ContinuousClock.Instant>
    private let clock: any BrimClock

    init(term: Int64, until: ContinuousClock.Instant, clock: any BrimClock) {
        self.term = term
        self.until = Mutex(until)
        self.clock = clock
    }

    var isValid: Bool { clock.now < until.withLock { $0 } }

    /// Throws `.unavailable` from the moment that another master may lead.
    func check() throws {
        guard isValid else { throw Refusal.leadsNoMore }
    }

    func prolong(until time: ContinuousClock.Instant) { until.withLock { $0 = max($0, time) } }

    /// It is over, whatever the clock says.
    func end() {
        let now = clock.now
        until.withLock { $0 = min($0, now) }
    }

    /// Returns when it is over; throws when cancelled.
    func expiry() async throws {
        while true {
            let left = until.withLock { $0 } - clock.now
            guard left > .zero else { return }
            try await clock.sleep(for: left)
        }
    }
}

/// The view that a leader counts with, for as long as it leads.
struct LeaderViews: Views {
    let keeper: any Views
    let mandate: Mandate

    /// Throws `.unavailable` when it is too old, or the lease may have run out: who changes copies asks for it right before.
    func current() async throws -> ServerView {
        let view = try await keeper.current()
        try mandate.check()
        return view
    }

    func take(_ view: ServerView, readAt at: ContinuousClock.Instant) async { await keeper.take(view, readAt: at) }
}

/// A leader's calls to slaves, for as long as it leads.
struct LeaderSlaves: SlaveLink {
    let base: any SlaveLink
    let mandate: Mandate

    func order(_ slave: Peer, _ batch: OrderBatch, deadline: Duration) async throws -> OrderReply {
        try mandate.check()
        return try await base.order(slave, batch, deadline: deadline)
    }

    func setQuota(_ slave: Peer, _ quota: Int64) async throws -> ServerUsage {
        try mandate.check()
        return try await base.setQuota(slave, quota)
    }

    func usage(_ slave: Peer) async throws -> ServerUsage { try await base.usage(slave) }

    func introduce(_ masters: [String], to slave: Peer) async throws {
        try mandate.check()
        try await base.introduce(masters, to: slave)
    }
}

extension Refusal {
    static let leadsNoMore = BrimError(
        .unavailable, "this master leads no more", advice: "Try again in a moment: another one is about to")
    static let doesNotLead = BrimError(.notLeader, "this master does not lead", advice: "Ask another one")
    static let nobodyLeads = BrimError(
        .unavailable, "no master leads at this moment", advice: "Try again in a few seconds")
    static func notLeader(_ leader: String) -> BrimError {
        var error = BrimError(.notLeader, "this master does not lead", advice: "Ask \(leader)")
        error.leader = leader
        return error
    }
}
