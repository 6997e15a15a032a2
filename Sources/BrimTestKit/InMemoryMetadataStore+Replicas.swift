import BrimMetadata
import BrimModel
import BrimPlacement

extension InMemoryMetadataStore {
    public func neediest(after: NeedyPosition?, limit: Int, brims: [Int64], maxCopies: Int) -> [Entry] {
        let limits = sizeLimits(brims: brims, maxCopies: maxCopies)
        return files.lazy
            .filter { _, content in
                content.readable && content.k < limits.count && content.size <= limits[content.k]
            }
            .map { (position: NeedyPosition(surplus: $1.surplus, size: $1.size, file: $0.id), entry: $0) }
            .filter { candidate in after.map { $0 < candidate.position } ?? true }
            .sorted { $0.position < $1.position }
            .prefix(limit).map(\.entry)
    }

    public func refreshViews(brims: [Int64], maxCopies: Int) {}

    public func richest(on server: ServerName, minSurplus: Int, limit: Int) -> [Victim] {
        documents.lazy
            .filter { $1.replicas.contains(server) && $1.surplus >= minSurplus }
            .map {
                Victim(file: $0, blob: $1.blob, size: $1.size, surplus: $1.surplus, replicas: $1.replicas)
            }
            .sorted { ($0.surplus, $0.file) > ($1.surplus, $1.file) }
            .prefix(limit).map(\.self)
    }

    public func maxSurplus(on server: ServerName) -> Int? {
        files.filter { $1.replicas.contains(server) }.map { $1.surplus }.max()
    }

    public func reclaimable(on server: ServerName) -> Reclaimable {
        struct Key: Hashable {
            var surplus, k: Int
        }
        var bytes: [Key: Int64] = [:]
        for (_, content) in documents where content.replicas.contains(server) {
            bytes[Key(surplus: content.surplus, k: content.k), default: 0] += content.size
        }
        return bytes.reduce(into: Reclaimable()) { $0.add(surplus: $1.key.surplus, k: $1.key.k, bytes: $1.value) }
    }

    public func surplusBounds() -> ClosedRange<Int>? {
        let surpluses = files.filter { $1.readable }.map { $1.surplus }
        guard let least = surpluses.min(), let most = surpluses.max() else { return nil }
        return least...most
    }

    public func histogram() -> SurplusHistogram {
        var levels: [Int: SurplusHistogram.Level] = [:]
        var histogram = SurplusHistogram()
        for (_, content) in files {
            if content.readable {
                var level = levels[content.surplus] ?? .init(surplus: content.surplus, files: 0, bytes: 0)
                level.files += 1
                level.bytes += content.size
                levels[content.surplus] = level
                histogram.wanted += content.size * Int64(content.n)
            } else {
                histogram.unreachableFiles += 1
                histogram.unreachableBytes += content.size
            }
        }
        histogram.levels = levels.values.sorted { $0.surplus < $1.surplus }
        return histogram
    }

    public func addReplicas(_ changes: [ReplicaChange], view: ServerView) -> [Bool] {
        for change in changes {
            guard let content = content(change), isNew(change, for: content, view) else { continue }
            records[change.file]?.entry.content = content.with(replicas: content.replicas + [change.server], view: view)
        }
        return changes.map { content($0)?.replicas.contains($0.server) ?? false }
    }

    /// Whether it makes a server a holder that is none.
    private func isNew(_ change: ReplicaChange, for content: FileContent, _ view: ServerView) -> Bool {
        !content.replicas.contains(change.server) && !view.forgotten.contains(change.server)
    }

    public func adopt(_ changes: [ReplicaChange], view: ServerView) -> [Bool] {
        for change in changes {
            guard let content = anyContent(change), isNew(change, for: content, view) else { continue }
            set(change.file, content.with(replicas: content.replicas + [change.server], view: view))
        }
        return changes.map { anyContent($0)?.replicas.contains($0.server) ?? false }
    }

    public func giveUp(_ changes: [ReplicaChange], minSurplus: [Int], view: ServerView) throws -> [Bool] {
        guard changes.count == minSurplus.count else {
            throw BrimError(.invalid, "\(changes.count) copies and \(minSurplus.count) bounds do not fit together")
        }
        var last: Set<FileID> = []
        let answers = zip(changes, minSurplus).map { change, least in
            guard let content = anyContent(change)?.with(view: view), content.replicas.contains(change.server),
                content.surplus >= least, !last.contains(change.file)
            else { return false }
            let others = content.replicas.filter { $0 != change.server }
            guard records[change.file] == nil || others.contains(where: view.up.contains) else { return false }
            if others.isEmpty {
                last.insert(change.file)
            } else {
                set(change.file, content.with(replicas: others, view: view))
            }
            return true
        }
        for file in last { bury(file) }
        return answers
    }

    public func loseReplicas(_ changes: [ReplicaChange], view: ServerView) {
        for change in changes {
            guard let content = anyContent(change), content.replicas.contains(change.server) else { continue }
            remove(change.server, from: change.file, content, view: view)
        }
    }

    /// Takes a server off a document; one in the trash that no server has any more is buried.
    func remove(_ server: ServerName, from id: FileID, _ content: FileContent, view: ServerView) {
        let others = content.replicas.filter { $0 != server }
        set(id, content.with(replicas: others, view: view))
        if records[id] == nil, others.isEmpty { bury(id) }
    }

    /// What a live file holds, if it still is the blob that the change is about.
    private func content(_ change: ReplicaChange) -> FileContent? {
        records[change.file]?.entry.content.flatMap { $0.blob == change.blob ? $0 : nil }
    }

    /// The same of a removed file or an old version too.
    private func anyContent(_ change: ReplicaChange) -> FileContent? {
        let content =
            records[change.file]?.entry.content ?? trash[change.file]?.entry.content
            ?? olds[change.file]?.version.content
        return content.flatMap { $0.blob == change.blob ? $0 : nil }
    }

    private func set(_ file: FileID, _ content: FileContent) {
        if records[file] != nil {
            records[file]?.entry.content = content
        } else if trash[file] != nil {
            trash[file]?.entry.content = content
        } else {
            olds[file]?.version.content = content
        }
    }

    /// Everything that has a blob by itself: files, removed files, old versions.
    var documents: [(id: FileID, content: FileContent)] {
        files.map { ($0.id, $1) }
            + trash.values.compactMap { record in record.entry.content.map { (record.entry.id, $0) } }
            + olds.map { ($0, $1.version.content) }
    }

    public func owners(of blobs: [BlobID]) -> [BlobID: BlobOwner] {
        let wanted = Set(blobs)
        var owners: [BlobID: BlobOwner] = [:]
        func note(_ kind: BlobOwner.Kind, _ id: FileID, _ content: FileContent?) {
            guard let content, wanted.contains(content.blob) else { return }
            owners[content.blob] = BlobOwner(kind: kind, file: id, content: content)
        }
        for record in records.values {
            note(.live, record.entry.id, record.entry.content)
            for version in record.former { note(.former, record.entry.id, version.content) }
        }
        for record in trash.values {
            note(.trash, record.entry.id, record.entry.content)
            for version in record.former { note(.former, record.entry.id, version.content) }
        }
        for (id, old) in olds { note(.old, id, old.version.content) }
        return owners
    }

    public func recount(
        _ server: ServerName, from progress: RecountProgress, rising: Bool, limit: Int, view: ServerView
    ) throws -> RecountProgress {
        guard serverRecords[server] != nil else { throw Refusal.serverUnknown(server) }
        let after = progress.epoch == view.epoch ? progress.after : nil
        func precedes(_ a: RecountPosition, _ b: RecountPosition) -> Bool {
            let (a, b) = rising ? (b, a) : (a, b)
            return (a.surplus, a.file) < (b.surplus, b.file)
        }
        let next =
            documents
            .filter { $1.replicas.contains(server) }
            .map { (position: RecountPosition(surplus: $1.surplus, file: $0), content: $1) }
            .filter { candidate in after.map { precedes($0, candidate.position) } ?? true }
            .sorted { precedes($0.position, $1.position) }
            .prefix(limit)
        for (position, content) in next {
            set(position.file, content.with(view: view))
        }
        let result = RecountProgress(
            epoch: view.epoch, after: next.last?.position ?? after, finished: next.count < limit)
        serverRecords[server]?.recount = result
        return result
    }

    public func files(withBlobs blobs: [BlobID]) -> [BlobID: Entry] {
        let wanted = Set(blobs)
        return Dictionary(
            files.filter { wanted.contains($1.blob) }.map { ($1.blob, $0) }, uniquingKeysWith: { first, _ in first })
    }

    public func blobs(on server: ServerName, after: BlobID?, through: BlobID?, limit: Int) -> [ReplicaChange] {
        documents.lazy
            .filter { $1.replicas.contains(server) }
            .map { ReplicaChange(file: $0, blob: $1.blob, server: server) }
            .filter { change in (after.map { $0 < change.blob } ?? true) && (through.map { change.blob <= $0 } ?? true)
            }
            .sorted { $0.blob < $1.blob }
            .prefix(limit).map(\.self)
    }
}
