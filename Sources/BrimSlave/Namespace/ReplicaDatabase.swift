import BrimModel
import BrimWire
import Foundation
import GRDB
import Synchronization

/// One copy of the namespace in a file of its own, beside the catalog and not in it: it can be made anew at any time, so
/// the disk is not asked to sync for each change (`synchronous = NORMAL`: after a power failure it is older, never torn).
final class ReplicaDatabase: Sendable {
    /// How far it is; stored with the entries, in the same transactions.
    struct Progress: Sendable, Equatable, Codable {
        /// The changes up to here are in it.
        var position: String?
        /// The last entry of the snapshot's last page; nil before the first, and once the snapshot is whole.
        var after: Int64?
        var hasSnapshot = false
        /// Whether it was once all that there was at some moment: fit to be read.
        var isReady = false
        /// When it was known to be what the masters had, in milliseconds since 1970.
        var asOf: Int64 = 0
        var entries: Int64 = 0
        var scope: ReplicaScope
        /// Whose files are kept where the scope is `own`.
        var server: ServerName
    }

    let path: String
    let pool: DatabasePool
    private let current: Mutex<Progress>

    var progress: Progress { current.withLock { $0 } }

    /// Opens a file, or makes it with this progress. Blocks. Throws when it is none of this version's.
    init(path: String, new: Progress) throws {
        self.path = path
        pool = try ReplicaSchema.open(path)
        let stored = try pool.write { database -> Progress in
            if let stored = try ReplicaSchema.progress(database) { return stored }
            try ReplicaSchema.store(new, in: database)
            return new
        }
        current = Mutex(stored)
    }

    /// Removes the files of a copy; who reads it still, may finish.
    static func remove(_ path: String) {
        for suffix in ["", "-wal", "-shm"] { unlink(path + suffix) }
    }

    // MARK: Changing; for one task

    /// Takes in a page of a snapshot; `position` counts with the first.
    func enter(_ page: SnapshotReply) async throws {
        try await change { writer, progress in
            for entry in page.entries { try writer.put(entry.entry) }
            progress.position = progress.position ?? page.position
            progress.after = page.next?.rawValue
            progress.hasSnapshot = page.next == nil
        }
    }

    /// Takes in changes and the position after them.
    func apply(_ changes: [FeedChange], position: String?) async throws {
        try await change { writer, progress in
            for change in changes {
                if let entry = change.entry?.entry {
                    try writer.put(entry)
                } else if let id = change.removed {
                    try writer.remove(id, rev: change.rev)
                }
            }
            if let position { progress.position = position }
        }
    }

    /// From now on only the files of its server are kept.
    func keepOwn() async throws {
        try await change { writer, progress in
            progress.scope = .own
            try writer.removeOthers()
        }
    }

    /// Notes when it was as the masters had it. Written down only when `isStored`: else lost at a crash.
    func note(asOf: Int64, position: String?, isReady: Bool, isStored: Bool) async throws {
        current.withLock { $0.asOf = max($0.asOf, asOf) }
        guard isStored || isReady != progress.isReady else { return }
        try await change { _, progress in
            if let position { progress.position = position }
            progress.isReady = isReady
        }
    }

    private func change(
        _ body: @escaping @Sendable (inout ReplicaWriter, inout Progress) throws -> Void
    ) async throws {
        let before = progress
        let after = try await pool.write { database -> Progress in
            var progress = before
            var writer = ReplicaWriter(database: database, server: before.scope == .own ? before.server : nil)
            try body(&writer, &progress)
            progress.entries += writer.added
            try ReplicaSchema.store(progress, in: database)
            return progress
        }
        current.withLock { current in
            let asOf = max(current.asOf, after.asOf)
            current = after
            current.asOf = asOf
        }
    }

    // MARK: Swarm

    func store(_ swarm: SwarmReply) async throws {
        let json = String(decoding: try BrimJSON.encoder().encode(swarm), as: UTF8.self)
        try await pool.write { try ReplicaSchema.set("swarm", json, in: $0) }
    }

    /// Blocks. nil when none was stored.
    func swarm() throws -> SwarmReply? {
        guard let json = try pool.read({ try ReplicaSchema.text("swarm", in: $0) }) else { return nil }
        return try BrimJSON.decoder().decode(SwarmReply.self, from: Data(json.utf8))
    }
}

/// The changes of one transaction.
struct ReplicaWriter {
    let database: Database
    /// Only files that this server has are kept; nil: all.
    let server: ServerName?
    /// Entries that joined, less those that left.
    private(set) var added: Int64 = 0

    init(database: Database, server: ServerName?) {
        self.database = database
        self.server = server
    }

    /// Enters an entry unless a newer one is there.
    mutating func put(_ entry: Entry) throws {
        let known = try rev(entry.id)
        guard entry.rev >= known ?? 0 else { return }
        if let server, let content = entry.content, !content.replicas.contains(server) {
            if known != nil { try delete(entry.id) }
            return
        }
        try ReplicaRow.insert(entry, into: database)
        if known == nil { added += 1 }
    }

    mutating func remove(_ id: FileID, rev: Int64?) throws {
        guard let known = try self.rev(id), rev ?? .max >= known else { return }
        try delete(id)
    }

    /// Removes the files that its server has no copy of.
    mutating func removeOthers() throws {
        guard let name = try ReplicaSchema.progress(database)?.server else { return }
        try database.execute(
            sql: "DELETE FROM entries WHERE type = 0 AND instr(',' || replicas || ',', ?) = 0",
            arguments: [",\(name.rawValue),"])
        added -= Int64(database.changesCount)
    }

    private mutating func delete(_ id: FileID) throws {
        try database.cachedStatement(sql: "DELETE FROM entries WHERE id = ?").execute(arguments: [id.rawValue])
        added -= 1
    }

    private func rev(_ id: FileID) throws -> Int64? {
        try Int64.fetchOne(
            try database.cachedStatement(sql: "SELECT rev FROM entries WHERE id = ?"), arguments: [id.rawValue])
    }
}
