import BrimMetadata
import BrimModel
import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Backups that lie on this machine.
public enum BackupFiles {
    /// A backup to be read; `-` is standard input, which is kept in a temporary file meanwhile, as it is read twice. So is
    /// what else comes from a pipe. Throws `.notFound`, `.io`.
    public static func source(_ path: String) throws -> BackupSource {
        let opened = try OpenFile(path == "-" ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC), path)
        let name = path == "-" ? "on standard input" : path
        var status = stat()
        guard fstat(opened.descriptor, &status) == 0 else { throw failure("read", path) }
        guard status.st_mode & S_IFMT != S_IFDIR else {
            throw BrimError(.isDirectory, "\(path) is a directory, not a backup", advice: "Name a file")
        }
        let file = status.st_mode & S_IFMT == S_IFREG ? opened : try spooled(opened, path)
        return BackupSource(name) {
            var offset: off_t = 0
            return { count in
                let bytes = try take(count, from: file.descriptor, at: offset, path)
                offset += off_t(bytes.count)
                return bytes
            }
        }
    }

    private final class OpenFile: Sendable {
        let descriptor: Int32
        init(_ descriptor: Int32, _ path: String) throws {
            guard descriptor >= 0 else { throw failure("read", path) }
            self.descriptor = descriptor
        }
        deinit { close(descriptor) }
    }

    /// All of a stream in a file that has no name.
    private static func spooled(_ stream: OpenFile, _ path: String) throws -> OpenFile {
        let directory = FileManager.default.temporaryDirectory.path
        var template = Array("\(directory)/brim-restore-XXXXXX".utf8CString)
        let spool = try OpenFile(mkstemp(&template), directory)
        unlink(template)
        while true {
            let bytes = try take(1 << 18, from: stream.descriptor, at: nil, path)
            if bytes.isEmpty { return spool }
            try put(bytes, to: spool.descriptor, "a temporary file in \(directory)")
        }
    }

    /// Up to so many bytes, none at the end; `at` nil: those that come next.
    private static func take(_ count: Int, from file: Int32, at offset: off_t?, _ path: String) throws -> [UInt8] {
        var failed = false
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            var got = -1
            repeat {
                got =
                    if let offset {
                        pread(file, buffer.baseAddress, count, offset)
                    } else {
                        read(file, buffer.baseAddress, count)
                    }
            } while got < 0 && errno == EINTR
            failed = got < 0
            filled = max(0, got)
        }
        if failed { throw failure("read", path) }
        return bytes
    }

    private static func put(_ bytes: [UInt8], to file: Int32, _ path: String) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw failure("write", path) }
            rest = rest.dropFirst(count)
        }
    }

    /// Why the system did not do it.
    private static func failure(_ verb: String, _ path: String) -> BrimError {
        let number = errno
        return BrimError(
            number == ENOENT ? .notFound : .io, "cannot \(verb) \(path): \(String(cString: strerror(number)))",
            advice: number == ENOSPC ? "Free some space, or name another place" : nil)
    }
}
