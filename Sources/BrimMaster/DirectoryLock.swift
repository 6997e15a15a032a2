import BrimModel
import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Holds the data directory of a master, or of a member of a replica set, so that nobody else starts on it and takes its
/// mongod away. The system lets go of it when this process ends, however it ends.
final class DirectoryLock: Sendable {
    private let descriptor: Int32

    /// Takes the directory, made when missing. Throws `.conflict` when another process has it, `.io`.
    init(_ directory: URL) throws {
        do {
            try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        } catch {
            throw BrimError(
                .io, "cannot make the data directory \(directory.path): \(error.localizedDescription)",
                advice: "Choose another with --data")
        }
        let file = directory.appendingPathComponent("lock").path
        // Not inherited: mongod may outlive this process by a moment.
        descriptor = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw BrimError(
                .io, "cannot open \(file): \(String(cString: strerror(errno)))", advice: "Choose another --data")
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            throw BrimError(
                .conflict, "the data directory \(directory.path) is in use by another master or mongod of a swarm",
                advice: "Stop that one, or choose another directory with --data", retryable: false)
        }
    }

    /// Lets another master have it.
    func unlock() { flock(descriptor, LOCK_UN) }

    deinit { close(descriptor) }
}
