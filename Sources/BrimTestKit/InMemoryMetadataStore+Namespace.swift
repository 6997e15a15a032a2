import BrimMetadata
import BrimModel

extension InMemoryMetadataStore {
    public func resolve(_ path: BrimPath) -> [Entry] {
        guard let root = records[.root]?.entry else { return [] }
        var found = [root]
        var parent = root.id
        for name in path.components {
            guard let entry = entry(at: EntryPlace(parent: parent, name: name)) else { break }
            found.append(entry)
            parent = entry.id
        }
        return found
    }

    public func entry(_ id: FileID) -> Entry? {
        records[id]?.entry
    }

    public func entry(at place: EntryPlace) -> Entry? {
        places[place].flatMap { records[$0]?.entry }
    }

    public func entries(in directory: FileID, names: [EntryName]) -> [EntryName: Entry] {
        var found: [EntryName: Entry] = [:]
        for name in names { found[name] = entry(at: EntryPlace(parent: directory, name: name)) }
        return found
    }

    public func list(_ directory: FileID, after: EntryName?, limit: Int) -> [Entry] {
        records.values.lazy.map(\.entry)
            .compactMap { entry in entry.name.map { (name: $0, entry: entry) } }
            .filter { candidate in candidate.entry.parent == directory && (after.map { $0 < candidate.name } ?? true) }
            .sorted { $0.name < $1.name }
            .prefix(limit).map(\.entry)
    }

    public func outcome(of request: String) -> RequestOutcome? { requests[request] }

    public func refuse(_ request: String, with error: BrimError) -> RequestOutcome {
        let outcome = requests[request] ?? .refused(error)
        requests[request] = outcome
        return outcome
    }

    /// Throws `.conflict` for a request that was done or refused before.
    func check(_ request: String?) throws {
        if let request, requests[request] != nil { throw Refusal.requestDone }
    }

    func enter(_ request: String?, _ entry: Entry? = nil) {
        if let request { requests[request] = .done(entry) }
    }

    public func create(_ new: NewEntry) throws -> Entry {
        try Checks.new(new)
        try check(new.request)
        try directory(of: new.place)
        guard places[new.place] == nil else { throw Refusal.exists(new.place.name) }
        let entry = Entry(
            id: takeID(), parent: new.place.parent, name: new.place.name, type: new.type, mode: new.mode,
            created: clock(), modified: new.modified, target: new.target)
        enter(new.request, entry)
        insert(Record(entry: entry), at: new.place)
        return entry
    }

    public func commit(_ writes: [BlobCommit], view: ServerView) -> [Result<CommitOutcome, BrimError>] {
        writes.map { write in
            do {
                return .success(try commit(write, view: view))
            } catch let error as BrimError {
                return .failure(error)
            } catch {
                return .failure(BrimError(.internal, "\(error)"))
            }
        }
    }

    private func commit(_ write: BlobCommit, view: ServerView) throws -> CommitOutcome {
        try Checks.commit(write)
        let sameBlob = records.values.first { $0.entry.content?.blob == write.blob }
        let isKnown = !owners(of: [write.blob]).isEmpty
        if let sameBlob, sameBlob.request == write.request { return repeated(sameBlob) }
        let existing = places[write.place].flatMap { records[$0] }
        if let existing, existing.request == write.request { return repeated(existing) }
        guard !isKnown, abandoned[write.blob] == nil, tombstones[write.blob] == nil else {
            throw Refusal.blobTaken(write.blob)
        }
        try directory(of: write.place)
        if let existing, existing.entry.type != .file {
            throw Refusal.isDirectory(write.place.name, existing.entry.type)
        }
        var overwritten = existing
        let former = existing?.entry.content
        try Checks.precondition(write.precondition, version: former?.version)

        var entry =
            existing?.entry
            ?? Entry(
                id: takeID(), parent: write.place.parent, name: write.place.name, type: .file, mode: write.mode,
                created: clock(), modified: write.modified, rev: 0)
        entry.attributes.merge(write.attributes) { $1 }
        try Checks.attributes(entry.attributes)
        entry.rev += 1
        entry.mode = write.mode
        entry.modified = write.modified
        if var former = overwritten {
            discardVersion(of: &former)
            overwritten = former
        }
        entry.content = FileContent(
            version: (former?.version ?? 0) + 1, blob: write.blob, size: write.size, checksum: write.checksum,
            n: 0, k: 0, readable: false, replicas: [], reads: former?.reads
        ).wanted(write, former).with(replicas: view.remembered(write.replicas.withoutRepeats), view: view)
        guard entry.content?.replicas.isEmpty == false else { throw Refusal.holdersForgotten(write.replicas) }
        let record = Record(entry: entry, request: write.request, former: overwritten?.former ?? [])
        if existing == nil {
            insert(record, at: write.place)
        } else {
            records[entry.id] = record
        }
        return CommitOutcome(entry: entry, created: existing == nil)
    }

    private func repeated(_ record: Record) -> CommitOutcome {
        CommitOutcome(entry: record.entry, created: record.entry.content?.version == 1)
    }

    public func rename(
        _ id: FileID, from: EntryPlace, to: EntryPlace, path: String, replace: Bool, view: ServerView, request: String?
    ) throws -> Entry {
        guard id != .root else { throw Refusal.root("renamed") }
        try check(request)
        guard let record = records[id], places[from] == id else { throw Refusal.gone(from) }
        if from == to {
            enter(request, record.entry)
            return record.entry
        }
        try directory(of: to)
        if record.entry.type == .directory, isBelow(to.parent, id) { throw Refusal.belowItself(from.name) }
        if let target = entry(at: to) {
            guard replace else { throw Refusal.exists(to.name) }
            switch (record.entry.type, target.type) {
            case (.directory, .directory):
                guard isEmpty(target.id) else { throw Refusal.notEmpty(to.name) }
            case (.directory, _): throw Refusal.notDirectory(to.name)
            case (_, .directory): throw Refusal.isDirectory(to.name, .directory)
            default: break
            }
            takeOut(Removal(target, path: path), now: false, view: view)
        }
        var moved = record
        moved.entry.parent = to.parent
        moved.entry.name = to.name
        moved.entry.rev += 1
        places[from] = nil
        touch(from.parent)
        insert(moved, at: to)
        enter(request, moved.entry)
        return moved.entry
    }

    /// Whether `id` is `ancestor` or lies below it.
    private func isBelow(_ id: FileID, _ ancestor: FileID) -> Bool {
        var next: FileID? = id
        while let current = next {
            if current == ancestor { return true }
            next = records[current]?.entry.parent
        }
        return false
    }

    public func remove(
        _ removals: [Removal], now isNow: Bool, view: ServerView, request: String?
    ) throws -> [BrimError?] {
        try check(request)
        let outcomes: [BrimError?] = removals.map { removal in
            let entry = removal.entry
            guard entry.id != .root else { return Refusal.root("removed") }
            guard let present = records[entry.id]?.entry else { return Refusal.gone(entry.id) }
            guard present.rev == entry.rev, present.parent == entry.parent, present.name == entry.name else {
                return Refusal.changed(entry.name)
            }
            guard present.type != .directory || isEmpty(entry.id) else { return Refusal.notEmpty(entry.name) }
            takeOut(Removal(present, path: removal.path), now: isNow, view: view)
            return nil
        }
        if !outcomes.contains(where: { $0 != nil }) { enter(request) }
        return outcomes
    }

    public func update(
        _ id: FileID, _ change: EntryChange, ifRev rev: Int64?, view: ServerView
    ) throws -> Entry {
        guard var entry = records[id]?.entry else { throw Refusal.gone(id) }
        guard rev == nil || entry.rev == rev else { throw Refusal.changed(entry.name) }
        try Checks.change(change, of: entry)
        entry.attributes = entry.attributes.changed(by: change.attributes)
        entry.mode = change.mode ?? entry.mode
        entry.modified = change.modified ?? entry.modified
        switch change.copies {
        case .explicit(let n) where entry.type == .directory: entry.copies = n
        case .explicit(let n): entry.content = entry.content?.with(n: n, policy: PolicyName.explicit, view: view)
        case .chosen(let choice):
            entry.content = entry.content?.with(n: choice.n, policy: choice.rule, view: view)
        case .none?: entry.copies = nil
        case nil: break
        }
        entry.rev += 1
        records[id]?.entry = entry
        return entry
    }

    public func catchUp() {}

    public func summarize(_ directories: [FileID]) -> DirectorySummary {
        var sum = DirectorySummary()
        for entry in records.values.map(\.entry) where entry.parent.map(directories.contains) ?? false {
            if entry.type == .directory { sum.subdirectories.append(entry.id) }
            guard let content = entry.content else { continue }
            sum.files += 1
            sum.bytes += content.size
            sum.storedBytes += content.size * Int64(content.k)
            sum.spareBytes += content.size * Int64(max(0, content.surplus))
        }
        sum.subdirectories.sort()
        return sum
    }
}
