import BrimModel
import Foundation
import NIOCore
import NIOPosix

/// Runs blocking calls on the threads that NIO keeps for them.
func blocking<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await NIOThreadPool.singleton.runIfActive(body)
}

/// An open file of this machine; it is closed when the last user lets go of it. All calls block.
public final class LocalFile: Sendable {
    let descriptor: CInt
    /// For messages.
    let path: String
    private let closes: Bool

    /// Opens a file to be read. Throws `.notFound`, `.denied`, `.io`.
    public init(reading path: String) throws {
        self.path = path
        closes = true
        descriptor = try Posix.check("read", path) { open(path, O_RDONLY | O_CLOEXEC) }
    }

    /// Makes a file that must not exist yet, to be written; messages speak of `name`.
    init(creating path: String, for name: String) throws {
        self.path = name
        closes = true
        descriptor = try Posix.check("write", name) { open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600) }
    }

    /// Opens an existing pipe or device to be written.
    init(writing path: String) throws {
        self.path = path
        closes = true
        descriptor = try Posix.check("write", path) { open(path, O_WRONLY | O_CLOEXEC) }
    }

    /// A descriptor that belongs to somebody else, such as standard input.
    public init(borrowing descriptor: CInt, name: String) {
        self.descriptor = descriptor
        path = name
        closes = false
    }

    deinit { if closes { close(descriptor) } }

    func status() throws -> stat {
        var status = stat()
        try Posix.check("read", path) { fstat(descriptor, &status) }
        return status
    }

    /// Up to `count` bytes from `offset`; empty at the end.
    func read(at offset: Int64, count: Int) throws -> ByteBuffer {
        try read(count: count) { pread(self.descriptor, $0.baseAddress, $0.count, off_t(offset)) }
    }

    /// Up to `count` bytes from where the last call stopped; empty at the end.
    func readOn(count: Int) throws -> ByteBuffer {
        try read(count: count) { Foundation.read(self.descriptor, $0.baseAddress, $0.count) }
    }

    private func read(count: Int, _ call: (UnsafeMutableRawBufferPointer) -> Int) throws -> ByteBuffer {
        var buffer = ByteBufferAllocator().buffer(capacity: count)
        try buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { space in
            try Posix.check("read", path) { call(UnsafeMutableRawBufferPointer(rebasing: space.prefix(count))) }
        }
        return buffer
    }

    /// Writes all readable bytes where the last call stopped.
    public func write(_ buffer: ByteBuffer) throws {
        try buffer.withUnsafeReadableBytes { bytes in
            var rest = bytes[...]
            while !rest.isEmpty {
                let piece = UnsafeRawBufferPointer(rebasing: rest)
                let written = try Posix.check("write", path) {
                    Foundation.write(descriptor, piece.baseAddress, piece.count)
                }
                rest = rest.dropFirst(written)
            }
        }
    }

    /// Empties the file.
    func truncate() throws {
        try Posix.check("write", path) { ftruncate(descriptor, 0) }
        try Posix.check("write", path) { lseek(descriptor, 0, SEEK_SET) }
    }

    func sync() throws { try Posix.check("write", path) { fsync(descriptor) } }
}

/// System calls whose failures are said in BrimFS's words.
enum Posix {
    /// Repeats the call while it is interrupted; throws for a negative result.
    @discardableResult
    static func check<Result: SignedInteger>(
        _ action: String, _ path: String, _ call: () throws -> Result
    ) throws -> Result {
        while true {
            let result = try call()
            if result >= 0 { return result }
            if errno != EINTR { throw error(action, path, errno) }
        }
    }

    /// What a path leads to; nil when it leads nowhere.
    static func status(of path: String) -> stat? {
        var status = Foundation.stat()
        return fstatat(AT_FDCWD, path, &status, 0) == 0 ? status : nil
    }

    static func error(_ action: String, _ path: String, _ number: CInt) -> BrimError {
        let code: BrimError.Code =
            switch number {
            case ENOENT: .notFound
            case EACCES, EPERM, EROFS: .denied
            case EEXIST: .exists
            case ENOTDIR: .notDirectory
            case EISDIR: .isDirectory
            case ENOTEMPTY: .notEmpty
            case ENOSPC, EDQUOT: .full
            case ENAMETOOLONG: .invalid
            default: .io
            }
        return BrimError(
            code, "cannot \(action) '\(path)': \(String(cString: strerror(number)))",
            advice: code == .full ? "Free some space on this machine's disk" : nil)
    }
}

extension stat {
    var isDirectory: Bool { st_mode & S_IFMT == S_IFDIR }
    var isRegular: Bool { st_mode & S_IFMT == S_IFREG }
    var isSymlink: Bool { st_mode & S_IFMT == S_IFLNK }
    var size: Int64 { Int64(st_size) }
    var permissions: Int { Int(st_mode & 0o7777) }
    var modified: Timestamp { Timestamp(seconds: Int64(st_mtim.tv_sec), nanoseconds: Int32(st_mtim.tv_nsec)) }

    /// What a file that is neither regular, directory nor link is called.
    var specialName: String {
        switch st_mode & S_IFMT {
        case S_IFIFO: "a named pipe"
        case S_IFSOCK: "a socket"
        case S_IFBLK: "a block device"
        case S_IFCHR: "a character device"
        default: "a special file"
        }
    }
}
