import BrimModel
import CLinux
import Foundation
import NIOCore
import Synchronization

/// The files that hold blobs: where they are and how they come and go. What it does blocks threads of its own.
final class BlobStore: Sendable {
    let directory: DataDirectory
    let io: BlockingIO
    let health: DiskHealth
    /// Makes many small blobs durable at once; nil where each must be synced by itself.
    let fileSystem: FileSystemSync?
    /// Directories below `blobs/` that are known to be durable.
    private let durable = Mutex(DirectorySet())

    /// Blocks. `syncsTogether` is false where each blob shall be synced by itself on any disk.
    init(directory: DataDirectory, io: BlockingIO, health: DiskHealth, syncsTogether: Bool = true) {
        fileSystem = syncsTogether ? FileSystemSync(directory: directory.path, health: health) : nil
        self.directory = directory
        self.io = io
        self.health = health
    }

    /// In `ab/cd`, the id's last two bytes: the first are a clock and would put a whole day into one directory.
    func path(of blob: BlobID) -> String {
        let name = blob.description
        let digits = name.utf8.suffix(4)
        return "\(directory.blobs)/\(Substring(digits.prefix(2)))/\(Substring(digits.suffix(2)))/\(name)"
    }

    /// Empties `incoming/` and syncs the directories that are there. Blocks.
    func prepare() throws {
        for name in try POSIX.names(in: directory.incoming) { try POSIX.unlink(directory.incoming + "/" + name) }
        let outer = try folders(in: directory.blobs)
        for name in outer { try POSIX.syncDirectory(directory.blobs + "/" + name) }
        try POSIX.syncDirectory(directory.blobs)
        for name in outer {
            let inner = try folders(in: directory.blobs + "/" + name)
            durable.withLock { durable in
                durable.insert(name)
                for folder in inner { durable.insert(name + folder) }
            }
        }
    }

    /// Visits every file below `blobs/`, one directory at a time; what is not a blob of ours is told to `strange`. Blocks.
    func walk(
        blob visit: (BlobID, POSIX.Status) throws -> Void, strange: (String) -> Void
    ) throws {
        for outer in try POSIX.names(in: directory.blobs) {
            guard isFolder(outer) else {
                strange(directory.blobs + "/" + outer)
                continue
            }
            for inner in try POSIX.names(in: "\(directory.blobs)/\(outer)") {
                let folder = "\(directory.blobs)/\(outer)/\(inner)"
                guard isFolder(inner) else {
                    strange(folder)
                    continue
                }
                for name in try POSIX.names(in: folder) {
                    if let blob = BlobID(name), path(of: blob) == folder + "/" + name,
                        let status = try POSIX.status(folder + "/" + name), status.isRegularFile
                    {
                        try visit(blob, status)
                    } else {
                        strange(folder + "/" + name)
                    }
                }
            }
        }
    }

    private func folders(in path: String) throws -> [String] { try POSIX.names(in: path).filter(isFolder) }

    private func isFolder(_ name: String) -> Bool {
        name.utf8.count == 2 && name.allSatisfy { $0.isASCII && $0.isHexDigit && !$0.isUppercase }
    }

    /// The start of a write. Nothing touches the disk yet.
    func receive(_ blob: BlobID) -> IncomingBlob {
        IncomingBlob(store: self, blob: blob, path: temporaryPath(of: blob))
    }

    /// A new name in `incoming/`.
    func temporaryPath(of blob: BlobID) -> String {
        "\(directory.incoming)/\(blob).\(String(UInt64.random(in: 0...UInt64.max), radix: 36))"
    }

    /// Gives a synced file its place, durably. Blocks. Throws `.io`, `.full`, and where it must be `new` `.exists` when
    /// the blob is there already; nobody else may be receiving it.
    func install(_ path: String, as blob: BlobID, new: Bool) throws {
        try health.watch {
            if new, try POSIX.status(self.path(of: blob)) != nil {
                throw BrimError(.exists, "the blob \(blob) is here already")
            }
            let digits = String(blob.description.suffix(4))
            let outer = "\(directory.blobs)/\(digits.prefix(2))"
            let inner = "\(outer)/\(digits.suffix(2))"
            try makeDurable(outer, named: String(digits.prefix(2)), in: directory.blobs)
            try makeDurable(inner, named: digits, in: outer)
            try POSIX.rename(path, self.path(of: blob))
            try POSIX.syncDirectory(inner)
        }
    }

    private func makeDurable(_ path: String, named digits: String, in parent: String) throws {
        guard durable.withLock({ !$0.contains(digits) }) else { return }
        try POSIX.makeDirectory(path)
        try POSIX.syncDirectory(parent)
        durable.withLock { $0.insert(digits) }
    }

    /// Makes the directories of blobs where they are not known to be durable; answers which these are, by their digits.
    func makeDirectories(for arrivals: [Arrival]) throws -> Set<String> {
        var made: Set<String> = []
        for arrival in arrivals {
            let digits = String(arrival.blob.description.suffix(4))
            let outer = String(digits.prefix(2))
            for (name, path) in [(outer, outer), (digits, "\(outer)/\(digits.suffix(2))")]
            where durable.withLock({ !$0.contains(name) }) && made.insert(name).inserted {
                try POSIX.makeDirectory("\(directory.blobs)/\(path)")
            }
        }
        return made
    }

    func noteDurable(_ directories: Set<String>) {
        durable.withLock { durable in for digits in directories { durable.insert(digits) } }
    }

    /// The first `count` bytes of a blob if the kernel has them in memory. Never waits for the disk.
    func cached(_ blob: BlobID, count: Int) -> ByteBuffer? {
        var bytes = ByteBufferAllocator().buffer(capacity: count)
        let read = bytes.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { space in
            max(0, brim_read_cached(path(of: blob), space.baseAddress, count))
        }
        return read == count ? bytes : nil
    }

    /// Opens a blob to be read; nil when it is not there.
    func open(_ blob: BlobID) async throws -> POSIX.File? {
        let path = path(of: blob)
        return try await io.run {
            do {
                return try POSIX.open(path, O_RDONLY)
            } catch let error as BrimError where error.code == .notFound {
                return nil
            }
        }
    }

    /// Whether a blob's file is there, of the size it should have.
    func holds(_ blob: BlobID, size: Int64) async throws -> Bool {
        let path = path(of: blob)
        return try await io.run { try POSIX.status(path)?.size == size }
    }

    /// Unlinks blobs. Answers those whose space is not given back, because the disk refused.
    func unlink(_ blobs: [BlobID]) async -> [BlobID: String] {
        let paths = blobs.map { ($0, path(of: $0)) }
        do {
            return try await io.run {
                var failed: [BlobID: String] = [:]
                for (blob, path) in paths {
                    do { try POSIX.unlink(path) } catch { failed[blob] = "\(error)" }
                }
                return failed
            }
        } catch {
            return Dictionary(blobs.map { ($0, "\(error)") }, uniquingKeysWith: { first, _ in first })
        }
    }

    /// Moves a blob out of the way, keeping its bytes for a person to look at: answers how many these are. nil when the
    /// file is not the one that was found bad (`inode`), or is gone.
    func quarantine(_ blob: BlobID, inode: UInt64?) async throws -> Int64? {
        let path = path(of: blob)
        let stamp = Int64(Timestamp.now.seconds)
        let target = "\(directory.quarantine)/\(blob).\(stamp).\(UInt32.random(in: 0...UInt32.max))"
        let folder = directory.quarantine
        return try await io.run {
            guard let status = try POSIX.status(path), inode == nil || status.inode == inode else { return nil }
            try POSIX.rename(path, target)
            // A disk that cannot read may not sync either, and the blob is out of the way all the same: where the new name is
            // forgotten, the next start finds a blob without a row, and sums it.
            try? POSIX.syncDirectory(folder)
            return status.size
        }
    }
}

/// Some of the 256 directories `ab` and the 65,536 directories `ab/cd`, each named by its two or four digits.
private struct DirectorySet: Sendable {
    private var outer = [Bool](repeating: false, count: 1 << 8)
    private var inner = [Bool](repeating: false, count: 1 << 16)

    func contains(_ digits: String) -> Bool {
        guard let index = Int(digits, radix: 16) else { return false }
        return digits.utf8.count == 2 ? outer[index] : inner[index]
    }

    mutating func insert(_ digits: String) {
        guard let index = Int(digits, radix: 16) else { return }
        if digits.utf8.count == 2 { outer[index] = true } else { inner[index] = true }
    }
}
