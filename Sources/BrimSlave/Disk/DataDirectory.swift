import BrimModel
import Foundation
import NIOCore
import Synchronization

/// `brim.json`: whose data this is.
struct DirectoryIdentity: Codable, Sendable, Equatable {
    /// The only format so far.
    static let currentFormat = 1

    var format = currentFormat
    /// Random, made with the directory.
    var id: String
    /// nil until the first join, as is the name.
    var swarm: String?
    var name: ServerName?
    /// The `--quota` of the last start, in bytes.
    var quotaAsked: Int64?
    /// The quota last in force, in bytes; a master may have set it.
    var quota: Int64?
}

/// The directory a slave keeps everything in, held by one daemon at a time.
final class DataDirectory: Sendable {
    let path: String
    private let lock: POSIX.File
    private let current: Mutex<DirectoryIdentity>

    var identity: DirectoryIdentity { current.withLock { $0 } }
    var blobs: String { path + "/blobs" }
    var incoming: String { path + "/incoming" }
    var quarantine: String { path + "/quarantine" }
    var namespace: String { path + "/namespace" }
    var catalog: String { path + "/catalog.sqlite" }

    /// Opens the directory, made when missing. Blocks.
    ///
    /// Throws `.conflict` when another daemon holds it, `.unsupported` for a newer format, `.invalid` when it belongs to
    /// a server of another name than `name`, `.io`.
    init(path: String, name: ServerName?) throws {
        let url = URL(fileURLWithPath: path).standardizedFileURL
        do {
            try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        } catch {
            throw BrimError(
                .io, "cannot make the data directory \(url.path): \(Self.reason(error))",
                advice: "Choose another with --data")
        }
        self.path = url.path
        lock = try Self.lock(url.path)
        current = Mutex(try Self.load(url.path, name: name))
        for directory in [blobs, incoming, quarantine] { try POSIX.makeDirectory(directory) }
        try POSIX.syncDirectory(url.path)
    }

    /// Lets another daemon have it, at the end.
    func unlock() { flock(lock.descriptor, LOCK_UN) }

    /// What is wrong with the place itself, whatever the disk does: nil while the path leads to the directory that was
    /// opened, on a file system that takes writes. Blocks.
    func fault() -> ServerFault? {
        do {
            let (opened, there) = (try POSIX.status(lock), try POSIX.status(lock.path))
            guard let there, (there.device, there.inode) == (opened.device, opened.inode) else {
                return ServerFault(
                    reason: "\(path) is not there any more: it was moved, removed or unmounted", isReadable: false)
            }
            guard try POSIX.isReadOnly(blobs) || POSIX.isReadOnly(incoming) else { return nil }
            return ServerFault(reason: "\(path) is mounted read-only", isReadable: true)
        } catch let error as BrimError {
            return ServerFault(reason: error.message, isReadable: false)
        } catch {
            return ServerFault(reason: "\(error)", isReadable: false)
        }
    }

    /// What the system says of a failure, without the name of the error's type and a full stop.
    private static func reason(_ error: any Error) -> String {
        let underlying = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError
        guard let underlying, underlying.domain == NSPOSIXErrorDomain else { return error.localizedDescription }
        return String(cString: strerror(Int32(underlying.code))).lowercased()
    }

    /// Changes `brim.json` durably. Blocks.
    func update(_ change: (inout DirectoryIdentity) -> Void) throws {
        // Held while the file is written, so that the file and the value never part; seldom, and by one caller.
        try current.withLock { identity in
            var changed = identity
            change(&changed)
            guard changed != identity else { return }
            try Self.save(changed, in: path)
            identity = changed
        }
    }

    private static func lock(_ path: String) throws -> POSIX.File {
        let file = try POSIX.open(path + "/lock", O_RDWR | O_CREAT)
        guard flock(file.descriptor, LOCK_EX | LOCK_NB) == 0 else {
            throw BrimError(
                .conflict, "the data directory \(path) is in use by another slave",
                advice: "Stop that one, or choose another directory with --data", retryable: false)
        }
        return file
    }

    private static func load(_ path: String, name: ServerName?) throws -> DirectoryIdentity {
        let file = path + "/brim.json"
        guard try POSIX.status(file) != nil else {
            guard try POSIX.status(path + "/catalog.sqlite") == nil else {
                throw BrimError(
                    .corrupt, "\(path) holds a catalog but no brim.json",
                    advice: "Restore brim.json, or use another --data")
            }
            let identity = DirectoryIdentity(id: UUID().uuidString.lowercased())
            try save(identity, in: path)
            return identity
        }
        let identity = try read(file)
        if let name, let known = identity.name, known != name {
            throw BrimError(
                .invalid, "the data in \(path) belongs to the server \(known), not to \(name)",
                advice: "Start it with --name \(known) or without --name, or choose another --data")
        }
        return identity
    }

    private static func read(_ file: String) throws -> DirectoryIdentity {
        struct Format: Decodable { var format: Int }
        do {
            let opened = try POSIX.open(file, O_RDONLY)
            let size = Int(clamping: try POSIX.status(opened).size)
            let bytes = Data(try POSIX.read(opened, at: 0, count: size).readableBytesView)
            let format = try JSONDecoder().decode(Format.self, from: bytes).format
            guard format <= DirectoryIdentity.currentFormat else {
                throw BrimError(
                    .unsupported, "\(file) has format \(format), newer than this program knows",
                    advice: "Use the version of brim that wrote it, or a later one")
            }
            return try JSONDecoder().decode(DirectoryIdentity.self, from: bytes)
        } catch let error as BrimError {
            throw error
        } catch {
            throw BrimError(.corrupt, "\(file) cannot be read: \(error)", advice: "Restore it, or use another --data")
        }
    }

    private static func save(_ identity: DirectoryIdentity, in path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        do {
            try POSIX.replace(path + "/brim.json", with: try encoder.encode(identity) + Data("\n".utf8))
        } catch let error as EncodingError {
            throw BrimError(.internal, "brim.json cannot be encoded: \(error)")
        }
    }
}
