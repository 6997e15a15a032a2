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
            guard case .success = outcome, world.database.state.value.contents[write.blob] == nil else { continue }
            world.database.state.value.contents[write.blob] = Content(size: write.size, checksum: write.checksum)
            for server in write.replicas {
                guard let disk = world.machine(server)?.disk else { continue }
                if !disk.holds(write.blob, write.checksum), !world.isDamaged(write.blob, on: server) {
                    world.fail("\(write.blob) is committed and is not durable on \(server)")
                }
            }
        }
    }

    /// Names or blobs changed. What was removed or overwritten is a file's again only if somebody asks for it, and never
    /// once it was buried; it is what it was.
    func changed(_ store: isolated InMemoryMetadataStore, isAsked: Bool = false) {
        let contents = store.entries.compactMap(\.content)
        let discarded = store.discarded.map(\.content)
        let (live, kept) = (Set(contents.map(\.blob)), Set(discarded.map(\.blob)))
        var state = world.database.state.value
        for content in contents + discarded where state.contents[content.blob] != Content(content) {
            world.fail("\(content.blob) is not what was committed")
        }
        if let back = live.union(kept).intersection(state.gone).min() {
            world.fail("\(back) was buried and comes back")
        }
        if !isAsked, let back = live.first(where: { state.discarded[$0] != nil }) {
            world.fail("\(back) was removed and comes back")
        }
        state.gone.formUnion(state.live.union(state.discarded.keys).subtracting(live).subtracting(kept))
        state.live = live
        state.discarded = Dictionary(kept.map { ($0, state.discarded[$0] ?? world.scheduler.now) }) { first, _ in first
        }
        world.database.state.value = state
    }

    /// What has a copy that is to be given up, before it is.
    func owners(
        _ changes: [ReplicaChange], _ store: isolated InMemoryMetadataStore
    ) -> [BlobID: BlobOwner] { store.owners(of: changes.map(\.blob)) }

    /// A copy was given up: above the floor, and another holder is up, in a view that is not too old.
    ///
    /// Of what is in the trash any copy may go.
    func gaveUp(_ change: ReplicaChange, _ owner: BlobOwner?, view: ServerView) {
        guard let owner, owner.file == change.file else {
            return world.fail("a copy of \(change.file) is given up, which is no file")
        }
        let content = owner.content
        let known = world.database.state.value.views[view.epoch]
        if known?.view != view { world.fail("copies are counted with a view that nobody published") }
        if let until = known?.until, world.scheduler.now - until > Self.viewAge {
            world.fail("copies are counted with a view that was replaced \(world.scheduler.now - until) µs ago")
        }
        let surplus = content.replicas.count(where: view.counted.contains) - content.n
        world.count(.givenUp)
        world.note("judge", "gave up", Int64(surplus), "\(change.blob) of \(content.replicas) on \(change.server)")
        guard owner.kind == .live else {
            world.weakened.value.insert(change.blob)
            if !Trash.isTrash(surplus: surplus) { world.fail("trash has a surplus of \(surplus)") }
            return
        }
        if surplus <= world.settings.floor {
            world.fail(
                "\(change.blob) on \(change.server) is given up at surplus \(surplus), at or below the floor of "
                    + "\(world.settings.floor)")
        }
        // Whoever wanted one copy then may have been left with one that is damaged, whatever is wanted later.
        if content.n + world.settings.floor < 2 { world.weakened.value.insert(change.blob) }
        if !content.replicas.contains(where: { $0 != change.server && view.up.contains($0) }) {
            world.fail("\(change.blob) on \(change.server) is given up while no other holder is up")
        }
    }

    /// Files and what is in the trash, as they were, when a server that is being forgotten was taken off them.
    func forgot(
        _ server: ServerName, _ before: [Entry], _ discarded: [BlobOwner], _ store: isolated InMemoryMetadataStore
    ) {
        for owner in discarded where owner.content.replicas.contains(server) {
            world.weakened.value.insert(owner.content.blob)
        }
        for entry in before {
            guard let content = entry.content, content.replicas.contains(server),
                let now = store.entry(entry.id)?.content, !now.replicas.contains(server)
            else { continue }
            world.weakened.value.insert(content.blob)
            if now.replicas.isEmpty {
                world.fail("\(content.blob) loses its last copy with \(server), which is forgotten")
            }
        }
        changed(store)
    }

    /// An order goes out, or leave to write: by then a server that has been draining for long is known to be, and so is
    /// what was removed long ago.
    func ordered(_ pulls: [BlobID], to server: ServerName) {
        let long = world.scheduler.now - Self.knownAfter
        if let since = world.database.state.value.drains[server], since < long {
            world.fail("\(server) is draining and is to get \(pulls)")
        }
        for blob in pulls where world.database.state.value.discarded[blob].map({ $0 < long }) ?? false {
            world.fail("\(blob) was removed and is copied to \(server)")
        }
    }

    /// Longer than a master may be without its database, and an order under way.
    private static let knownAfter: Int64 = 60_000_000
}

extension World {
    /// Whether chance has destroyed this copy.
    func isDamaged(_ blob: BlobID, on server: ServerName) -> Bool {
        damaged.value[blob]?.contains(server) ?? false
    }

    /// Whoever wants one copy may lose it by one loss, and of what was in the trash one may be left.
    func isLossExcused(_ content: FileContent) -> Bool {
        damaged.value[content.blob] != nil
            && (content.n + settings.floor < 2 || weakened.value.contains(content.blob))
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
            if !isLossExcused(content), !members.contains(where: { $0.disk.holds(content.blob, content.checksum) }) {
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
