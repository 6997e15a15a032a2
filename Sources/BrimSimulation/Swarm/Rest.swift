import BrimMetadata
import BrimModel
import BrimWire

/// Rest, and what must hold there, judged by definition and not by the planner's code.
extension World {
    /// The metadata at one moment.
    struct Snapshot: Sendable {
        var entries: [Entry]
        var view: ServerView
        var undeleted: [BlobID: Set<ServerName>]
        /// What is in the trash, by what it was.
        var discarded: [BlobOwner]
        var servers: [ServerRecord]

        var files: [(entry: Entry, content: FileContent)] {
            entries.compactMap { entry in entry.content.map { (entry, $0) } }
        }

        /// All that has a blob.
        var contents: [FileContent] { files.map(\.content) + discarded.map(\.content) }

        /// Files whose k is not the number of their counted copies.
        var miscounted: [FileContent] {
            contents.filter { $0.k != $0.replicas.count(where: view.counted.contains) }
        }
    }

    func snapshot() async -> Snapshot {
        await database.inspect {
            Snapshot(
                entries: $0.entries, view: $0.view(), undeleted: $0.undeleted, discarded: $0.discarded,
                servers: $0.members)
        }
    }

    /// Servers that are there.
    var present: [Machine] { members.filter { !away.value.contains($0.name) } }

    /// All faults end, and everything is started but a server that sometimes stays away.
    func calm() {
        note("calm", "begins")
        network.state.value.cuts = []
        network.state.value.loss = 0
        network.state.value.repeats = 0
        network.state.value.late = 0
        database.state.value.hiccups = 0
        databaseIsBack()
        if members.count >= 3, chance(0.3), let server = one(of: members) {
            away.value = [server.name]
            crash(server)
        }
        for server in servers {
            server.clock.offset.value = 0
            server.disk.state.value.othersUse = 0
            // A disk that failed is trusted again after a start.
            if server.running?.state.value.fault != nil { crash(server) }
        }
        scheduler.after(.milliseconds(100)) { self.startAll() }
    }

    /// Has every server read all that it holds.
    func scrub() {
        for slave in servers.compactMap(\.running) { _ = slave.process.spawn { try? await slave.scrub() } }
    }

    /// Nil when nothing is under way; else what is.
    func unrest() async -> String? {
        if expectations.value.isBusy { return "clients are at work" }
        guard changing.value.isEmpty else { return "servers are being changed" }
        guard let core = leader else { return "no leader" }
        for server in present {
            guard let slave = server.running else { return "\(server.name) is stopped" }
            let state = slave.state.value
            guard state.isMember else { return "\(server.name) has not joined" }
            guard state.lost.isEmpty, state.deleted.isEmpty else { return "\(server.name) has mail" }
            guard state.completions.isEmpty, state.pulls.isEmpty, state.active == 0 else {
                return "\(server.name) pulls"
            }
            guard !state.isReporting else { return "\(server.name) reports" }
            guard !server.disk.state.value.rows.values.contains(where: { $0.isPending(at: server.clock) }) else {
                return "\(server.name) has pending blobs"
            }
        }
        let snapshot = await snapshot()
        let names = Set(present.map(\.name))
        guard !snapshot.servers.contains(where: { $0.forget != nil }) else { return "a server is being forgotten" }
        guard !snapshot.discarded.contains(where: { $0.kind == .former }) else { return "former versions wait" }
        let staying = names.subtracting(database.state.value.drains.keys)
        guard snapshot.view.up == staying, snapshot.view.counted == staying, snapshot.view.readable == names else {
            return "up are \(snapshot.view.up), counted \(snapshot.view.counted)"
        }
        let undeleted = snapshot.undeleted.values.count { !$0.isDisjoint(with: names) }
        guard undeleted == 0 else { return "\(undeleted) blobs are still to be deleted" }
        guard !core.holdsRoomForWrites else { return "room is held for writes that may still come" }
        let progress = await core.progress
        return progress.atRest ? nil : "\(progress.copying) copies are under way"
    }

    /// What must hold when nothing is under way.
    func checkRest(_ snapshot: Snapshot) {
        count(.rest)
        if let file = snapshot.miscounted.first { fail("at rest, copies are counted wrongly: \(file)") }
        checkNames(snapshot)
        for content in snapshot.contents {
            for name in content.replicas
            where !away.value.contains(name) && machine(name)?.disk.holds(content.blob, content.checksum) != true {
                fail("at rest, \(name) does not have \(content.blob) of \(content.replicas)")
            }
        }
        let placed = Set(
            snapshot.contents.flatMap { content in
                content.replicas.map { Placement(blob: content.blob, server: $0) }
            })
        for server in present {
            for blob in server.disk.state.value.blobs.keys.sorted()
            where !placed.contains(Placement(blob: blob, server: server.name)) && !server.isFromTheFuture(blob) {
                let isListed = server.disk.state.value.rows[blob] != nil
                fail("at rest, \(server.name) keeps \(blob), which no file has there (listed there: \(isListed))")
            }
            let (used, stored) = (server.running?.quota.usage().used ?? 0, server.disk.state.value.stored)
            if used != stored { fail("at rest, \(server.name) counts \(used) bytes and holds \(stored)") }
            checkHeadroom(server, snapshot)
        }
        for (entry, content) in snapshot.files {
            if let server = present.first(where: { canCopy(content, entry.id, to: $0, snapshot) }) {
                fail("at rest, \(entry.id) (\(content)) could be copied to \(describe(server, snapshot))")
            }
        }
    }

    /// Nothing names a server that was forgotten.
    private func checkNames(_ snapshot: Snapshot) {
        let known = Set(snapshot.servers.map(\.name))
        // One that stays away may never have come to join.
        let expected = members.filter { !away.value.contains($0.name) || $0.disk.state.value.swarm != nil }
        if !known.isSubset(of: members.map(\.name)) || !known.isSuperset(of: expected.map(\.name)) {
            fail("at rest, the servers are \(known.sorted())")
        }
        for content in snapshot.contents where !known.isSuperset(of: content.replicas) {
            fail("at rest, \(content.blob) names \(content.replicas), and the servers are \(known.sorted())")
        }
        for (blob, servers) in snapshot.undeleted where !known.isSuperset(of: servers) {
            fail("at rest, the tombstone of \(blob) names \(servers.sorted())")
        }
    }

    private struct Placement: Hashable {
        var blob: BlobID
        var server: ServerName
    }

    private func describe(_ server: Machine, _ snapshot: Snapshot) -> String {
        let held = snapshot.files.filter { $0.content.replicas.contains(server.name) }
            .map { "\($0.entry.id): \($0.content.size) bytes at \($0.content.surplus)" }
        return
            "\(server.name), which uses \(server.disk.state.value.stored) of \(quota(server)), brim \(brim(server)), "
            + "disk \(server.disk.state.value.available): \(held.joined(separator: ", "))"
    }

    // MARK: - By definition

    private func quota(_ server: Machine) -> Int64 { server.running?.inForce.value ?? 0 }

    private func brim(_ server: Machine) -> Int64 { settings.headroom.brim(ofQuota: quota(server)) }

    /// Bytes of copies that may be given up on a server so that their files keep `keeping`; of what is in the trash, all.
    private func mayGo(on server: Machine, keeping: Int, besides: FileID? = nil, _ snapshot: Snapshot) -> Int64 {
        let trash = snapshot.discarded.reduce(0) { sum, owner in
            owner.content.replicas.contains(server.name) ? sum + owner.content.size : sum
        }
        return snapshot.files.reduce(trash) { sum, file in
            guard file.content.replicas.contains(server.name), file.entry.id != besides,
                file.content.surplus - 1 >= keeping,
                file.content.replicas.contains(where: { $0 != server.name && snapshot.view.up.contains($0) })
            else { return sum }
            return sum + file.content.size
        }
    }

    /// Whether section 4's rules 2 or 3 allow one more copy of a file on a server.
    private func canCopy(_ file: FileContent, _ id: FileID, to server: Machine, _ snapshot: Snapshot) -> Bool {
        guard snapshot.view.up.contains(server.name), file.readable, !file.replicas.contains(server.name),
            file.k < settings.maxCopies
        else { return false }
        let limit = file.surplus < 0 || file.size == 0 ? quota(server) : brim(server)
        guard file.size <= limit else { return false }
        let disk = server.disk.state.value
        let lacking = max(disk.stored + file.size - limit, file.size - disk.available)
        return lacking
            <= mayGo(
                on: server, keeping: max(settings.floor, file.surplus + 1), besides: id, snapshot)
    }

    private func checkHeadroom(_ server: Machine, _ snapshot: Snapshot) {
        // Of one that is draining nothing is given up: what it has goes to others.
        guard snapshot.view.up.contains(server.name) else { return }
        let stored = server.disk.state.value.stored
        if stored > brim(server), mayGo(on: server, keeping: max(settings.floor, 0), snapshot) > 0 {
            fail("at rest, headroom of \(server.name) could be restored: \(stored) above \(brim(server))")
        }
        if stored > quota(server), mayGo(on: server, keeping: settings.floor, snapshot) > 0 {
            fail("at rest, \(server.name) could come nearer to its quota: \(stored) of \(quota(server))")
        }
    }
}

extension SimulatedDisk.Row {
    /// Whether the slave is about to ask what becomes of the blob. Of one that was entered while the clock was ahead it asks
    /// when the clock has come there.
    func isPending(at clock: SimulatedClock) -> Bool {
        !isConfirmed && created <= clock.timestamp.milliseconds
    }
}

extension Machine {
    func isFromTheFuture(_ blob: BlobID) -> Bool {
        disk.state.value.rows[blob].map { !$0.isConfirmed && !$0.isPending(at: clock) } ?? false
    }
}
