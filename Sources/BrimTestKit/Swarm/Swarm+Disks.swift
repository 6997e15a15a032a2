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
        try blobs(on: server)["\(blob)"].flatMap { bytes(of: $0, on: server) }
    }

    /// The bytes of one that was found there; nil when it is not there any more.
    func bytes(of blob: DiskBlob, on server: String) -> Data? {
        FileManager.default.contents(atPath: blobDirectory(of: server).appending(path: blob.path).path)
    }

    /// Bytes of what a slave has set aside: it still counts as used.
    public func quarantinedBytes(on server: String) throws -> Int64 {
        let top = data(of: server).appending(path: "quarantine").path
        guard FileManager.default.fileExists(atPath: top) else { return 0 }
        return try FileManager.default.contentsOfDirectory(atPath: top).reduce(0) { sum, name in
            let attributes = try FileManager.default.attributesOfItem(atPath: "\(top)/\(name)")
            return sum + ((attributes[.size] as? NSNumber)?.int64Value ?? 0)
        }
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
}
