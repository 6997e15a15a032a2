import BrimMetadata
import BrimModel
import BrimWire

/// What was removed and overwritten: looked at, brought back, buried.
extension NamespaceService {
    // MARK: - Versions

    /// The file at a path as it is, or was at a version. Throws `.notFound` also for a version that is not kept.
    func file(at path: BrimPath, version: Int64?) async throws -> (entry: Entry, content: FileContent) {
        var (entry, content) = try await file(at: path)
        guard let version, version != content.version else { return (entry, content) }
        guard version > 0, version < content.version else { throw Refusal.noVersion(version) }
        let found = try await store.formerVersions(of: entry.id, before: version + 1, limit: 1).first
        guard let found, found.content.version == version else { throw Refusal.versionGone(version) }
        let n = content.n
        content = found.content
        content.n = n
        entry.content = content
        entry.modified = found.modified
        return (entry, content)
    }

    /// The versions of a file, newest first; of one that was removed, if none is there.
    func versions(_ path: BrimPath, before: Int64?, limit: Int) async throws -> [VersionItem] {
        let (id, top) = try await newest(path)
        let isListed = before.map { top.version < $0 } ?? true
        let former = try await store.formerVersions(of: id, before: before, limit: isListed ? limit - 1 : limit)
        return (isListed ? [top] : [])
            + former.map {
                VersionItem(
                    version: $0.content.version, size: $0.content.size, modified: $0.modified, current: false)
            }
    }

    private func newest(_ path: BrimPath) async throws -> (FileID, VersionItem) {
        let entry: Entry
        var isCurrent = true
        do {
            entry = try await file(at: path).entry
        } catch let error as BrimError where error.code == .notFound || error.code == .notDirectory {
            guard let removed = try await store.removedFiles(.at(path.description), after: nil, limit: 1).first else {
                throw error
            }
            entry = removed.entry
            isCurrent = false
        }
        let content = entry.content
        return (
            entry.id,
            VersionItem(
                version: content?.version ?? 0, size: content?.size ?? 0, modified: entry.modified, current: isCurrent)
        )
    }

    func restore(_ path: BrimPath, version: Int64, request: String? = nil) async throws -> FileStat {
        try await once(request) {
            try await stat(path, done: $0)
        } _: {
            let (entry, _) = try await file(at: path)
            let restored = try await store.restore(
                version, of: entry.id, view: try await views.current(), request: request)
            return FileStat(path: path.description, entry: restored)
        }
    }

    // MARK: - Removed files

    /// One page of what was removed from a path or below it.
    func trash(_ path: BrimPath, after: TrashPosition?, limit: Int) async throws -> TrashReply {
        var found: [RemovedFile] = []
        let text = path.description
        // The path itself comes before all that is below it.
        if after.map({ $0.path == text }) ?? true {
            found = try await store.removedFiles(.at(text), after: after, limit: limit)
        }
        if found.count < limit {
            let within = after.flatMap { $0.path == text ? nil : $0 }
            found += try await store.removedFiles(.below(text), after: within, limit: limit - found.count)
        }
        return TrashReply(
            entries: found.map(RemovedItem.init), next: found.count == limit ? found.last?.position.cursor : nil)
    }

    /// Bytes of all copies of what was removed from a path or below it.
    func trashBytes(_ path: BrimPath) async throws -> Int64 {
        try await store.trashTotals(.at(path.description)).bytes
            + store.trashTotals(.below(path.description)).bytes
    }

    /// Brings back the file that was removed last from a path, or with `recursive` all that were removed below it. Missing
    /// parents are made. Throws `.exists` when the name is taken, `.notFound` when nothing is left to bring back.
    func undelete(
        _ path: BrimPath, to target: BrimPath?, recursive: Bool, request: String? = nil
    ) async throws -> UndeleteReply {
        try await once(request) {
            UndeleteReply(files: 1, bytes: try await stat(target ?? path, done: $0).size)
        } _: {
            try await undeleteNow(path, to: target, recursive: recursive, request: request)
        }
    }

    private func undeleteNow(
        _ path: BrimPath, to target: BrimPath?, recursive: Bool, request: String?
    ) async throws -> UndeleteReply {
        let text = path.description
        let hasTree = try await !store.removedFiles(.below(text), after: nil, limit: 1).isEmpty
        if recursive, hasTree { return try await undeleteTree(path, to: target ?? path) }
        guard let file = try await store.removedFiles(.at(text), after: nil, limit: 1).first else {
            guard !hasTree else {
                throw BrimError(
                    .isDirectory, "\(path) is a directory from which files were removed",
                    advice: "Use -r to bring all of them back, or name one; brim undelete --list \(path) lists them")
            }
            throw BrimError(
                .notFound,
                "nothing that was removed from \(path) is left: its room was needed, or it was purged or never there",
                advice: "brim undelete --list shows what can be brought back")
        }
        var directories: [BrimPath: FileID] = [:]
        let entry = try await bringBack(file, to: target ?? path, &directories, request: request)
        return UndeleteReply(files: 1, bytes: entry.content?.size ?? 0)
    }

    private func undeleteTree(_ path: BrimPath, to target: BrimPath) async throws -> UndeleteReply {
        var reply = UndeleteReply()
        var directories: [BrimPath: FileID] = [:]
        var after: TrashPosition?
        var last: String?
        while true {
            let page = try await store.removedFiles(
                .below(path.description), after: after, limit: Limits.pageEntries)
            // Of each path the one removed last.
            for file in page where file.path != last {
                last = file.path
                do {
                    let source = try BrimPath(parsing: file.path)
                    let place = try BrimPath(target.components + source.components.dropFirst(path.components.count))
                    reply.bytes += try await bringBack(file, to: place, &directories).content?.size ?? 0
                    reply.files += 1
                } catch let error as BrimError where error.code != .unavailable && error.code != .timeout {
                    if reply.problems.count < Limits.pageEntries {
                        reply.problems.append(UndeleteReply.Problem(path: file.path, error: error))
                    }
                }
            }
            guard page.count == Limits.pageEntries else { return reply }
            after = page.last?.position
        }
    }

    private func bringBack(
        _ file: RemovedFile, to path: BrimPath, _ directories: inout [BrimPath: FileID], request: String? = nil
    ) async throws -> Entry {
        guard let name = path.name, let parent = path.parent else {
            throw BrimError(.exists, "/ exists already", advice: "Name a path for the file with --to")
        }
        let directory: FileID
        if let known = directories[parent] {
            directory = known
        } else {
            directory = try await ensureDirectory(parent).id
            directories[parent] = directory
        }
        do {
            return try await store.undelete(
                file.entry.id, to: EntryPlace(parent: directory, name: name), view: try await views.current(),
                request: request)
        } catch var error as BrimError where error.code == .exists {
            error.message = "\(path) exists already"
            error.advice = "Bring it back under another name with --to, or move away what is there"
            throw error
        }
    }

    // MARK: - Purging

    /// Buries removed files and old versions, as far as asked for. Goes through a whole tree when a directory is named.
    func purge(_ request: PurgeRequest) async throws -> PurgeReply {
        let (trash, versions) = (request.trash ?? true, request.versions ?? true)
        let before = try request.olderThanSeconds.map { seconds in
            guard seconds >= 0, seconds < 1e12 else { throw BrimError(.invalid, "an age of \(seconds) seconds") }
            return Timestamp(seconds: clock.timestamp.seconds - Int64(seconds.rounded(.up)), nanoseconds: 0)
        }
        var reply = PurgeReply()
        // What was just overwritten is old too.
        while versions, try await store.settleVersions(of: nil, limit: 100, view: try await views.current()) > 0 {}
        guard let path = request.path, !path.isRoot else {
            try await purge(.all(trash: trash, versions: versions), before, &reply)
            return reply
        }
        if trash {
            try await purge(.removed(.at(path.description)), before, &reply)
            try await purge(.removed(.below(path.description)), before, &reply)
        }
        if versions {
            do {
                let entry = try await entry(at: path)
                if entry.content != nil { try await purge(.versions(of: [entry.id]), before, &reply) }
                if entry.type == .directory { try await purgeVersions(below: entry.id, before, &reply) }
            } catch let error as BrimError where trash && (error.code == .notFound || error.code == .notDirectory) {
                // It was removed; that has been seen to.
            }
        }
        return reply
    }

    private func purgeVersions(
        below directory: FileID, _ before: Timestamp?, _ reply: inout PurgeReply
    ) async throws {
        var pending = [directory]
        while let directory = pending.popLast() {
            var after: EntryName?
            repeat {
                let page = try await store.list(directory, after: after, limit: Limits.pageEntries)
                pending += page.filter { $0.type == .directory }.map(\.id)
                try await purgeVersions(of: page, before, &reply)
                after = page.count == Limits.pageEntries ? page.last?.name : nil
            } while after != nil
        }
    }

    private func purgeVersions(
        of entries: [Entry], _ before: Timestamp?, _ reply: inout PurgeReply
    ) async throws {
        let files = entries.filter { $0.content.map { $0.version > 1 } ?? false }.map(\.id)
        if !files.isEmpty { try await purge(.versions(of: files), before, &reply) }
    }

    /// Of files that are about to be removed for good, in batches of their own, as there may be many.
    func purgeVersions(of entries: [Entry]) async throws {
        var reply = PurgeReply()
        try await purgeVersions(of: entries, nil, &reply)
    }

    private func purge(_ scope: PurgeScope, _ before: Timestamp?, _ reply: inout PurgeReply) async throws {
        while true {
            let purged = try await store.purge(scope, before: before, limit: Limits.pageEntries)
            guard purged.files > 0 else { return }
            reply.files += purged.files
            reply.bytes += purged.bytes
        }
    }
}

extension RemovedItem {
    init(_ file: RemovedFile) {
        let content = file.entry.content
        self.init(
            path: file.path, removed: file.removed, size: content?.size ?? 0, modified: file.entry.modified,
            version: content?.version ?? 0, n: file.formerN, k: content?.k ?? 0, replicas: content?.replicas ?? [],
            id: file.entry.id)
    }
}

extension TrashPosition {
    /// As it stands in URLs.
    var cursor: String { "\(removed.seconds).\(removed.nanoseconds).\(file).\(path)" }

    /// Throws `.invalid`.
    init(cursor: String) throws {
        let parts = cursor.utf8.split(separator: UInt8(ascii: "."), maxSplits: 3, omittingEmptySubsequences: false)
            .map { String(Substring($0)) }
        guard parts.count == 4, let seconds = Int64(parts[0]), let nanoseconds = Int32(parts[1]),
            let id = Int64(parts[2])
        else { throw BrimError(.invalid, "'after' is not the 'next' of a page before") }
        self.init(
            path: parts[3], removed: Timestamp(seconds: seconds, nanoseconds: nanoseconds), file: FileID(id))
    }
}
