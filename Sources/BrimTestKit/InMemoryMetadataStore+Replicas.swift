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
        files.lazy
            .filter { $1.replicas.contains(server) && $1.surplus >= minSurplus }
            .map {
                Victim(file: $0.id, blob: $1.blob, size: $1.size, surplus: $1.surplus, replicas: $1.replicas)
            }
            .sorted { ($0.surplus, $0.file) > ($1.surplus, $1.file) }
            .prefix(limit).map(\.self)
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
            guard let content = content(change), !content.replicas.contains(change.server) else { continue }
            records[change.file]?.entry.content = content.with(replicas: content.replicas + [change.server], view: view)
        }
        return changes.map { content($0)?.replicas.contains($0.server) ?? false }
    }

    public func giveUp(_ changes: [ReplicaChange], minSurplus: [Int], view: ServerView) throws -> [Bool] {
        guard changes.count == minSurplus.count else {
            throw BrimError(.invalid, "\(changes.count) copies and \(minSurplus.count) bounds do not fit together")
        }
        return zip(changes, minSurplus).map { change, least in
            guard let content = content(change)?.with(view: view), content.replicas.contains(change.server),
                content.surplus >= least
            else { return false }
            let others = content.replicas.filter { $0 != change.server }
            guard others.contains(where: view.up.contains) else { return false }
            records[change.file]?.entry.content = content.with(replicas: others, view: view)
            return true
        }
    }

    public func loseReplicas(_ changes: [ReplicaChange], view: ServerView) {
        for change in changes {
            guard let content = content(change), content.replicas.contains(change.server) else { continue }
            records[change.file]?.entry.content = content.with(
                replicas: content.replicas.filter { $0 != change.server }, view: view)
        }
    }

    /// What a file holds, if it still is the blob that the change is about.
    private func content(_ change: ReplicaChange) -> FileContent? {
        records[change.file]?.entry.content.flatMap { $0.blob == change.blob ? $0 : nil }
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
            files
            .filter { $1.replicas.contains(server) }
            .map { (position: RecountPosition(surplus: $1.surplus, file: $0.id), content: $1) }
            .filter { candidate in after.map { precedes($0, candidate.position) } ?? true }
            .sorted { precedes($0.position, $1.position) }
            .prefix(limit)
        for (position, content) in next {
            records[position.file]?.entry.content = content.with(view: view)
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
        files.lazy
            .filter { $1.replicas.contains(server) }
            .map { ReplicaChange(file: $0.id, blob: $1.blob, server: server) }
            .filter { change in (after.map { $0 < change.blob } ?? true) && (through.map { change.blob <= $0 } ?? true)
            }
            .sorted { $0.blob < $1.blob }
            .prefix(limit).map(\.self)
    }
}
