import BrimMaster
import BrimMetadata
import BrimModel
import BrimTestKit

/// Compares every change with the rules of docs/simulation.md, where it takes effect.
struct Judge: Sendable {
    /// How long a view may be counted with after the next was published: `ViewKeeper.maxAge` and a call on its way.
    private static let viewAge: Int64 = 6_000_000

    let world: World

    /// A master published a view.
    func published(_ view: ServerView) {
        let now = world.scheduler.now
        for (epoch, known) in world.database.state.value.views where known.until == nil {
            world.database.state.value.views[epoch]?.until = now
        }
        world.database.state.value.views[view.epoch] = (view, nil)
    }

    /// Commits name only servers on which the blob is durable.
    func committed(_ writes: [BlobCommit], _ outcomes: [Result<CommitOutcome, BrimError>]) {
        for (write, outcome) in zip(writes, outcomes) {
            // Asked again, it may have moved since.
            guard case .success = outcome, !world.database.state.value.live.contains(write.blob),
                !world.database.state.value.gone.contains(write.blob)
            else { continue }
            for server in write.replicas {
                guard let disk = world.machine(server)?.disk else { continue }
                if !disk.holds(write.blob, write.checksum), !world.isDamaged(write.blob, on: server) {
                    world.fail("\(write.blob) is committed and is not durable on \(server)")
                }
            }
        }
    }

    /// Names or blobs changed: a blob that was removed or overwritten is never a file's again.
    func changed(_ store: isolated InMemoryMetadataStore) {
        let live = Set(store.entries.compactMap { $0.content?.blob })
        let former = world.database.state.value.live
        let gone = world.database.state.value.gone.union(former.subtracting(live))
        if let back = live.intersection(gone).min() { world.fail("\(back) was removed and comes back") }
        world.database.state.value.live = live
        world.database.state.value.gone = gone
    }

    /// A copy was given up: above the floor, and another holder is up, in a view that is not too old.
    func gaveUp(_ change: ReplicaChange, _ entry: Entry?, view: ServerView) {
        guard let entry, let content = entry.content else {
            return world.fail("a copy of \(change.file) is given up, which is no file")
        }
        let known = world.database.state.value.views[view.epoch]
        if known?.view != view { world.fail("copies are counted with a view that nobody published") }
        if let until = known?.until, world.scheduler.now - until > Self.viewAge {
            world.fail("copies are counted with a view that was replaced \(world.scheduler.now - until) µs ago")
        }
        let surplus = content.replicas.count(where: view.counted.contains) - content.n
        world.count(.givenUp)
        world.note("judge", "gave up", Int64(surplus), "\(change.blob) of \(content.replicas) on \(change.server)")
        if surplus <= world.settings.floor {
            world.fail(
                "\(change.blob) on \(change.server) is given up at surplus \(surplus), at or below the floor of "
                    + "\(world.settings.floor)")
        }
        if !content.replicas.contains(where: { $0 != change.server && view.up.contains($0) }) {
            world.fail("\(change.blob) on \(change.server) is given up while no other holder is up")
        }
    }
}

extension World {
    /// Whether chance has destroyed this copy.
    func isDamaged(_ blob: BlobID, on server: ServerName) -> Bool {
        damaged.value[blob]?.contains(server) ?? false
    }

    /// What must hold after every step.
    func checkAlways(_ entries: [Entry]) {
        checkQuotas()
        let places = Dictionary(entries.map { ($0.id, $0) }) { first, _ in first }
        var found: [BrimPath: Content] = [:]
        for entry in entries {
            guard let path = path(of: entry, places) else { continue }
            guard let content = entry.content else { continue }
            if content.surplus != content.k - content.n { fail("surplus of \(path) is not k − n") }
            if found.updateValue(Content(content), forKey: path) != nil { fail("\(path) is there twice") }
            // Whoever wants one copy may lose it by one loss.
            let isLossExcused = content.n + settings.floor < 2 && damaged.value[content.blob] != nil
            if !isLossExcused, !servers.contains(where: { $0.disk.holds(content.blob, content.checksum) }) {
                fail("no intact copy of \(path) (\(content.blob)) is left")
            }
        }
        for path in Set(found.keys).union(expectations.value.files.keys) {
            let file = expectations.value.files[path] ?? Expectations.File()
            if !file.allows(found[path]) {
                let holds = found[path].map { "holds what nobody wrote there last: \($0)" } ?? "is lost"
                fail("\(path) \(holds); \(file)")
            }
            expectations.value.saw(found[path], at: path)
        }
    }

    /// Where an entry is; a violation when it cannot be reached from the root.
    private func path(of entry: Entry, _ entries: [FileID: Entry]) -> BrimPath? {
        var names: [EntryName] = []
        var next = entry
        while next.id != .root {
            guard let parent = next.parent, let name = next.name, let above = entries[parent], names.count < 100 else {
                fail("entry \(entry.id) cannot be reached from the root")
                return nil
            }
            names.append(name)
            next = above
        }
        return try? BrimPath(names.reversed())
    }

    /// No disk holds more than its quota, except while a lowered quota is being reached: then use only falls.
    private func checkQuotas() {
        for server in servers {
            guard let slave = server.running else { continue }
            let stored = server.disk.state.value.stored
            let usage = slave.quota.usage()
            let (quota, most) = (slave.inForce.value, max(slave.inForce.value, slave.lowered.value))
            if usage.used > most || stored > most {
                fail("\(server.name) uses more than its quota: \(usage.used), \(stored) on disk, of \(quota)")
            }
            slave.lowered.value = max(usage.used, stored)
        }
    }
}

extension Content {
    init(_ content: FileContent) { self.init(size: content.size, checksum: content.checksum) }
}
