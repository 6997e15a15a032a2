import BrimModel
import CLinux
import Foundation
import NIOCore

/// Blocking calls on files, with errors that say what failed. For threads that may block.
enum POSIX {
    /// An open descriptor, closed when nobody holds it any more.
    final class File: Sendable {
        let descriptor: Int32
        let path: String

        init(descriptor: Int32, path: String) {
            self.descriptor = descriptor
            self.path = path
        }

        deinit { close(descriptor) }
    }

    /// The error for the current `errno`: `.full` for a full disk, `.notFound` for a missing file, else `.io`.
    static func failure(_ what: String, _ path: String, _ number: Int32 = errno) -> BrimError {
        let reason = String(cString: strerror(number)).lowercased()
        switch number {
        case ENOSPC, EDQUOT:
            return BrimError(.full, "cannot \(what) \(path): \(reason)", advice: "Free space on the disk")
        case ENOENT: return BrimError(.notFound, "cannot \(what) \(path): \(reason)")
        default: return BrimError(.io, "cannot \(what) \(path): \(reason)", advice: "See the kernel's log for the disk")
        }
    }

    static func open(_ path: String, _ flags: Int32, mode: mode_t = 0o600) throws -> File {
        while true {
            let descriptor = Foundation.open(path, flags | O_CLOEXEC, mode)
            if descriptor >= 0 { return File(descriptor: descriptor, path: path) }
            if errno != EINTR { throw failure("open", path) }
        }
    }

    static func write(_ file: File, _ bytes: UnsafeRawBufferPointer, at offset: Int64) throws {
        var done = 0
        while done < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
            let count = pwrite(file.descriptor, rest.baseAddress, rest.count, off_t(offset) + off_t(done))
            if count < 0 {
                if errno == EINTR { continue }
                throw failure("write", file.path)
            }
            done += count
        }
    }

    /// Up to `count` bytes from `offset`; fewer only at the end of the file.
    static func read(_ file: File, at offset: Int64, count: Int) throws -> ByteBuffer {
        var buffer = ByteBufferAllocator().buffer(capacity: count)
        var isAtEnd = false
        while buffer.readableBytes < count, !isAtEnd {
            let wanted = count - buffer.readableBytes
            let position = off_t(offset) + off_t(buffer.readableBytes)
            try buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: wanted) { space in
                let got = pread(file.descriptor, space.baseAddress, wanted, position)
                if got < 0 {
                    if errno == EINTR { return 0 }
                    throw failure("read", file.path)
                }
                isAtEnd = got == 0
                return got
            }
        }
        return buffer
    }

    static func sync(_ file: File) throws {
        // Never retried, not even after EINTR: the kernel may have dropped the pages it could not write.
        if fsync(file.descriptor) != 0 { throw failure("fsync", file.path) }
    }

    /// Makes all that was done on the file system of an open file durable. Not retried either.
    static func syncFileSystem(_ file: File) throws {
        if brim_sync_file_system(file.descriptor) != 0 { throw failure("sync the file system of", file.path) }
    }

    static func syncDirectory(_ path: String) throws { try sync(try open(path, O_RDONLY | O_DIRECTORY)) }

    static func rename(_ from: String, _ to: String) throws {
        if Foundation.rename(from, to) != 0 { throw failure("rename", from) }
    }

    /// Whether there was a file to remove.
    @discardableResult
    static func unlink(_ path: String) throws -> Bool {
        if Foundation.unlink(path) == 0 { return true }
        if errno == ENOENT { return false }
        throw failure("remove", path)
    }

    /// Whether it was made now.
    @discardableResult
    static func makeDirectory(_ path: String) throws -> Bool {
        if mkdir(path, 0o700) == 0 { return true }
        if errno == EEXIST { return false }
        throw failure("make directory", path)
    }

    struct Status: Sendable, Equatable {
        var size: Int64
        var device: UInt64
        var inode: UInt64
        var isRegularFile: Bool
    }

    /// nil when there is no such file.
    static func status(_ path: String) throws -> Status? {
        var info = stat()
        guard lstat(path, &info) == 0 else {
            if errno == ENOENT { return nil }
            throw failure("look at", path)
        }
        return Status(info)
    }

    static func status(_ file: File) throws -> Status {
        var info = stat()
        guard fstat(file.descriptor, &info) == 0 else { throw failure("look at", file.path) }
        return Status(info)
    }

    /// The names in a directory, without `.` and `..`; none when it does not exist.
    static func names(in path: String) throws -> [String] {
        guard let directory = opendir(path) else {
            if errno == ENOENT { return [] }
            throw failure("list", path)
        }
        defer { closedir(directory) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(directory) else {
                if errno != 0 { throw failure("list", path) }
                return names
            }
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
    }

    /// Bytes of the file system that holds `path`: all of it, and what an ordinary user may still take.
    static func space(_ path: String) throws -> (total: Int64, available: Int64) {
        var info = statvfs()
        guard statvfs(path, &info) == 0 else { throw failure("look at the disk of", path) }
        let unit = Int64(info.f_frsize)
        return (Int64(info.f_blocks) * unit, Int64(info.f_bavail) * unit)
    }

    /// Whether the file system that holds `path` is mounted read-only there.
    static func isReadOnly(_ path: String) throws -> Bool {
        var info = statvfs()
        guard statvfs(path, &info) == 0 else { throw failure("look at the disk of", path) }
        return info.f_flag & UInt(ST_RDONLY) != 0
    }

    /// Writes a small file so that after a crash it is the old or the new one, whole.
    static func replace(_ path: String, with bytes: Data) throws {
        let temporary = path + ".new"
        let file = try open(temporary, O_WRONLY | O_CREAT | O_TRUNC)
        try bytes.withUnsafeBytes { try write(file, $0, at: 0) }
        try sync(file)
        try rename(temporary, path)
        try syncDirectory((path as NSString).deletingLastPathComponent)
    }
}

extension POSIX.Status {
    init(_ info: stat) {
        size = Int64(info.st_size)
        device = UInt64(info.st_dev)
        inode = UInt64(info.st_ino)
        isRegularFile = info.st_mode & S_IFMT == S_IFREG
    }
}
