import BrimModel

extension Planner {
    /// Chooses where one more copy of a file goes: a zone without a copy first, then the emptiest server by share of its
    /// quota. Files at risk may use the headroom; others fill servers to their brim only.
    public func place(_ file: NeedyFile) -> Placement {
        if ledger.copies[file.file] != nil || ledger.isStale(file) { return .wait }
        let holders = file.replicas.compactMap { ledger.accounts[$0] }
        guard holders.count(where: \.server.counted) < limits.maxCopies else { return .capped }

        let sources = sources(of: file)
        // A copy that does not count spreads nothing: a draining server's will be gone.
        let zones = Set(holders.filter(\.server.counted).map(\.server.zone))
        func rank(_ account: Account) -> (Int, Int, Double, Double, ServerName) {
            let server = account.server
            return (
                zones.contains(server.zone) ? 1 : 0, isOverloaded(server) ? 1 : 0, account.fill, server.load.peak,
                server.name
            )
        }
        // In one pass, which gathers nothing: there may be thousands of servers, and each copy takes one.
        var (isCapped, isOpen, isBusy) = (true, false, false)
        var best: (Int, Int, Double, Double, ServerName)?
        for account in ledger.accounts.values where mayHold(file, account.server) {
            isCapped = false
            guard account.server.receives else { continue }
            let hasRoom = hasRoom(file, account)
            guard accepts(file, account) else {
                isBusy = isBusy || hasRoom
                continue
            }
            isOpen = true
            guard hasRoom else { continue }
            let rank = rank(account)
            if best.map({ rank < $0 }) ?? true { best = rank }
        }
        if isCapped { return .capped }
        guard !sources.isEmpty, isOpen else { return .wait }
        if let target = best?.4 {
            return .copy(CopyPlan(file: file, target: target, sources: sources, attempt: ledger.attempts))
        }
        // Room that is only busy is worth waiting for: filling it costs nobody a copy.
        if isBusy { return .wait }
        let open = ledger.accounts.values.filter {
            mayHold(file, $0.server) && $0.server.receives && accepts(file, $0)
        }
        func promise(_ account: Account) -> (Int, Int64, ServerName) {
            let lacking = account.lacking(file.size, below: limit(of: account.server, for: file))
            return (zones.contains(account.server.zone) ? 1 : 0, lacking, account.server.name)
        }
        return .makeRoom(open.sorted { promise($0) < promise($1) }.map(\.server.name))
    }

    /// Whether a file that has to wait can be placed as soon as enough of the copies under way have ended.
    public func waitsForCopies(_ file: NeedyFile) -> Bool {
        ledger.copies[file.file] == nil && !ledger.isStale(file)
            && file.replicas.contains { ledger.accounts[$0]?.server.readable == true }
            && ledger.accounts.values.contains { $0.server.receives && mayHold(file, $0.server) }
    }

    /// Bytes to be freed on a server before it can take one more copy of the file; 0 when there is room, `Int64.max` when
    /// it can never take one.
    public func bytesToFree(for file: NeedyFile, on server: ServerName) -> Int64 {
        guard let account = ledger.accounts[server], mayHold(file, account.server) else { return .max }
        return account.lacking(file.size, below: limit(of: account.server, for: file))
    }

    /// Chooses copies to give up for one more copy of a file.
    ///
    /// Each victim's file keeps at least the surplus that the needy file has after the copy, and at least the floor.
    /// Taken is the server whose worst victim has the most surplus, then the fewest victims, then the least bytes; among
    /// equals the first of `candidates`. `richest` gives copies on a server with at least `leastVictimSurplus(for:)`, most
    /// surplus first, enough of them for `bytesToFree(for:on:)` where there are. A plan without victims means that
    /// deletions under way make enough room. Nil: no legal choice among the copies shown, or the file is busy.
    public func makeRoom(
        for file: NeedyFile, on candidates: [ServerName], richest: (ServerName) -> [Victim]
    ) -> CopyPlan? {
        if ledger.copies[file.file] != nil || ledger.isStale(file) { return nil }
        let sources = sources(of: file)
        guard !sources.isEmpty else { return nil }
        let least = leastVictimSurplus(for: file.surplus)
        var best: (server: ServerName, choice: VictimChoice)?
        for name in candidates {
            guard let account = ledger.accounts[name], account.server.receives, mayHold(file, account.server),
                accepts(file, account),
                let choice = VictimChoice(
                    freeing: account.lacking(file.size, below: limit(of: account.server, for: file)),
                    among: victims(on: name, atLeast: least, from: richest(name), sparing: file.file),
                    atMost: limits.maxVictims)
            else { continue }
            if best.map({ choice.isBetter(than: $0.choice) }) ?? true { best = (name, choice) }
        }
        return best.map {
            CopyPlan(
                file: file, target: $0.server, sources: sources, victims: $0.choice.victims, attempt: ledger.attempts)
        }
    }

    /// Copies that may be given up on a server, as they are now: with enough surplus, not part of a copy under way, and
    /// with another holder that is up and reconciled. Of trash the last copy may go too.
    func victims(
        on server: ServerName, atLeast least: Int, from richest: [Victim], sparing spared: FileID? = nil
    ) -> [Victim] {
        richest.compactMap { listed in
            guard listed.file != spared, ledger.copies[listed.file] == nil,
                let victim = ledger.current(listed, on: server), victim.surplus >= least,
                Trash.isTrash(surplus: victim.surplus)
                    || victim.replicas.contains(where: { $0 != server && isRelied(on: $0) })
            else { return nil }
            return victim
        }
    }

    private func isRelied(on server: ServerName) -> Bool {
        ledger.accounts[server].map { $0.server.receives && $0.server.reconciled } ?? false
    }

    func isOverloaded(_ server: ServerSnapshot) -> Bool { server.load.peak > limits.peakLoadLimit }

    /// Readable holders with a free slot: those up first, then the least busy.
    private func sources(of file: NeedyFile) -> [ServerName] {
        func rank(_ account: Account) -> (Int, Int, Double, ServerName) {
            (
                account.server.receives ? 0 : 1, account.serving.weight(limits.smallPerTransfer),
                account.server.load.peak, account.server.name
            )
        }
        return file.replicas.compactMap { ledger.accounts[$0] }
            .filter { $0.server.readable && hasSlot($0.serving, of: limits.maxTransfersPerSource, for: file) }
            .sorted { rank($0) < rank($1) }
            .map(\.server.name)
    }

    /// Whether the server, were it empty and idle, could take one more copy: it counts, lacks the file, is large enough.
    private func mayHold(_ file: NeedyFile, _ server: ServerSnapshot) -> Bool {
        (server.receives || server.counted) && !file.replicas.contains(server.name)
            && file.size <= limit(of: server, for: file)
    }

    private func limit(of server: ServerSnapshot, for file: NeedyFile) -> Int64 {
        limit(server, surplus: file.surplus, size: file.size)
    }

    private func hasRoom(_ file: NeedyFile, _ account: Account) -> Bool {
        file.size <= account.room(below: limit(of: account.server, for: file))
    }

    /// Spare copies leave a quarter of the slots to files at risk: however much room a new server has for them, it does
    /// not keep others from being repaired.
    private func hasSlot(_ transfers: Transfers, of all: Int, for file: NeedyFile) -> Bool {
        let slots = file.surplus < 0 ? all : max(1, all - all / 4)
        return transfers.weight(limits.smallPerTransfer) < slots * limits.smallPerTransfer
    }

    /// Whether the server is free to take one more copy now. While it deletes one of the same blob it would take that for it.
    private func accepts(_ file: NeedyFile, _ account: Account) -> Bool {
        account.evicting[file.blob] == nil
            && hasSlot(account.receiving, of: limits.maxTransfersPerTarget, for: file)
            && (account.receiving.isEmpty
                || account.receivingBytes + file.size <= limits.maxBytesInFlightPerTarget)
            && (file.surplus < 0 || account.receiving.isEmpty || !isOverloaded(account.server))
    }
}
