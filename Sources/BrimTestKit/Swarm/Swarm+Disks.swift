import BrimModel
import BrimWire
import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A blob as it lies on a slave's disk.
public struct DiskBlob: Sendable, Hashable {
    /// Below the slave's `blobs` directory.
    public var path: String
    public var size: Int64
    /// These two stay the same as long as nobody writes the file anew.
    public var inode: UInt64
    public var modifiedNanoseconds: Int64
}

extension Swarm {
    private func blobDirectory(of server: String) -> URL { data(of: server).appending(path: "blobs") }

    /// All files in a slave's `blobs` directory, by name.
    public func blobs(on server: String) throws -> [String: DiskBlob] {
        let top = blobDirectory(of: server).path
        guard FileManager.default.fileExists(atPath: top) else { return [:] }
        var blobs: [String: DiskBlob] = [:]
        for path in FileManager.default.enumerator(atPath: top)?.compactMap({ $0 as? String }) ?? [] {
            var status = Glibc.stat()
            guard lstat("\(top)/\(path)", &status) == 0 else {
                // Deleted since it was listed.
                if errno == ENOENT { continue }
                throw SwarmFailure("cannot look at \(top)/\(path): errno \(errno)")
            }
            guard status.st_mode & S_IFMT != S_IFDIR else { continue }
            blobs[(path as NSString).lastPathComponent] = DiskBlob(
                path: path, size: Int64(status.st_size), inode: UInt64(status.st_ino),
                modifiedNanoseconds: Int64(status.st_mtim.tv_sec) * 1_000_000_000 + Int64(status.st_mtim.tv_nsec))
        }
        return blobs
    }

    /// Bytes received so far of what is on its way to a slave, by the names in its `incoming` directory.
    public func incoming(on server: String) throws -> [String: Int64] {
        let top = data(of: server).appending(path: "incoming").path
        var sizes: [String: Int64] = [:]
        for name in try FileManager.default.contentsOfDirectory(atPath: top) {
            var status = Glibc.stat()
            if lstat("\(top)/\(name)", &status) == 0 { sizes[name] = Int64(status.st_size) }
        }
        return sizes
    }

    /// The bytes of one blob on a slave's disk; nil when it is not there.
    public func blobBytes(_ blob: BlobID, on server: String) throws -> Data? {
        guard let found = try blobs(on: server)["\(blob)"] else { return nil }
        return FileManager.default.contents(atPath: blobDirectory(of: server).appending(path: found.path).path)
    }

    /// Bytes of all blobs on a slave's disk.
    public func bytes(on server: String) throws -> Int64 { try blobs(on: server).values.reduce(0) { $0 + $1.size } }

    /// Bytes that were on a slave's disk at one moment, in `blobs` and `incoming`: at least these, whatever comes and goes
    /// while this looks. Looks twice, and counts the files that were there both times, wherever they were.
    public func leastBytes(on server: String) throws -> Int64 {
        let (first, second) = (try filesByInode(on: server), try filesByInode(on: server))
        // A file that is being received only grows.
        return first.reduce(0) { sum, file in sum + (second[file.key].map { min($0, file.value) } ?? 0) }
    }

    private func filesByInode(on server: String) throws -> [UInt64: Int64] {
        var sizes: [UInt64: Int64] = [:]
        // In this order a file that is given its place meanwhile is not missed.
        for top in ["incoming", "blobs"] {
            let directory = data(of: server).appending(path: top).path
            for path in FileManager.default.enumerator(atPath: directory)?.compactMap({ $0 as? String }) ?? [] {
                var status = Glibc.stat()
                guard lstat("\(directory)/\(path)", &status) == 0, status.st_mode & S_IFMT == S_IFREG else { continue }
                sizes[UInt64(status.st_ino)] = Int64(status.st_size)
            }
        }
        return sizes
    }

    /// Waits until disks, metadata and status agree, which they must whenever a swarm is at rest: every file has these
    /// bytes on each server that is said to hold it; no disk has a blob more; k and surplus are what the holders make
    /// them; no server is above its quota. Then reads every file back with `brim cat`.
    ///
    /// - Parameters:
    ///   - contents: all files there should be, by path.
    ///   - down: servers that do not run, which are left out.
    public func waitUntilConsistent(_ contents: [String: Data], down: [String] = []) async throws {
        var difference: String? = "not compared yet"
        do {
            try await waitFor("disks, metadata and status agree") {
                difference = try await self.difference(from: contents, down: Set(down))
                return difference == nil
            }
        } catch let error as SwarmFailure {
            throw SwarmFailure("\(difference ?? "agreed too late")\n\(error)")
        }
        for (path, data) in contents where try await read(path) != data {
            throw SwarmFailure("\(path) does not read as it was written\n\(await picture())")
        }
    }

    private func difference(from contents: [String: Data], down: Set<String>) async throws -> String? {
        let files = try await files()
        guard Set(files.keys) == Set(contents.keys) else {
            return "there are \(files.keys.sorted()) instead of \(contents.keys.sorted())"
        }
        let status = try await status()
        let counted = Set(status.servers.filter { $0.state != .down }.map(\.name))
        var expected: [String: Set<String>] = [:]
        for (path, file) in files {
            guard let blob = file.blob, let n = file.n, let k = file.k, let replicas = file.replicas else {
                return "\(path) is no file"
            }
            guard k == counted.intersection(replicas).count, file.surplus == k - n else {
                return "\(path) has k \(k), n \(n), surplus \(String(describing: file.surplus)) and is on \(replicas)"
            }
            for server in replicas.map(\.rawValue) where !down.contains(server) {
                expected[server, default: []].insert("\(blob)")
                guard try blobBytes(blob, on: server) == contents[path] else {
                    return "the blob of \(path) on the disk of \(server) is missing or differs"
                }
            }
        }
        for server in status.servers where !down.contains(server.name.rawValue) {
            let blobs = try blobs(on: server.name.rawValue)
            let surplus = Set(blobs.keys).subtracting(expected[server.name.rawValue] ?? [])
            guard surplus.isEmpty else { return "\(server.name) has blobs of no file: \(surplus.sorted())" }
            let bytes = blobs.values.reduce(0) { $0 + $1.size }
            guard server.used == bytes, server.files == Int64(blobs.count) else {
                return "\(server.name) says \(server.files) files, \(server.used) bytes; has \(blobs.count), \(bytes)"
            }
            guard bytes <= server.quota else { return "\(server.name) holds \(bytes) bytes of \(server.quota)" }
        }
        var levels: [Int: StatusReply.Level] = [:]
        for file in files.values where (file.k ?? 0) > 0 {
            let surplus = file.surplus ?? 0
            levels[surplus, default: StatusReply.Level(surplus: surplus, files: 0, bytes: 0)].files += 1
            levels[surplus]?.bytes += file.size
        }
        guard status.surplus == levels.values.sorted(by: { $0.surplus < $1.surplus }),
            status.minSurplus == levels.keys.min(), status.maxSurplus == levels.keys.max()
        else {
            return "the status has surplus \(String(describing: status.minSurplus)) to "
                + "\(String(describing: status.maxSurplus)), \(status.surplus); the files have \(levels)"
        }
        let bytes = contents.values.reduce(0) { $0 + Int64($1.count) }
        guard status.files == Int64(contents.count), status.bytes == bytes else {
            return "the status says \(status.files) files, \(status.bytes) bytes; there are \(contents.count), \(bytes)"
        }
        return nil
    }
}
