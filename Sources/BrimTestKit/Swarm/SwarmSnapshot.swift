import BrimModel
import BrimWire
import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// All of a swarm at rest that a restart must not change.
public struct SwarmSnapshot: Sendable, Equatable {
    /// A file or directory on a slave's disk. A file that was written anew has another inode; a directory in which
    /// anything came or went meanwhile, even if all looks as before, has another time.
    struct DiskEntry: Sendable, Equatable {
        var inode: UInt64
        var modifiedNanoseconds: Int64
        /// Bytes; 0 for directories.
        var size: Int64
    }

    struct Server: Sendable, Equatable {
        var zone: String
        var quota: Int64
        var used: Int64
        var files: Int64
        var maxSurplus: Int?
    }

    struct Totals: Sendable, Equatable {
        var files: Int64
        var bytes: Int64
        var minSurplus: Int?
        var maxSurplus: Int?
        var levels: [StatusReply.Level]
        var unreachable: Int64
    }

    /// Files, directories and symbolic links by path, with all that `stat` tells of them.
    public var entries: [String: FileStat]
    var totals: Totals
    var servers: [String: Server]
    /// What lies below `blobs`, `incoming` and `quarantine` of each slave.
    var disks: [String: [String: DiskEntry]]

    /// What is not as it was `before`, in words; nil when all is.
    func difference(from before: SwarmSnapshot) -> String? {
        func named<Value: Equatable>(_ what: String, _ old: [String: Value], _ new: [String: Value]) -> [String] {
            Set(old.keys).union(new.keys).sorted().filter { old[$0] != new[$0] }.map { key in
                func text(_ value: Value?) -> String { value.map { "\($0)" } ?? "nothing" }
                return "\(what) \(key) was \(text(old[key])) and is \(text(new[key]))"
            }
        }
        var found = named("the entry", before.entries, entries)
        if totals != before.totals { found.append("the status was \(before.totals) and is \(totals)") }
        found += named("the server", before.servers, servers)
        for server in Set(before.disks.keys).union(disks.keys).sorted() {
            found += named("on \(server)", before.disks[server] ?? [:], disks[server] ?? [:])
        }
        return found.isEmpty ? nil : found.prefix(20).joined(separator: "\n")
    }
}

extension Swarm {
    /// Waits until all these servers are up, and the master has nothing to copy or to give up.
    public func waitUntilAtRest(_ servers: [String]) async throws {
        try await waitUntilUp(servers)
        try await waitFor("rest") {
            let status = try await status()
            return status.atRest && status.copying == 0
        }
    }

    /// What it is like once all is at rest and consistent with these contents.
    public func snapshotAtRest(_ servers: [String], _ contents: [String: Data]) async throws -> SwarmSnapshot {
        try await waitUntilAtRest(servers)
        try await waitUntilConsistent(contents)
        return try await snapshot()
    }

    /// What it is like now.
    public func snapshot() async throws -> SwarmSnapshot {
        let status = try await status()
        var servers: [String: SwarmSnapshot.Server] = [:]
        var disks: [String: [String: SwarmSnapshot.DiskEntry]] = [:]
        for server in status.servers {
            let name = server.name.rawValue
            servers[name] = SwarmSnapshot.Server(
                zone: server.zone, quota: server.quota, used: server.used, files: server.files,
                maxSurplus: server.maxSurplus)
            disks[name] = try disk(of: name)
        }
        return SwarmSnapshot(
            entries: try await entries(),
            totals: SwarmSnapshot.Totals(
                files: status.files, bytes: status.bytes, minSurplus: status.minSurplus,
                maxSurplus: status.maxSurplus, levels: status.surplus, unreachable: status.unreachable),
            servers: servers, disks: disks)
    }

    /// Waits until all is at rest and as it was, which it must be after a restart: nothing lost, nothing forgotten, and
    /// nothing copied that was there.
    public func waitUntilUnchanged(since before: SwarmSnapshot, _ servers: [String]) async throws {
        try await waitUntilAtRest(servers)
        var difference: String? = "not compared yet"
        do {
            try await waitFor("all as before the restart") {
                difference = try await snapshot().difference(from: before)
                return difference == nil
            }
        } catch let error as SwarmFailure {
            throw SwarmFailure("\(difference ?? "as before, too late")\n\(error)")
        }
    }

    private func disk(of server: String) throws -> [String: SwarmSnapshot.DiskEntry] {
        var entries: [String: SwarmSnapshot.DiskEntry] = [:]
        for top in ["blobs", "incoming", "quarantine"] {
            let directory = data(of: server).appending(path: top).path
            let below = FileManager.default.enumerator(atPath: directory)?.compactMap { $0 as? String } ?? []
            for path in [""] + below.map({ "/\($0)" }) {
                var status = Glibc.stat()
                guard lstat(directory + path, &status) == 0 else {
                    // Deleted since it was listed.
                    if errno == ENOENT { continue }
                    throw SwarmFailure("cannot look at \(directory)\(path): errno \(errno)")
                }
                entries[top + path] = SwarmSnapshot.DiskEntry(
                    inode: UInt64(status.st_ino),
                    modifiedNanoseconds: Int64(status.st_mtim.tv_sec) * 1_000_000_000 + Int64(status.st_mtim.tv_nsec),
                    size: status.st_mode & S_IFMT == S_IFDIR ? 0 : Int64(status.st_size))
            }
        }
        return entries
    }
}
