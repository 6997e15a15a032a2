import BrimModel

/// What the planner knows of servers and has promised to them.
///
/// A slave answers an order after it has deleted the order's victims and reserved its pull, so an answered order is inside
/// the usage that comes with the answer, and an order not answered yet is not. Promises therefore live from `ordered` to
/// `acknowledged`; what ends without a usage of its own is *settling* until the server speaks next.
struct Ledger: Sendable {
    private(set) var accounts: [ServerName: Account] = [:]
    private(set) var copies: [FileID: Copy] = [:]
    /// Copies ordered so far.
    private(set) var attempts = 0
    private var grants: [String: Grant] = [:]
    private var round = Round()
    /// Whether a word showed more room than was known of, since somebody looked.
    private var hasNews = false

    struct Copy: Sendable {
        let plan: CopyPlan
        var acknowledged = false
    }

    private struct Grant: Sendable {
        let size: Int64
        /// Those that may not have stored it yet.
        var servers: [ServerName]
        let until: ContinuousClock.Instant
    }

    /// What was decided since pages were last read from the store, by blob: pages may not show it yet.
    private struct Round: Sendable {
        var gaveUp: [BlobID: Set<ServerName>] = [:]
        var ordered: [BlobID: Set<ServerName>] = [:]
    }

    // MARK: - What servers say

    mutating func update(_ servers: [ServerSnapshot]) {
        let names = Set(servers.map(\.name))
        for (name, account) in accounts where !names.contains(name) {
            if account.isIdle {
                accounts[name] = nil
            } else {
                accounts[name]?.close()
            }
        }
        for server in servers {
            if accounts[server.name] == nil {
                accounts[server.name] = Account(server)
            } else {
                learn(of: server.name) { $0.update(server) }
            }
        }
    }

    mutating func heard(_ usage: ServerUsage, from server: ServerName) {
        learn(of: server) { $0.heard(usage) }
    }

    private mutating func learn(of server: ServerName, _ word: (inout Account) -> Void) {
        if accounts[server]?.learn(word) == true { hasNews = true }
    }

    mutating func takeNews() -> Bool {
        defer { hasNews = false }
        return hasNews
    }

    // MARK: - Copies

    mutating func ordered(_ plan: CopyPlan) {
        guard copies[plan.file.file] == nil else { return }
        copies[plan.file.file] = Copy(plan: plan)
        attempts += 1
        round.ordered[plan.file.blob, default: []].insert(plan.target)
        for victim in plan.victims { mark(victim, on: plan.target) }
        accounts[plan.target]?.promise(plan)
        if let source = plan.sources.first { accounts[source]?.serving.begin(plan.file) }
    }

    mutating func acknowledged(_ plan: CopyPlan, usage: ServerUsage?) {
        guard var copy = copies[plan.file.file], copy.plan == plan, !copy.acknowledged else { return }
        copy.acknowledged = true
        copies[plan.file.file] = copy
        accounts[plan.target]?.keep(plan, settling: usage == nil)
        if let usage { heard(usage, from: plan.target) }
    }

    /// The copy is no longer under way, whether it arrived or not.
    mutating func ended(_ plan: CopyPlan, arrived: Bool) {
        guard let copy = copies[plan.file.file], copy.plan == plan else { return }
        copies[plan.file.file] = nil
        if !copy.acknowledged { accounts[plan.target]?.keep(plan, settling: arrived) }
        accounts[plan.target]?.release(plan)
        if let source = plan.sources.first { accounts[source]?.serving.end(plan.file) }
    }

    /// What is under way to a server, by file.
    func copies(to server: ServerName) -> [CopyPlan] {
        copies.values.map(\.plan).filter { $0.target == server }.sorted { $0.file.file < $1.file.file }
    }

    /// Forgets what is under way to a server and returns the copies.
    mutating func lost(_ server: ServerName) -> [CopyPlan] {
        let plans = copies(to: server)
        for plan in plans { ended(plan, arrived: false) }
        accounts[server]?.evicting = [:]
        accounts[server]?.evictingBytes = 0
        return plans
    }

    // MARK: - Evictions alone

    mutating func ordered(_ plan: EvictionPlan) {
        for victim in plan.victims {
            mark(victim, on: plan.server)
            accounts[plan.server]?.evict(victim)
        }
    }

    mutating func ended(_ plan: EvictionPlan, usage: ServerUsage?) {
        for victim in plan.victims { accounts[plan.server]?.evictionEnded(victim) }
        if let usage { heard(usage, from: plan.server) }
    }

    // MARK: - What pages from the store do not show yet

    mutating func mark(_ victim: Victim, on server: ServerName) {
        round.gaveUp[victim.blob, default: []].insert(server)
    }

    /// Keeps only marks of deletions and copies that are still under way: a page may be read just before one ends, and be
    /// looked at just after.
    mutating func forgetRound() {
        round = Round()
        for copy in copies.values { round.ordered[copy.plan.file.blob, default: []].insert(copy.plan.target) }
        for (name, account) in accounts {
            for blob in account.evicting.keys { round.gaveUp[blob, default: []].insert(name) }
        }
    }

    /// The victim as it will be once all that is decided is done; nil when this copy is given up already.
    func current(_ victim: Victim, on server: ServerName) -> Victim? {
        guard let gone = round.gaveUp[victim.blob] else { return victim }
        if gone.contains(server) { return nil }
        var victim = victim
        let stale = victim.replicas.count
        victim.replicas.removeAll(where: gone.contains)
        victim.surplus -= stale - victim.replicas.count
        return victim
    }

    /// Whether a page shows this file as it was before something decided since.
    func isStale(_ file: NeedyFile) -> Bool {
        if let gone = round.gaveUp[file.blob], file.replicas.contains(where: gone.contains) { return true }
        if let added = round.ordered[file.blob], !added.isSubset(of: file.replicas) { return true }
        return false
    }

    // MARK: - Writes

    mutating func granted(
        _ request: String, size: Int64, on servers: [ServerName], until: ContinuousClock.Instant
    ) {
        guard grants[request] == nil else { return }
        let servers = servers.filter { accounts[$0] != nil }
        grants[request] = Grant(size: size, servers: servers, until: until)
        for server in servers { accounts[server]?.granted += size }
    }

    mutating func writeStored(_ request: String, usages: [ServerName: ServerUsage]) {
        guard let grant = grants[request] else { return }
        var others: [ServerName] = []
        for server in grant.servers {
            var isStored = false
            if let usage = usages[server] { learn(of: server) { isStored = $0.stored(grant.size, in: usage) } }
            if !isStored { others.append(server) }
        }
        grants[request]?.servers = others
    }

    mutating func writeEnded(_ request: String) {
        guard let grant = grants[request] else { return }
        writeRevoked(request)
        for server in grant.servers { accounts[server]?.ended += grant.size }
    }

    mutating func writeRevoked(_ request: String) {
        guard let grant = grants.removeValue(forKey: request) else { return }
        for server in grant.servers { accounts[server]?.granted -= grant.size }
    }

    /// When room that is held for a write will be free, if that write does not come; nil when none is held.
    var nextGrantExpiry: ContinuousClock.Instant? { grants.values.map(\.until).min() }

    mutating func expireGrants(at now: ContinuousClock.Instant) {
        for (request, grant) in grants where grant.until <= now { writeRevoked(request) }
    }
}
