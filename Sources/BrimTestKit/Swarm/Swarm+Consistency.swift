import BrimModel
import BrimWire
import Foundation

extension Swarm {
    /// Waits until disks, metadata and status agree, which they must whenever a swarm is at rest: every file has these
    /// bytes on each server that is said to hold it, everything in the trash those of its size and checksum; no disk has a
    /// blob more; k and surplus are what the holders make them; no server is above its quota. Then reads every file back
    /// with `brim cat`.
    ///
    /// - Parameters:
    ///   - contents: all files there should be, by path.
    ///   - down: servers that do not run, which are left out.
    public func waitUntilConsistent(_ contents: [String: Data], down: [String] = []) async throws {
        try await waitUntilDisksAgree(contents, down: down)
        for (path, data) in contents where try await download(path) != data {
            throw SwarmFailure("\(path) does not read as it was written\n\(await picture())")
        }
    }

    /// As ``waitUntilConsistent(_:down:)`` without reading the files, which takes long when there are many.
    ///
    /// - Parameter rotten: blobs that may have rotted in the trash, where nobody has looked yet.
    public func waitUntilDisksAgree(
        _ contents: [String: Data], down: [String] = [], rotten: Set<String> = []
    ) async throws {
        var difference: String? = "not compared yet"
        do {
            try await waitFor("disks, metadata and status agree") {
                difference = try await self.difference(from: contents, down: Set(down), rotten)
                return difference == nil
            }
        } catch let error as SwarmFailure {
            throw SwarmFailure("\(difference ?? "agreed too late")\n\(error)")
        }
    }

    private func difference(
        from contents: [String: Data], down: Set<String>, _ rotten: Set<String>
    ) async throws -> String? {
        let files = try await files()
        guard Set(files.keys) == Set(contents.keys) else {
            return "there are \(files.keys.sorted()) instead of \(contents.keys.sorted())"
        }
        let status = try await status()
        let counted = Set(status.servers.filter { $0.state != .down && $0.state != .draining }.map(\.name))
        var expected: [String: Set<String>] = [:]
        // Each disk is looked through once, not for each file.
        var disks: [String: [String: DiskBlob]] = [:]
        func bytes(of blob: BlobID, on server: String) throws -> Data? {
            if disks[server] == nil { disks[server] = try blobs(on: server) }
            return disks[server]?["\(blob)"].flatMap { self.bytes(of: $0, on: server) }
        }
        for (path, file) in files {
            guard let blob = file.blob, let n = file.n, let k = file.k, let replicas = file.replicas else {
                return "\(path) is no file"
            }
            guard k == counted.intersection(replicas).count, file.surplus == k - n else {
                return "\(path) has k \(k), n \(n), surplus \(String(describing: file.surplus)) and is on \(replicas)"
            }
            for server in replicas.map(\.rawValue) where !down.contains(server) {
                expected[server, default: []].insert("\(blob)")
                guard try bytes(of: blob, on: server) == contents[path] else {
                    return "the blob of \(path) on the disk of \(server) is missing or differs"
                }
            }
        }
        let discarded = try await discarded()
        for item in discarded {
            guard item.k == counted.count(where: { item.replicas.contains($0.rawValue) }), !item.replicas.isEmpty else {
                return "\(item.blob) in the trash has k \(item.k) and is on \(item.replicas)"
            }
            for server in item.replicas where !down.contains(server) {
                expected[server, default: []].insert("\(item.blob)")
                guard let bytes = try bytes(of: item.blob, on: server), Int64(bytes.count) == item.size,
                    Checksum(of: bytes) == item.checksum || rotten.contains("\(item.blob)")
                else { return "\(item.blob) in the trash is missing or differs on the disk of \(server)" }
            }
        }
        let held = discarded.reduce(0) { $0 + $1.size * Int64($1.k) }
        guard status.trash == StatusReply.Trash(files: Int64(discarded.count), bytes: held) else {
            return
                "the status has the trash \(String(describing: status.trash)); there are \(discarded.count), \(held) bytes"
        }
        for server in status.servers where !down.contains(server.name.rawValue) {
            let blobs = try blobs(on: server.name.rawValue)
            let surplus = Set(blobs.keys).subtracting(expected[server.name.rawValue] ?? [])
            guard surplus.isEmpty else { return "\(server.name) has blobs of no file: \(surplus.sorted())" }
            let bytes = blobs.values.reduce(0) { $0 + $1.size } + (try quarantinedBytes(on: server.name.rawValue))
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

extension Checksum {
    fileprivate init(of data: Data) {
        var sum = CRC32C()
        data.withUnsafeBytes { sum.update($0) }
        self.init(crc32c: sum.value)
    }
}
