import BrimModel

/// What can happen in one step: something a client wants, or something that goes wrong.
extension World {
    enum Event: String, CaseIterable {
        case write, overwrite, remove, removeNow, rename, changeN, read
        case undelete, restore, purge, drain, undrain, forget
        case crashSlave, crashMaster, startAll, partition, heal, databaseAway, badNetwork
        case diskFull, bitRot, clockJump, quota, diskFault, newServer

        /// How often it happens, compared with the others.
        var weight: Int {
            switch self {
            case .write: 30
            case .overwrite: 12
            case .remove, .read, .heal: 8
            case .undelete: 20
            case .restore: 16
            case .forget: 10
            case .rename, .removeNow, .drain, .undrain: 4
            case .crashSlave, .startAll, .quota, .partition, .changeN: 4
            case .crashMaster, .databaseAway, .badNetwork, .diskFull, .bitRot, .newServer: 2
            case .clockJump, .diskFault, .purge: 1
            }
        }
    }

    private static let paths: [BrimPath] = ["/a", "/b", "/c", "/c/d"].flatMap { directory in
        (0..<8).compactMap { try? BrimPath(parsing: "\(directory)/f\($0)") }
    }
    private static let mostServers = 6

    /// Begins with the masters and a few servers.
    func begin() {
        note("settings", "are", 0, "\(settings)")
        for _ in 0..<Int(number(2...5)) { addServer() }
        for name in SimulatedMaster.names { startMaster(name) }
    }

    /// Lets one thing happen.
    func step() {
        var pick = Int(number(0...Int64(Event.allCases.reduce(-1) { $0 + $1.weight })))
        guard
            let event = Event.allCases.first(where: { event in
                pick -= event.weight
                return pick < 0
            })
        else { return }
        note("step", "event", Int64(event.weight), event.rawValue)
        carryOut(event)
    }

    private func carryOut(_ event: Event) {
        switch event {
        case .write, .overwrite: write(isOverwrite: event == .overwrite)
        case .remove, .removeNow:
            guard let path = file() else { return }
            let now = event == .removeNow
            expectations.value.begin(path, coming: [nil])
            SimulatedClient(world: self, patience: 1).start { try await $0.remove(path, now: now) }
        case .undelete: undelete()
        case .restore:
            guard let path = file() else { return }
            expectations.value.begin(path, coming: Set(expectations.value.history(path).map(\.self)))
            SimulatedClient(world: self, patience: 1).start { try await $0.restore(path) }
        case .purge:
            let path = chance(0.2) ? nil : one(of: Self.paths)
            SimulatedClient(world: self, patience: 1).start { try await $0.purge(path) }
        case .drain, .undrain, .forget: change(event)
        case .rename: rename()
        case .changeN:
            guard let path = file() else { return }
            let n = Int(number(1...4))
            SimulatedClient(world: self, patience: 1).start { try await $0.change(path, n: n) }
        case .read:
            guard let path = file() else { return }
            SimulatedClient(world: self, patience: 1).start { try await $0.read(path) }
        case .crashSlave:
            guard let server = one(of: servers) else { return }
            crash(server)
            if chance(0.7) { startLater(server) }
        case .crashMaster:
            guard let name = one(of: SimulatedMaster.names) else { return }
            masters.value[name]?.process.kill()
            note(name, "crashes")
            scheduler.after(duration(from: .milliseconds(100), to: .seconds(20))) { self.startMaster(name) }
        case .startAll: startAll()
        case .partition: partition()
        case .heal: network.state.value.cuts = []
        case .databaseAway:
            if chance(0.5), let name = one(of: SimulatedMaster.names) {
                database.state.value.cutOff.insert(name)
                note("database", "is out of reach", 0, name)
            } else {
                database.state.value.isAway = true
                note("database", "is away")
            }
            scheduler.after(duration(from: .milliseconds(100), to: .seconds(20))) { self.databaseIsBack() }
        case .badNetwork:
            network.state.value.loss = chance(0.5) ? 0.05 : 0
            network.state.value.repeats = chance(0.5) ? 0.1 : 0
            network.state.value.late = chance(0.5) ? 0.05 : 0
            database.state.value.hiccups = chance(0.5) ? 0.03 : 0
        case .diskFull:
            guard let disk = one(of: servers)?.disk else { return }
            disk.state.value.othersUse = chance(0.5) ? 0 : disk.state.value.capacity
        case .bitRot: rot()
        case .clockJump:
            let offsets = servers.map(\.clock.offset) + SimulatedMaster.names.compactMap { masterOffsets[$0] }
            one(of: offsets)?.value += number(-7200...7200)
        case .quota:
            guard let server = one(of: servers) else { return }
            let quota = number(5...100)
            SimulatedClient(world: self, patience: 1).start { try await $0.setQuota(server.name, quota) }
        case .diskFault: one(of: servers)?.running?.markFailing()
        case .newServer: if members.count < Self.mostServers { addServer() }
        }
    }

    // MARK: - Files

    /// A file that no operation is under way for.
    private func file() -> BrimPath? {
        one(of: expectations.value.idle(among: Self.paths).filter { expectations.value.contents($0) != [nil] })
    }

    private func write(isOverwrite: Bool) {
        guard let path = isOverwrite ? file() : one(of: expectations.value.idle(among: Self.paths)) else { return }
        let content = Content(
            size: chance(0.05) ? 0 : number(1...15), checksum: Checksum(crc32c: random.value.next().low))
        let n = chance(0.2) ? Int(number(1...4)) : nil
        let patience = chance(0.1) ? 1 : 20
        expectations.value.begin(path, coming: [content])
        SimulatedClient(world: self, patience: patience).start { try await $0.write(path, content, n: n) }
    }

    private func rename() {
        guard let from = file(), let to = one(of: expectations.value.idle(among: Self.paths).filter { $0 != from })
        else { return }
        let contents = expectations.value.contents(from)
        expectations.value.begin(from, coming: [nil])
        expectations.value.inherit(to, from: from)
        expectations.value.begin(to, coming: contents)
        SimulatedClient(world: self, patience: 1).start { try await $0.rename(from, to: to) }
    }

    /// Brings back what was removed, under its name or another that is free.
    private func undelete() {
        let free = expectations.value.idle(among: Self.paths).filter { expectations.value.contents($0) == [nil] }
        guard let path = one(of: free.filter { !expectations.value.history($0).isEmpty }) else { return }
        let target = chance(0.2) ? one(of: free) ?? path : path
        expectations.value.inherit(target, from: path)
        expectations.value.begin(target, coming: Set(expectations.value.history(target).map(\.self)))
        // While it is asked for, nothing newer may be removed there.
        if path != target { expectations.value.begin(path, coming: [nil]) }
        SimulatedClient(world: self, patience: 1).start { try await $0.undelete(path, to: target) }
    }

    // MARK: - Machines

    /// Somebody wants a server to leave, or to stay.
    private func change(_ event: Event) {
        let idle = members.filter { !changing.value.contains($0.name) }
        let drains = database.state.value.drains
        // Forgotten are mostly those that are draining; of others this is refused, unless they are down.
        let fitting = idle.filter { (drains[$0.name] != nil) == (event != .drain) }
        guard let server = one(of: event == .forget && chance(0.2) ? idle : fitting) else { return }
        SimulatedClient(world: self, patience: 1).start { client in
            if event == .forget {
                try await client.forget(server)
            } else {
                try await client.drain(server.name, event == .drain)
            }
        }
    }

    /// Who was forgotten may come again, with an empty disk.
    private func addServer() {
        let number = added.value
        added.value += 1
        let former = servers.filter(\.isForgotten.value)
        guard let name = (chance(0.5) ? one(of: former)?.name : nil) ?? ServerName(rawValue: "s\(number)") else {
            return
        }
        if let machine = machine(name) { crash(machine) }
        let quota = self.number(10...80)
        let disk = SimulatedDisk(id: "id-\(number)", capacity: 200)
        let machine = Machine(name: name, zone: "z\(number % 3)", disk: disk, scheduler: scheduler)
        machine.requestedQuota.value = quota
        machines.value[name] = machine
        start(machine)
    }

    func crash(_ machine: Machine) {
        guard let slave = machine.running else { return }
        note(machine.name.rawValue, "crashes")
        slave.process.kill()
        machine.stopped.value = scheduler.now
    }

    /// Starts a stopped slave; what it had sent to its disk has arrived by then.
    func start(_ machine: Machine) {
        guard !isOver.value, !away.value.contains(machine.name), machine.running == nil,
            scheduler.now - machine.stopped.value >= 50_000
        else { return }
        let slave = SimulatedSlave(world: self, machine: machine, quotaAsked: machine.requestedQuota.value)
        machine.slave.value = slave
        slave.start()
    }

    private func startLater(_ machine: Machine) {
        scheduler.after(duration(from: .milliseconds(100), to: .seconds(40))) { self.start(machine) }
    }

    func startMaster(_ name: String) {
        guard !isOver.value, masters.value[name]?.process.isAlive != true else { return }
        let started = SimulatedMaster(name, world: self)
        masters.value[name] = started
        started.start()
    }

    func startAll() {
        for server in servers { start(server) }
        for name in SimulatedMaster.names { startMaster(name) }
    }

    func databaseIsBack() {
        database.state.value.isAway = false
        database.state.value.cutOff = []
        note("database", "is back")
    }

    private func partition() {
        let names = servers.map(\.name.rawValue) + SimulatedMaster.names + [SimulatedClient.name]
        guard let one = one(of: names),
            let other = chance(0.5) ? self.one(of: SimulatedMaster.names) : self.one(of: names)
        else { return }
        network.state.value.cuts.insert([one, other])
        if chance(0.7) { network.state.value.cuts.insert([other, one]) }
        note("network", "is cut", 0, "\(one) \(other)")
    }

    /// Damages a copy, as long as the file keeps a good one whatever else was damaged: only losing fewer than W copies may
    /// be survived.
    private func rot() {
        guard settings.writeCopies >= 2, settings.copies >= 2, settings.floor >= 0 else { return }
        let candidates = servers.flatMap { server in
            server.disk.state.value.blobs.keys.sorted().filter { mayRot($0, on: server) }.map { (server, $0) }
        }
        guard let (server, blob) = one(of: candidates), let found = server.disk.state.value.blobs[blob] else { return }
        damaged.value[blob] = [server.name]
        server.disk.state.value.blobs[blob]?.checksum = Checksum(crc32c: ~found.checksum.crc32c)
        note(server.name.rawValue, "rots", 0, "\(blob)")
        count(.rotten)
    }

    /// Whether it is one of several good copies of a file, of which none is damaged.
    private func mayRot(_ blob: BlobID, on server: Machine) -> Bool {
        guard let found = server.disk.state.value.blobs[blob], database.state.value.live.contains(blob),
            (damaged.value[blob] ?? []).isEmpty
        else { return false }
        let good = members.filter { $0.disk.holds(blob, found.checksum) }.map(\.name)
        return good.contains(server.name) && good.count >= 2
    }
}

extension UInt64 {
    fileprivate var low: UInt32 { UInt32(truncatingIfNeeded: self) }
}
