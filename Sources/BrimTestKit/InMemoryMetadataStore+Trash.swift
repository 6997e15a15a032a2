import BrimMetadata
import BrimModel

extension InMemoryMetadataStore {
    public func removedFiles(_ scope: TrashScope, after: TrashPosition?, limit: Int) -> [RemovedFile] {
        trash.values.compactMap(Self.removed).filter { Self.isIn(scope, $0.path) }
            .sorted { Self.precedes($0.position, $1.position) }
            .filter { file in after.map { Self.precedes($0, file.position) } ?? true }
            .prefix(limit).map(\.self)
    }

    public func removedFile(_ id: FileID) -> RemovedFile? { trash[id].flatMap(Self.removed) }

    private static func removed(_ record: Record) -> RemovedFile? {
        record.removed.map {
            RemovedFile(entry: record.entry, path: $0.path, removed: $0.at, formerN: $0.formerN)
        }
    }

    private static func isIn(_ scope: TrashScope, _ path: String) -> Bool {
        switch scope {
        case .at(let wanted): path.utf8.elementsEqual(wanted.utf8)
        case .below(let directory): path.utf8.starts(with: (directory == "/" ? "/" : directory + "/").utf8)
        }
    }

    private static func precedes(_ a: TrashPosition, _ b: TrashPosition) -> Bool {
        func milliseconds(_ time: Timestamp) -> Int64 { time.seconds * 1000 + Int64(time.nanoseconds / 1_000_000) }
        guard a.path.utf8.elementsEqual(b.path.utf8) else {
            return a.path.utf8.lexicographicallyPrecedes(b.path.utf8)
        }
        return (milliseconds(a.removed), a.file) > (milliseconds(b.removed), b.file)
    }

    public func undelete(_ id: FileID, to place: EntryPlace, view: ServerView, request: String?) throws -> Entry {
        try check(request)
        guard var record = trash[id], let removed = record.removed else { throw Refusal.notInTrash(id) }
        try directory(of: place)
        guard places[place] == nil else { throw Refusal.exists(place.name) }
        record.entry.parent = place.parent
        record.entry.name = place.name
        record.entry.rev += 1
        record.entry.content = record.entry.content?.with(
            n: removed.formerN, policy: removed.formerPolicy, view: view)
        record.removed = nil
        trash[id] = nil
        insert(record, at: place)
        enter(request, record.entry)
        return record.entry
    }

    public func formerVersions(of file: FileID, before: Int64?, limit: Int) -> [FormerVersion] {
        let waiting = (records[file] ?? trash[file])?.former ?? []
        return (waiting + olds.values.filter { $0.of == file }.map(\.version))
            .filter { version in before.map { version.content.version < $0 } ?? true }
            .sorted { $0.content.version > $1.content.version }
            .prefix(limit).map(\.self)
    }

    public func restore(_ version: Int64, of file: FileID, view: ServerView, request: String?) throws -> Entry {
        try check(request)
        guard var record = records[file] else { throw Refusal.gone(file) }
        guard let content = record.entry.content else {
            throw BrimError(.isDirectory, "only files have versions", advice: "Name a file")
        }
        if content.version == version {
            enter(request, record.entry)
            return record.entry
        }
        guard version < content.version, version > 0 else { throw Refusal.noVersion(version) }
        if !olds.contains(where: { $1.of == file && $1.version.content.version == version }) {
            _ = settleVersions(of: [file], limit: .max, view: view)
            record = records[file] ?? record
        }
        guard let old = olds.first(where: { $1.of == file && $1.version.content.version == version }) else {
            throw Refusal.versionGone(version)
        }
        olds[old.key] = nil
        discardVersion(of: &record)
        record.request = nil
        record.entry.rev += 1
        record.entry.modified = old.value.version.modified
        var restored = old.value.version.content
        restored.version = content.version + 1
        restored.reads = content.reads
        record.entry.content = restored.with(n: content.n, policy: content.policy, view: view)
        records[file] = record
        enter(request, record.entry)
        return record.entry
    }

    public func settleVersions(of files: [FileID]?, limit: Int, view: ServerView) -> Int {
        let waiting = (Array(records.values) + Array(trash.values))
            .filter { !$0.former.isEmpty && (files?.contains($0.entry.id) ?? true) }
            .sorted { $0.entry.id < $1.entry.id }
        var count = 0
        for record in waiting.prefix(limit) {
            for var version in record.former {
                let counted = version.content.with(view: view)
                (version.content.k, version.content.readable) = (counted.k, counted.readable)
                olds[takeID()] = Old(of: record.entry.id, version: version)
                count += 1
            }
            records[record.entry.id]?.former = []
            trash[record.entry.id]?.former = []
        }
        return count
    }

    public func purge(_ scope: PurgeScope, before: Timestamp?, limit: Int) -> Purged {
        func isOld(_ time: Timestamp) -> Bool { before.map { time < $0 } ?? true }
        var found: [FileID] = []
        switch scope {
        case .all(let wantsTrash, let wantsVersions):
            if wantsTrash { found += trash.filter { isOld($1.removed?.at ?? clock()) }.keys }
            if wantsVersions { found += olds.filter { isOld($1.version.discarded) }.keys }
        case .removed(let scope):
            found = removedFiles(scope, after: nil, limit: .max).filter { isOld($0.removed) }.map(\.entry.id)
        case .versions(let files):
            found = olds.filter { files.contains($1.of) && isOld($1.version.discarded) }.map(\.key)
        }
        return found.prefix(limit).reduce(into: Purged()) { sum, id in
            let buried = bury(id)
            sum.files += buried.files
            sum.bytes += buried.bytes
        }
    }

    public func trashTotals(_ scope: TrashScope?) -> TrashTotals {
        let removed = trash.values.filter { record in
            scope.map { Self.isIn($0, record.removed?.path ?? "") } ?? true
        }
        let contents =
            removed.compactMap(\.entry.content) + (scope == nil ? olds.values.map(\.version.content) : [])
        return TrashTotals(
            files: Int64(contents.count), bytes: contents.reduce(0) { $0 + $1.size * Int64($1.k) })
    }
}
