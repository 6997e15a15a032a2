import BrimMetadata
import BrimModel
import BrimPlacement

/// What every `MetadataStore` must do, as checks that run against any of them.
///
/// Each check gets a fresh, prepared store, and throws a `ConformanceFailure` where the store does something else.
public struct MetadataConformance: Sendable, CustomStringConvertible {
    public let name: String
    public let run: @Sendable (any MetadataStore) async throws -> Void

    init(_ name: String, _ body: @escaping @Sendable (inout ConformanceFixture) async throws -> Void) {
        self.name = name
        run = { store in
            var fixture = try ConformanceFixture(store)
            try await body(&fixture)
            try await fixture.checkCounts()
        }
    }

    public var description: String { name }

    /// All checks.
    public static let all =
        namespace + renames + commits + requests + leases + servers + lifecycle + replicas + decisions + trash
        + deletions + events + settings + changes + drills + policies + foresight
}

/// Where a store differs from what it must do.
public struct ConformanceFailure: Error, CustomStringConvertible {
    public let description: String
}

func expect(
    _ holds: Bool, _ claim: @autoclosure () -> String, file: StaticString = #fileID, line: UInt = #line
) throws {
    if !holds { throw ConformanceFailure(description: "\(file):\(line): not true that \(claim())") }
}

func expectEqual<T: Equatable>(
    _ value: T, _ expected: T, _ what: String = "", file: StaticString = #fileID, line: UInt = #line
) throws {
    if value != expected {
        throw ConformanceFailure(description: "\(file):\(line): \(what) is \(value), not \(expected)")
    }
}

func expectError(
    _ code: BrimError.Code, file: StaticString = #fileID, line: UInt = #line, _ body: () async throws -> Void
) async throws {
    do {
        try await body()
    } catch let error as BrimError {
        return try expectEqual(error.code, code, "the error '\(error)'", file: file, line: line)
    }
    throw ConformanceFailure(description: "\(file):\(line): no error, but \(code.rawValue) was due")
}

/// A store with the means to fill it.
struct ConformanceFixture {
    let store: any MetadataStore
    /// Counted, readable and up: alpha, bravo and charlie, unless a check changes it.
    var view: ServerView
    let alpha, bravo, charlie, delta: ServerName
    private var blobIDs = BlobIDGenerator()
    private var seconds: UInt32 = 1_800_000_000

    init(_ store: any MetadataStore) throws {
        self.store = store
        alpha = try ServerName(validating: "alpha")
        bravo = try ServerName(validating: "bravo")
        charlie = try ServerName(validating: "charlie")
        delta = try ServerName(validating: "delta")
        let all: Set = [alpha, bravo, charlie]
        view = ServerView(epoch: 1, counted: all, readable: all, up: all)
    }

    static let time = Timestamp(seconds: 1_750_000_000, nanoseconds: 123_456_789)

    /// Greater than every earlier one.
    mutating func blob() -> BlobID {
        seconds += 1
        return blobIDs.next(seconds: seconds)
    }

    func place(_ name: String, in parent: FileID = .root) throws -> EntryPlace {
        EntryPlace(parent: parent, name: try EntryName(name))
    }

    mutating func write(
        _ name: String, in parent: FileID = .root, size: Int64 = 10, on servers: [ServerName]? = nil, n: Int? = nil,
        request: String? = nil, precondition: Precondition = .none, attributes: [String: AttributeValue] = [:]
    ) throws -> BlobCommit {
        let blob = blob()
        return BlobCommit(
            request: request ?? "request-\(blob)", place: try place(name, in: parent), blob: blob, size: size,
            checksum: Checksum(crc32c: UInt32(truncatingIfNeeded: size)), replicas: servers ?? [alpha, bravo],
            mode: 0o644, modified: Self.time, explicitN: n,
            policy: .standard(3), attributes: attributes,
            precondition: precondition)
    }

    func commit(_ writes: BlobCommit...) async throws -> [CommitOutcome] {
        try await store.commit(writes, view: view).map { try $0.get() }
    }

    /// Commits a file and gives its entry.
    @discardableResult
    mutating func file(
        _ name: String, in parent: FileID = .root, size: Int64 = 10, on servers: [ServerName]? = nil, n: Int? = nil
    ) async throws -> Entry {
        try await commit(write(name, in: parent, size: size, on: servers, n: n))[0].entry
    }

    @discardableResult
    func directory(_ name: String, in parent: FileID = .root) async throws -> Entry {
        try await store.create(
            NewEntry(place: place(name, in: parent), type: .directory, mode: 0o755, modified: Self.time))
    }

    func symlink(_ name: String, to target: String) async throws -> Entry {
        try await store.create(
            NewEntry(place: place(name), type: .symlink, mode: 0o777, modified: Self.time, target: target))
    }

    func names(in directory: FileID = .root) async throws -> [String] {
        try await store.list(directory, after: nil, limit: 1000).compactMap { $0.name?.text }
    }

    /// What is there now; an error if it is gone.
    func current(_ entry: Entry) async throws -> Entry {
        guard let current = try await store.entry(entry.id) else {
            throw ConformanceFailure(description: "entry \(entry.id) is gone")
        }
        return current
    }

    func content(_ entry: Entry) async throws -> FileContent {
        guard let content = try await current(entry).content else {
            throw ConformanceFailure(description: "entry \(entry.id) is not a file")
        }
        return content
    }

    func change(_ entry: Entry, _ server: ServerName) throws -> ReplicaChange {
        guard let content = entry.content else { throw ConformanceFailure(description: "\(entry.id) is not a file") }
        return ReplicaChange(file: entry.id, blob: content.blob, server: server)
    }

    func rename(
        _ entry: Entry, to name: String, in parent: FileID = .root, replace: Bool = false
    ) async throws -> Entry {
        guard let from = entry.parent, let formerName = entry.name else {
            throw ConformanceFailure(description: "\(entry.id) has no name")
        }
        return try await store.rename(
            entry.id, from: EntryPlace(parent: from, name: formerName), to: place(name, in: parent), path: "/" + name,
            replace: replace, view: view)
    }

    /// Removes entries as if all were in the root.
    @discardableResult
    func remove(_ entries: [Entry], now: Bool = false) async throws -> [BrimError?] {
        try await store.remove(
            entries.map { Removal($0, path: "/" + ($0.name?.text ?? "")) }, now: now, view: view)
    }

    /// Gives all former versions documents of their own.
    func settle() async throws {
        while try await store.settleVersions(of: nil, limit: 10, view: view) > 0 {}
    }

    func owner(_ blob: BlobID) async throws -> BlobOwner? { try await store.owners(of: [blob])[blob] }

    @discardableResult
    func join(
        _ name: ServerName, id: String = "id", quota: Int64 = 1000, boot: String = "b1", count: Int64 = 0,
        used: Int64 = 0, zone: String? = nil
    ) async throws -> ServerRecord {
        try await store.join(
            ServerHello(
                name: name, id: id, address: "\(name):4243", zone: zone ?? "zone-\(name)", version: "1.0",
                requestedQuota: quota, usage: Self.usage(boot: boot, count: count, used: used)))
    }

    /// Has the files of every server that joined counted for the fixture's view.
    func recountAll() async throws {
        for server in try await store.servers() {
            var progress = RecountProgress(epoch: view.epoch)
            while !progress.finished {
                progress = try await store.recount(server.name, from: progress, rising: false, limit: 100, view: view)
            }
        }
    }

    static func usage(boot: String = "b1", count: Int64, used: Int64) -> ServerUsage {
        ServerUsage(boot: boot, count: count, used: used, diskFree: 1 << 40, files: count)
    }

    /// All live entries below a directory, by path.
    func tree(_ directory: FileID = .root, path: String = "") async throws -> [String: Entry] {
        var found: [String: Entry] = [:]
        var after: EntryName?
        repeat {
            let page = try await store.list(directory, after: after, limit: 100)
            for entry in page {
                let entryPath = path + "/" + (entry.name?.text ?? "?")
                found[entryPath] = entry
                if entry.type == .directory {
                    found.merge(try await tree(entry.id, path: entryPath)) { first, _ in first }
                }
            }
            after = page.last?.name
        } while after != nil
        return found
    }

    /// k, readable and surplus of every file, removed ones too, are what follows from its replicas and the view.
    func checkCounts() async throws {
        for file in try await store.removedFiles(.below("/"), after: nil, limit: 10_000) {
            guard let content = file.entry.content else { continue }
            try expectEqual(
                content.k, content.replicas.count { view.counted.contains($0) }, "k of removed \(file.path)")
            try expectEqual(content.readable, content.replicas.contains { view.readable.contains($0) }, file.path)
            try expect(Trash.isTrash(surplus: content.surplus), "the surplus of removed \(file.path) is that of trash")
        }
        for (path, entry) in try await tree() {
            guard let content = entry.content else { continue }
            try expectEqual(content.k, content.replicas.count { view.counted.contains($0) }, "k of \(path)")
            try expectEqual(content.readable, content.replicas.contains { view.readable.contains($0) }, path)
            try expectEqual(Set(content.replicas).count, content.replicas.count, "holders of \(path)")
            for server in content.replicas {
                let victim = try await store.richest(on: server, minSurplus: .min, limit: 1000)
                    .first { $0.file == entry.id }
                try expectEqual(victim?.surplus, content.k - content.n, "surplus of \(path) as stored")
            }
        }
    }
}
