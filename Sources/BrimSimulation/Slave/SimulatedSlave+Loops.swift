import BrimModel
import BrimWire

/// The loops that keep a slave a member of its swarm and settle what differs.
extension SimulatedSlave {
    /// Joins, sends heartbeats, joins again when it is not known any more.
    @Sendable func stayMember() async {
        while !Task.isCancelled {
            do {
                var pace = try await join()
                requestReport(anew: true)
                while true {
                    try await sleep(pace)
                    do {
                        try await beat(&pace)
                    } catch let error as BrimError where error.code != .notFound && error.code != .forgotten {
                        world.note(process.name, "not heard", 0, error.message)
                    }
                }
            } catch let error as BrimError where error.code == .forgotten {
                world.note(process.name, "ends", 0, error.message)
                machine.stopped.value = world.scheduler.now
                return process.kill()
            } catch is BrimError {
                state.value.isMember = false
                try? await backOff()
            } catch {
                return
            }
        }
    }

    private func join() async throws -> Duration {
        let kept = disk.state.value
        let request = JoinRequest(
            name: name, id: kept.id, swarm: kept.swarm, address: "\(name):4243", zone: machine.zone, version: "1",
            quota: quotaAsked, usage: usage)
        let reply = try await master { try await $0.join(request, masterHost: "master:4242") }
        let asked = quotaAsked
        try await durably {
            $0.swarm = reply.swarm
            $0.quotaAsked = asked
        }
        try await apply(quota: reply.quota)
        try await learn(term: reply.term)
        state.value.isMember = true
        signals.outbox.raise()
        world.note(process.name, "joined")
        return .milliseconds(max(50, reply.heartbeatMilliseconds))
    }

    private func beat(_ pace: inout Duration) async throws {
        let before = inForce.value
        let request = HeartbeatRequest(
            name: name, id: disk.state.value.id, usage: usage,
            load: ServerLoad(cpu: world.chance(0.02) ? 0.99 : 0, transfers: state.value.active),
            fault: state.value.fault)
        let reply = try await master(deadline: .seconds(5)) {
            try await $0.heartbeat(request, masterHost: "master:4242")
        }
        pace = .milliseconds(max(50, reply.heartbeatMilliseconds))
        // A quota that was set meanwhile is newer than this answer.
        if inForce.value == before { try await apply(quota: reply.quota) }
        if let term = reply.term { try await learn(term: term) }
        if reply.report { requestReport(anew: false) }
    }

    // MARK: - Mail

    /// Tells the master of blobs that were lost here, and of tombstoned ones that are gone, until it has heard.
    @Sendable func sendMail() async {
        while !Task.isCancelled {
            await signals.outbox.wait()
            guard state.value.isMember else { continue }
            do {
                try await send()
            } catch {
                try? await backOff()
                signals.outbox.raise()
            }
        }
    }

    private func send() async throws {
        while !state.value.lost.isEmpty {
            let lost = state.value.lost.sorted()
            // What has come back meanwhile is not lost.
            let gone = LostRequest(
                name: name, id: disk.state.value.id, blobs: lost.filter { disk.state.value.rows[$0] == nil })
            if !gone.blobs.isEmpty { try await master { try await $0.lost(gone) } }
            state.value.lost.subtract(lost)
        }
        while !state.value.deleted.isEmpty {
            let deleted = list(state.value.deleted.sorted())
            try await master { try await $0.deleted(deleted) }
            state.value.deleted.subtract(deleted.blobs)
        }
    }

    // MARK: - Reports

    func requestReport(anew: Bool) {
        if anew || !state.value.isReporting { signals.report.raise() }
    }

    @Sendable func report() async {
        while !Task.isCancelled {
            await signals.report.wait()
            state.value.isReporting = true
            while !Task.isCancelled {
                do {
                    try await reportAll()
                    break
                } catch let error as BrimError where error.code == .notFound || error.code == .forgotten {
                    break
                } catch {
                    try? await backOff()
                }
            }
            state.value.isReporting = false
        }
    }

    private func reportAll() async throws {
        let begun = machine.clock.timestamp
        let id = disk.state.value.id
        var after: BlobID?
        while true {
            let rows = disk.state.value.rows.values.filter { row in after.map { row.blob > $0 } ?? true }
                .sorted { $0.blob < $1.blob }.prefix(Self.reportPage)
            let through = rows.count < Self.reportPage ? nil : rows.last?.blob
            let page = ReportPage(
                name: name, id: id, begun: begun, after: after, through: through, blobs: rows.map(\.report),
                position: disk.state.value.position)
            try await sync()
            try await settle(try await master(deadline: .seconds(60)) { try await $0.report(page) })
            guard let through else { break }
            after = through
        }
        world.note(process.name, "reported", Int64(disk.state.value.rows.count))
    }

    /// Does what a master answered to a report or to a question about pending blobs.
    func settle(_ reply: ReportReply) async throws {
        lost(try await confirm(reply.confirm))
        try await remove(reply.delete)
        deleted(reply.delete)
        lost(reply.check.filter { disk.state.value.rows[$0] == nil })
        for blob in reply.check where disk.state.value.rows[blob] != nil && disk.state.value.blobs[blob] == nil {
            _ = try? await read(blob)
        }
    }

    // MARK: - Pending blobs and completions

    /// Asks about blobs that were received long ago and never confirmed.
    @Sendable func askAboutPending() async {
        while !Task.isCancelled {
            try? await sleep(Self.pendingExpiry / 4)
            guard state.value.isMember, !Task.isCancelled else { continue }
            let before = machine.clock.timestamp.milliseconds - Self.pendingExpiry.microseconds / 1000
            let silent = disk.state.value.rows.values
                .filter { row in
                    !row.isConfirmed && row.created < before && !receiving.isHeld(row.blob)
                        && !state.value.completions.contains { $0.item.blob == row.blob }
                }
                .sorted { $0.blob < $1.blob }
            if !silent.isEmpty { await askAbout(silent) }
        }
    }

    /// A commit was refused: it may have been entered before all the same.
    func askAboutRefused(_ blob: BlobID) async {
        guard let row = disk.state.value.rows[blob], !row.isConfirmed else { return }
        await askAbout([row])
    }

    private func askAbout(_ rows: [SimulatedDisk.Row]) async {
        let request = PendingRequest(
            name: name, id: disk.state.value.id, blobs: rows.map(\.report), position: disk.state.value.position)
        do {
            try await settle(try await master { try await $0.pending(request) })
        } catch {
            world.note(process.name, "pending wait", 0, "\(error)")
        }
    }

    /// Tells the leader how pulls ended, until it has answered.
    @Sendable func sendCompletions() async {
        while !Task.isCancelled {
            await signals.completions.wait()
            while let first = state.value.completions.first, !Task.isCancelled {
                let items = state.value.completions.filter { $0.term == first.term }.map(\.item)
                let request = CompletionsRequest(
                    name: name, id: disk.state.value.id, term: first.term, items: items, usage: usage)
                do {
                    let reply = try await master { try await $0.completions(request) }
                    world.note(process.name, "completed", first.term, "\(items.map(\.sequence)) \(reply)")
                    // What has been given up and pulled again since is another copy, of which another answer tells.
                    let asked = Set(items.map(\.sequence))
                    let missing = try await confirm(reply.keep) { [self] blob in
                        receiving.isHeld(blob)
                            || state.value.completions.contains {
                                $0.item.blob == blob && !($0.term == first.term && asked.contains($0.item.sequence))
                            }
                    }
                    lost(missing)
                    try await removePending(reply.discard)
                } catch let error as BrimError where !error.isUndecided {
                    // Nobody wants to hear it: what arrived is pending, and will be asked about as such.
                    world.note(process.name, "completions refused", 0, error.message)
                } catch {
                    try? await backOff()
                    continue
                }
                let told = Set(items.map(\.sequence))
                state.value.completions.removeAll { $0.term == first.term && told.contains($0.item.sequence) }
            }
        }
    }
}

extension BrimError {
    /// Whether a request that failed so may have been carried out all the same.
    var isUndecided: Bool {
        switch code {
        case .unavailable, .timeout, .internal, .io, .corrupt, .unauthorized, .denied, .notLeader: true
        default: false
        }
    }
}
