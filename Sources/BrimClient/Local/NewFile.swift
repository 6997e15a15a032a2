import BrimModel
import Foundation
import NIOCore

/// A file of this machine that appears under its name only once it is whole: written as `.NAME.brim-XXXXXXXX` beside
/// it, synced, then renamed.
public final class NewFile: ByteSink {
    private let target: String
    private let temporary: String
    private let directory: String
    private let file: LocalFile

    /// Begins a file, for its owner only; `target` may be a symbolic link to an existing file, which then is replaced.
    /// Throws `.notFound`, `.denied`, `.full`, `.io`, as all that follows does.
    public init(at target: String) async throws {
        (self.target, temporary, directory, file) = try await blocking {
            let target = Self.followLink(target)
            let temporary = Self.temporaryPath(for: target)
            return (target, temporary, LocalPath.parent(of: target), try LocalFile(creating: temporary, for: target))
        }
    }

    public func write(_ bytes: ByteBuffer) async throws {
        try await blocking { [file] in try file.write(bytes) }
    }

    public func restart() async throws -> Bool {
        try await blocking { [file] in try file.truncate() }
        return true
    }

    /// Puts the file in its place, durably. `mode` nil: that of the file it replaces, else `fallbackMode` less the umask.
    public func commit(mode: Int?, fallbackMode: Int, modified: Timestamp?) async throws {
        try await blocking { [self] in
            let mode = mode ?? Posix.status(of: target)?.permissions ?? fallbackMode & ~LocalPath.umaskBits
            try Posix.check("set the mode of", target) { fchmod(file.descriptor, mode_t(mode & 0o7777)) }
            if let modified {
                let times = [LocalPath.unchangedTime, modified.timespec]
                try Posix.check("set the time of", target) { futimens(file.descriptor, times) }
            }
            try file.sync()
            try Posix.check("write", target) { rename(temporary, target) }
            try LocalPath.syncDirectory(directory)
        }
    }

    /// Forgets the file; harmless after ``commit(mode:fallbackMode:modified:)``.
    public func discard() { unlink(temporary) }

    private static func followLink(_ path: String) -> String {
        var status = stat()
        guard lstat(path, &status) == 0, status.isSymlink, let resolved = realpath(path, nil) else { return path }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    static func temporaryPath(for target: String) -> String {
        let room = Limits.nameBytes - 15
        var name = LocalPath.name(of: target)
        while name.utf8.count > room { name.removeLast() }
        let suffix = String(UInt32.random(in: .min ... .max), radix: 16)
        let padded = String(repeating: "0", count: 8 - suffix.count) + suffix
        return LocalPath.join(LocalPath.parent(of: target), ".\(name).brim-\(padded)")
    }
}

/// A file that is written as the bytes come: standard output, a pipe, a device.
public struct StreamSink: ByteSink {
    private let file: LocalFile

    public init(file: LocalFile) { self.file = file }

    public func write(_ bytes: ByteBuffer) async throws {
        try await blocking { [file] in try file.write(bytes) }
    }

    public func restart() async throws -> Bool { false }
}

/// Paths of this machine as text.
enum LocalPath {
    /// Stands for a time that is not to be set: glibc's UTIME_OMIT, a macro that Swift does not see.
    static let unchangedTime = timespec(tv_sec: 0, tv_nsec: (1 << 30) - 2)

    /// The permission bits that new files of this process do not get.
    static let umaskBits: Int = {
        let bits = umask(0o022)
        umask(bits)
        return Int(bits)
    }()

    static func name(of path: String) -> String {
        path.utf8.split(separator: UInt8(ascii: "/")).last.map { String(Substring($0)) } ?? ""
    }

    static func parent(of path: String) -> String {
        let trimmed = path.hasSuffix("/") ? String(path.dropLast()) : path
        guard let slash = trimmed.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
        return slash == trimmed.startIndex ? "/" : String(trimmed[..<slash])
    }

    static func join(_ directory: String, _ name: String) -> String {
        directory.hasSuffix("/") ? directory + name : directory + "/" + name
    }

    /// Makes a directory and its parents; one that exists is no error.
    static func makeDirectories(_ path: String) throws {
        if mkdir(path, 0o777) == 0 { return }
        let number = errno
        let parent = parent(of: path)
        switch number {
        case EEXIST:
            guard Posix.status(of: path)?.isDirectory == true else {
                throw Posix.error("make the directory", path, ENOTDIR)
            }
        case ENOENT where parent != path:
            try makeDirectories(parent)
            if mkdir(path, 0o777) != 0, errno != EEXIST { throw Posix.error("make the directory", path, errno) }
        default: throw Posix.error("make the directory", path, number)
        }
    }

    /// Makes a rename in a directory durable.
    static func syncDirectory(_ path: String) throws {
        let descriptor = try Posix.check("write", path) { open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        defer { close(descriptor) }
        try Posix.check("write", path) { fsync(descriptor) }
    }

    static func setTimes(_ path: String, modified: Timestamp) throws {
        let times = [LocalPath.unchangedTime, modified.timespec]
        try Posix.check("set the time of", path) { utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW) }
    }

    /// Makes a symbolic link, in place of a file or link of that name.
    static func makeSymlink(_ path: String, target: String, modified: Timestamp) throws {
        let temporary = NewFile.temporaryPath(for: path)
        try Posix.check("make the link", path) { symlink(target, temporary) }
        do {
            try setTimes(temporary, modified: modified)
            try Posix.check("make the link", path) { rename(temporary, path) }
        } catch {
            unlink(temporary)
            throw error
        }
    }
}

extension Timestamp {
    var timespec: timespec { Foundation.timespec(tv_sec: Int(seconds), tv_nsec: Int(nanoseconds)) }
}
