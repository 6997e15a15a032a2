import BrimModel

/// Decides where copies go and which are given up for them.
///
/// A pure value: events in, decisions out. The actor around it reads candidates from the metadata store, asks, tells the
/// planner what it orders (`ordered`, before anything is awaited) and how that went (`acknowledged`, then `completed` or
/// `failed`), and carries the plans out. Orders to one server are sent in the order they were planned.
///
/// Giving a copy up for another raises the sorted list of all surpluses each time, so that the process ends; see
/// `makeRoom(for:on:richest:)` for the two bounds.
public struct Planner: Sendable {
    /// A copy is given up only if its file keeps at least this surplus. May be changed at any time.
    public var floor: Int
    public var limits: PlannerLimits
    var ledger = Ledger()

    public init(floor: Int, limits: PlannerLimits = PlannerLimits()) {
        self.floor = floor
        self.limits = limits
    }

    // MARK: - What servers say

    /// Replaces what is known of all servers. A usage older than one already heard is left out.
    public mutating func update(servers: [ServerSnapshot]) { ledger.update(servers) }

    /// Takes over a server's latest word; older words of the same start are ignored.
    public mutating func heard(_ usage: ServerUsage, from server: ServerName) { ledger.heard(usage, from: server) }

    /// Whether words of servers showed more room than was known of since this was asked last.
    public mutating func takeNews() -> Bool { ledger.takeNews() }

    /// Servers that take copies and have not told yet what they have: until then no other copy gives way because of theirs.
    public var unreconciled: [ServerName] {
        ledger.accounts.values.map(\.server).filter { $0.receives && !$0.reconciled }.map(\.name).sorted()
    }

    /// Whether the next word of one of these servers may show more room than is known of.
    public func isUnsettled(_ servers: [ServerName]) -> Bool {
        servers.contains { ledger.accounts[$0]?.isUnsettled == true }
    }

    /// Those of these servers for which something that is over is held until their next word, which may show it already.
    public func awaitingWord(_ servers: [ServerName]) -> [ServerName] {
        servers.filter { ledger.accounts[$0]?.awaitsWord == true }
    }

    /// What is known of a server, with the latest usage heard.
    public func server(_ name: ServerName) -> ServerSnapshot? { ledger.accounts[name]?.server }

    /// How large a file each counted server may hold, or holds already, in bytes, falling: what the store's `neediest`
    /// takes to leave out capped files.
    ///
    /// Not just the brims: files at risk may use the headroom, and a server whose quota was lowered may hold files larger
    /// than that. Every holder is so counted as large enough, and "more servers are large enough than hold it" means
    /// that one without a copy is.
    public var countedBrims: [Int64] {
        ledger.accounts.values.filter(\.server.counted).map { max($0.server.quota, $0.server.used) }.sorted(by: >)
    }

    /// Receiving servers that use more than their brim, deletions under way taken off; most above it first.
    public var aboveBrim: [ServerName] {
        ledger.accounts.values
            .filter { $0.server.receives && $0.roomToCome(below: $0.server.brim) < 0 }
            .sorted {
                ($0.roomToCome(below: $0.server.brim), $0.server.name)
                    < ($1.roomToCome(below: $1.server.brim), $1.server.name)
            }
            .map(\.server.name)
    }

    /// When room that is held for a write will be free, if that write does not come; nil when none is held.
    public var nextGrantExpiry: ContinuousClock.Instant? { ledger.nextGrantExpiry }

    // MARK: - What is under way

    /// Notes a plan that is about to be carried out: room is promised, victims count as given up, the file is being
    /// copied. No effect while another copy of the file is under way.
    public mutating func ordered(_ plan: CopyPlan) { ledger.ordered(plan) }

    /// The target has deleted the victims and reserved the bytes; `usage` is what it said then.
    public mutating func acknowledged(_ plan: CopyPlan, usage: ServerUsage?) { ledger.acknowledged(plan, usage: usage) }

    /// The copy has arrived and metadata says so (or it was discarded).
    public mutating func completed(_ plan: CopyPlan) { ledger.ended(plan, arrived: true) }

    /// The copy will not come.
    public mutating func failed(_ plan: CopyPlan) { ledger.ended(plan, arrived: false) }

    /// Notes evictions that are about to be carried out.
    public mutating func ordered(_ plan: EvictionPlan) { ledger.ordered(plan) }

    /// The server has deleted these.
    public mutating func acknowledged(_ plan: EvictionPlan, usage: ServerUsage?) { ledger.ended(plan, usage: usage) }

    /// These will not be deleted.
    public mutating func failed(_ plan: EvictionPlan) { ledger.ended(plan, usage: nil) }

    /// Marks one copy as given up until the next `forgetRound`; `ordered` does so for the victims of its plan.
    public mutating func gaveUp(_ victim: Victim, on server: ServerName) { ledger.mark(victim, on: server) }

    /// Forgets what pages read so far did not show yet. To be called right before new pages are read.
    public mutating func forgetRound() { ledger.forgetRound() }

    /// A server went down or restarted: forgets what is under way to it, and returns the copies.
    public mutating func lost(_ server: ServerName) -> [CopyPlan] { ledger.lost(server) }

    public func underWay(_ file: FileID) -> CopyPlan? { ledger.copies[file]?.plan }

    public var copiesUnderWay: Int { ledger.copies.count }

    public func copiesUnderWay(to server: ServerName) -> [CopyPlan] {
        ledger.copies(to: server)
    }

    // MARK: - Rest

    /// Whether nothing can be done for any file of this surplus that is at least so large.
    ///
    /// `smallest` is the size of the level's smallest file in bytes; `givable` the bytes of the copies on each server that
    /// have `leastVictimSurplus(for:)` or more (absent: none). False promises nothing; true stays so until one of these
    /// numbers or a server's room changes.
    public func atRest(level: Int, smallest: Int64, givable: [ServerName: Int64]) -> Bool {
        ledger.accounts.values.allSatisfy { account in
            guard let lacking = lacking(smallest, surplus: level, on: account) else { return true }
            return lacking > givable[account.server.name, default: 0]
        }
    }

    /// Bytes to be freed on each server that could take a file of this surplus and size: 0 where there is room.
    public func lacking(level: Int, size: Int64) -> [ServerName: Int64] {
        ledger.accounts.compactMapValues { lacking(size, surplus: level, on: $0) }
    }

    private func lacking(_ size: Int64, surplus: Int, on account: Account) -> Int64? {
        let limit = limit(account.server, surplus: surplus, size: size)
        return account.server.receives && size <= limit ? account.lacking(size, below: limit) : nil
    }

    // MARK: - Shared rules

    /// The least surplus of a copy that may be given up for one more copy of a file with this surplus.
    public func leastVictimSurplus(for surplus: Int) -> Int { max(surplus + 2, floor + 1) }

    /// Bytes up to which a server may be filled for a file: headroom is for files at risk, and for those that take none.
    func limit(_ server: ServerSnapshot, surplus: Int, size: Int64) -> Int64 {
        surplus < 0 || size == 0 ? server.quota : server.brim
    }
}
