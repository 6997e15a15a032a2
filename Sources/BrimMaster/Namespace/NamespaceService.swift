import BrimMetadata
import BrimModel
import BrimWire

/// The namespace as clients see it: paths in, entries and clear errors out.
struct NamespaceService: Sendable {
    let store: any MetadataStore
    let views: any Views
    let policies: Policies
    var clock: any BrimClock = SystemClock()

    // MARK: - Looking

    /// The entry at a path. Throws `.notFound`, naming the first missing component, or `.notDirectory`.
    func entry(at path: BrimPath) async throws -> Entry { try await entryAndCopies(at: path).entry }

    /// The same, and the n that the directories above say.
    func entryAndCopies(at path: BrimPath) async throws -> (entry: Entry, inherited: Int?) {
        let found = try await store.resolve(path)
        guard found.count == path.components.count + 1, let entry = found.last else {
            throw try missing(path, found)
        }
        return (entry, found.dropLast().inheritedCopies)
    }

    /// The entry at a path, which must be a directory.
    func directory(at path: BrimPath) async throws -> Entry {
        let entry = try await entry(at: path)
        guard entry.type == .directory else { throw Self.notDirectory(path) }
        return entry
    }

    /// The file at a path, with its content.
    func file(at path: BrimPath) async throws -> (entry: Entry, content: FileContent) {
        let (entry, content, _) = try await fileAndCopies(at: path)
        return (entry, content)
    }

    /// The same, and the n that the directories above say.
    func fileAndCopies(at path: BrimPath) async throws -> (entry: Entry, content: FileContent, inherited: Int?) {
        let (entry, inherited) = try await entryAndCopies(at: path)
        guard let content = entry.content else {
            throw entry.type == .directory
                ? Self.isDirectory(path)
                : BrimError(
                    .isDirectory, "\(path) is a symbolic link to \(entry.target ?? "?")", advice: "Use its target")
        }
        return (entry, content, inherited)
    }

    func stat(_ path: BrimPath) async throws -> FileStat {
        FileStat(path: path.description, entry: try await entry(at: path))
    }

    /// One page of a listing.
    func list(_ path: BrimPath, after: EntryName?, limit: Int) async throws -> ListReply {
        let entry = try await directory(at: path)
        let page = try await store.list(entry.id, after: after, limit: limit)
        let items = page.compactMap { entry in entry.name.map { ListItem(name: $0, entry: entry) } }
        return ListReply(entries: items, next: page.count == limit ? page.last?.name : nil)
    }

    /// Adds up a whole tree, a level of directories at a time.
    func usage(_ path: BrimPath) async throws -> UsageReply {
        let entry = try await entry(at: path)
        guard entry.type == .directory else {
            let size = entry.content?.size ?? 0
            return UsageReply(
                path: path.description, files: entry.content == nil ? 0 : 1, directories: 0, bytes: size,
                storedBytes: size * Int64(entry.content?.k ?? 0),
                spareBytes: size * Int64(max(0, entry.content?.surplus ?? 0)),
                trashBytes: try await trashBytes(path))
        }
        var total = UsageReply(
            path: path.description, files: 0, directories: 1, bytes: 0, storedBytes: 0, spareBytes: 0,
            trashBytes: try await trashBytes(path))
        try await summarizeTree(entry.id) { sum in
            total.files += sum.files
            total.bytes += sum.bytes
            total.storedBytes += sum.storedBytes
            total.spareBytes += sum.spareBytes
            total.directories += Int64(sum.subdirectories.count)
        }
        return total
    }

    /// Sums up a directory and all below it, some of them at a time.
    func summarizeTree(_ top: FileID, _ each: (DirectorySummary) throws -> Void) async throws {
        var pending = [top]
        while !pending.isEmpty {
            let batch = Array(pending.suffix(Self.directoryBatch))
            pending.removeLast(batch.count)
            let sum = try await store.summarize(batch)
            try each(sum)
            pending += sum.subdirectories
        }
    }

    // MARK: - Changing

    /// Makes a change that carries the id of a request at most once: whoever got no answer may ask again, any master. When
    /// the request was carried out before, `done` answers, with the entry as it was then: others may have moved or removed it
    /// since. One that is refused is refused for good, since an earlier try may
    /// still be under way at a master that hangs: it must not be carried out when that goes on.
    func once<Reply>(
        _ request: String?, done: (Entry?) async throws -> Reply, _ change: () async throws -> Reply
    ) async throws -> Reply {
        guard let request else { return try await change() }
        guard request.utf8.count <= Limits.requestBytes, !request.isEmpty else {
            throw BrimError(.invalid, "the id of a request has 1 to \(Limits.requestBytes) bytes")
        }
        // First, so that nothing that came in the place of what it made, moved or removed is touched.
        let outcome: RequestOutcome
        if let known = try await store.outcome(of: request) {
            outcome = known
        } else {
            do {
                return try await change()
            } catch let error as BrimError where ![.unavailable, .timeout, .internal].contains(error.code) {
                outcome = try await store.refuse(request, with: error)
            }
        }
        switch outcome {
        case .refused(let error): throw error
        case .done(let entry): return try await done(entry)
        }
    }

    /// The answer to a request that was carried out before; what is at the path stands for what is not known any more.
    func stat(_ path: BrimPath, done entry: Entry?) async throws -> FileStat {
        if let entry { FileStat(path: path.description, entry: entry) } else { try await stat(path) }
    }

    /// Makes a directory. With `parents`, missing parents are made and an existing directory is no error.
    func makeDirectory(
        _ path: BrimPath, parents: Bool, mode: Int?, modified: Timestamp?, request: String? = nil
    ) async throws -> (stat: FileStat, created: Bool) {
        try await once(request) {
            (try await stat(path, done: $0), true)
        } _: {
            try await makeDirectoryNow(path, parents: parents, mode: mode, modified: modified, request: request)
        }
    }

    private func makeDirectoryNow(
        _ path: BrimPath, parents: Bool, mode: Int?, modified: Timestamp?, request: String?
    ) async throws -> (stat: FileStat, created: Bool) {
        let found = try await store.resolve(path)
        if found.count == path.components.count + 1, let entry = found.last {
            guard entry.type == .directory else {
                throw BrimError(.exists, "\(path) exists and is not a directory", advice: "Choose another name")
            }
            guard parents else { throw BrimError(.exists, "\(path) exists already", advice: "Use -p if that is fine") }
            return (FileStat(path: path.description, entry: entry), false)
        }
        guard parents || found.count == path.components.count else { throw try missing(path, found) }
        let made = try await makeMissing(path, found, mode: mode, modified: modified, request: parents ? nil : request)
        return (FileStat(path: path.description, entry: made), true)
    }

    /// The directory at a path, made with its parents where missing.
    func ensureDirectory(_ path: BrimPath) async throws -> Entry { try await ensureDirectoryAndCopies(path).entry }

    /// The same, and the n that it, or one above it, says.
    func ensureDirectoryAndCopies(_ path: BrimPath) async throws -> (entry: Entry, inherited: Int?) {
        let found = try await store.resolve(path)
        let inherited = found[...].inheritedCopies
        if found.count == path.components.count + 1, let entry = found.last {
            guard entry.type == .directory else { throw Self.notDirectory(path) }
            return (entry, inherited)
        }
        return (try await makeMissing(path, found, mode: nil, modified: nil, request: nil), inherited)
    }

    func makeSymlink(
        _ path: BrimPath, target: String, parents: Bool, modified: Timestamp?, request: String? = nil
    ) async throws -> FileStat {
        try await once(request) {
            try await stat(path, done: $0)
        } _: {
            try await makeSymlinkNow(path, target: target, parents: parents, modified: modified, request: request)
        }
    }

    private func makeSymlinkNow(
        _ path: BrimPath, target: String, parents: Bool, modified: Timestamp?, request: String?
    ) async throws -> FileStat {
        guard let parent = path.parent, let name = path.name else {
            throw BrimError(.exists, "/ exists already", advice: "Choose another name")
        }
        guard !target.isEmpty, target.utf8.count <= Limits.symlinkBytes, !target.utf8.contains(0) else {
            throw BrimError(
                .invalid, "the target of a symbolic link must have 1 to \(Limits.symlinkBytes) bytes, no NUL")
        }
        let directory = parents ? try await ensureDirectory(parent) : try await directory(at: parent)
        let entry = try await store.create(
            NewEntry(
                place: EntryPlace(parent: directory.id, name: name), type: .symlink, mode: 0o777,
                modified: modified ?? clock.timestamp, target: target, request: request))
        return FileStat(path: path.description, entry: entry)
    }

    func rename(_ from: BrimPath, to: BrimPath, replace: Bool, request: String? = nil) async throws -> FileStat {
        try await once(request) {
            try await stat(to, done: $0)
        } _: {
            try await renameNow(from, to: to, replace: replace, request: request)
        }
    }

    private func renameNow(
        _ from: BrimPath, to: BrimPath, replace: Bool, request: String?
    ) async throws -> FileStat {
        guard let fromName = from.name, let toName = to.name, let toParent = to.parent else {
            throw BrimError(.invalid, "/ cannot be moved or replaced", advice: "Name something below it")
        }
        guard from == to || !from.contains(to) else {
            throw BrimError(.invalid, "\(from) cannot be moved below itself", advice: "Choose another target")
        }
        return try await withEntry(at: from) { entry in
            guard let fromParent = entry.parent else { throw BrimError(.invalid, "/ cannot be moved") }
            if from == to { return FileStat(path: to.description, entry: entry) }
            let directory = try await directory(at: toParent)
            let moved = try await store.rename(
                entry.id, from: EntryPlace(parent: fromParent, name: fromName),
                to: EntryPlace(parent: directory.id, name: toName), path: to.description, replace: replace,
                view: try await views.current(), request: request)
            return FileStat(path: to.description, entry: moved)
        }
    }

    /// Does something with what is at a path. When that was replaced or removed before it was done, what is at the path then
    /// takes its place, as if this had been asked a moment later. Throws `.notFound` when nothing is there.
    private func withEntry<Reply>(at path: BrimPath, _ body: (Entry) async throws -> Reply) async throws -> Reply {
        var found = try await entry(at: path)
        for _ in 0..<Self.attempts {
            do {
                return try await body(found)
            } catch let error as BrimError where error.code == .notFound {
                try await store.catchUp()
                let present = try await entry(at: path)
                // Something else is missing.
                if present.id == found.id { throw error }
                found = present
            }
        }
        throw Self.keepsChanging(path)
    }

    /// How often what was found at a path may be another thing by the time it is changed.
    static let attempts = 20

    static func keepsChanging(_ path: BrimPath) -> BrimError {
        BrimError(
            .conflict, "\(path) keeps changing while it is worked on",
            advice: "Stop those who write there and try again")
    }

    // MARK: - Rules

    static func checkCopies(_ n: Int) throws {
        guard (1...Limits.maxCopies).contains(n) else {
            throw BrimError(.invalid, "n is \(n)", advice: "Ask for 1 to \(Limits.maxCopies) copies")
        }
    }

    static func checkMode(_ mode: Int) throws {
        guard (0...0o7777).contains(mode) else {
            throw BrimError(.invalid, "the mode is \(mode)", advice: "Permission bits go from 0 to 4095 (07777)")
        }
    }

    /// `present` of other names are there already.
    static func checkAttributes(_ present: Int, _ change: [String: AttributeValue?]) throws {
        guard present + change.values.filter({ $0 != nil }).count <= Limits.attributeCount else {
            throw BrimError(.invalid, "a file has at most \(Limits.attributeCount) attributes")
        }
        for (name, value) in change {
            guard !name.isEmpty, name.utf8.count <= Limits.attributeBytes, !name.hasPrefix("$"),
                !name.contains("."), !name.utf8.contains(0)
            else {
                throw BrimError(
                    .invalid, "'\(name.prefix(64))' is not a name for an attribute",
                    advice: "Use 1 to \(Limits.attributeBytes) bytes without '.', NUL or a leading '$'")
            }
            if case .string(let text)? = value, text.utf8.count > Limits.attributeBytes {
                throw BrimError(.invalid, "the attribute '\(name)' is longer than \(Limits.attributeBytes) bytes")
            }
        }
    }

    static func isDirectory(_ path: BrimPath) -> BrimError {
        BrimError(.isDirectory, "\(path) is a directory", advice: "Name a file, or use -r for a whole tree")
    }

    static func notDirectory(_ path: BrimPath) -> BrimError {
        BrimError(.notDirectory, "\(path) is not a directory", advice: "Name a directory")
    }

    // MARK: - Details

    static let directoryBatch = 200

    /// Why `path` could not be resolved beyond `found`.
    private func missing(_ path: BrimPath, _ found: [Entry]) throws -> BrimError {
        let reached = try BrimPath(Array(path.components.prefix(max(0, found.count - 1))))
        if let last = found.last, last.type != .directory { return Self.notDirectory(reached) }
        let absent = try BrimPath(Array(path.components.prefix(found.count)))
        return BrimError(.notFound, "\(absent) does not exist", advice: absent == path ? nil : "Make it with mkdir -p")
    }

    /// Makes the directories of `path` beyond those in `found`; one made by somebody else meanwhile is taken as it is.
    private func makeMissing(
        _ path: BrimPath, _ found: [Entry], mode: Int?, modified: Timestamp?, request: String?
    ) async throws -> Entry {
        guard var current = found.last else { throw BrimError(.internal, "the root directory is missing") }
        guard current.type == .directory else { throw try missing(path, found) }
        if let mode { try Self.checkMode(mode) }
        for (index, name) in path.components.enumerated().dropFirst(found.count - 1) {
            let last = index == path.components.count - 1
            let place = EntryPlace(parent: current.id, name: name)
            do {
                current = try await store.create(
                    NewEntry(
                        place: place, type: .directory, mode: (last ? mode : nil) ?? 0o755,
                        modified: (last ? modified : nil) ?? clock.timestamp, request: last ? request : nil))
            } catch let error as BrimError where error.code == .exists && !(last && request != nil) {
                current = try await madeByAnother(place, path: path, depth: index + 1)
            }
        }
        return current
    }

    /// The directory that somebody else has just made. Its name is taken a moment before a majority knows of it and reads
    /// show it.
    private func madeByAnother(_ place: EntryPlace, path: BrimPath, depth: Int) async throws -> Entry {
        for _ in 0..<Self.visibilityChecks {
            guard let entry = try await store.entry(at: place) else {
                try await clock.sleep(for: .milliseconds(10))
                continue
            }
            guard entry.type == .directory else {
                throw Self.notDirectory(try BrimPath(Array(path.components.prefix(depth))))
            }
            return entry
        }
        throw BrimError(.conflict, "\(path) is being changed by others", advice: "Try again")
    }

    private static let visibilityChecks = 200
}
