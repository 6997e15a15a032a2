import BrimModel

extension Planner {
    /// Copies to give up on a server that uses more than its brim, or nil when there is nothing to do or to give.
    ///
    /// Down to the brim only copies go whose files are not at risk without them: else they would come right back into
    /// the headroom. What is beyond the quota goes down to the floor, whatever it is.
    public func restoreHeadroom(on server: ServerName, richest: [Victim]) -> EvictionPlan? {
        guard let account = ledger.accounts[server] else { return nil }
        let beyondBrim = -account.roomToCome(below: account.server.brim)
        let beyondQuota = -account.roomToCome(below: account.server.quota)
        guard beyondBrim > 0 else { return nil }
        let spare = victims(on: server, atLeast: max(floor, 0) + 1, from: richest)
        if let choice = asMuchAsPossible(of: beyondBrim, among: spare), choice.bytes >= beyondQuota {
            return EvictionPlan(server: server, victims: choice.victims)
        }
        guard beyondQuota > 0 else { return nil }
        return asMuchAsPossible(of: beyondQuota, among: victims(on: server, atLeast: floor + 1, from: richest))
            .map { EvictionPlan(server: server, victims: $0.victims) }
    }

    /// The least surplus of copies that `restoreHeadroom` may give up on a server now.
    public func headroomVictimSurplus(on server: ServerName) -> Int {
        guard let account = ledger.accounts[server], account.roomToCome(below: account.server.quota) < 0 else {
            return max(floor, 0) + 1
        }
        return floor + 1
    }

    /// Copies to give up so that a write under way can go on, for a slave that lacks `bytes`.
    ///
    /// `raisingTo` is the surplus that the new file has once this copy counts; never more than 0, as writes make at most
    /// n copies. Deletions under way are taken off. Nil when not enough may be given up.
    public func roomOnRequest(
        bytes: Int64, on server: ServerName, raisingTo surplus: Int = 0, richest: [Victim]
    ) -> EvictionPlan? {
        guard let account = ledger.accounts[server],
            let choice = VictimChoice(
                freeing: max(0, bytes - account.evictingBytes),
                among: victims(on: server, atLeast: leastVictimSurplus(for: surplus - 1), from: richest),
                atMost: limits.maxVictims)
        else { return nil }
        return EvictionPlan(server: server, victims: choice.victims)
    }

    /// Enough victims for `bytes`, else all of them; nil for none.
    private func asMuchAsPossible(of bytes: Int64, among victims: [Victim]) -> VictimChoice? {
        let victims = Array(victims.prefix(limits.maxVictims))
        let most = min(bytes, victims.reduce(0) { $0 + $1.size })
        return most > 0 ? VictimChoice(freeing: most, among: victims, atMost: limits.maxVictims) : nil
    }
}
