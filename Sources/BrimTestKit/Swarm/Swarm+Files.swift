import BrimClient
import BrimModel
import BrimWire
import Foundation

extension Swarm {
    // MARK: - Asking the master

    public func status() async throws -> StatusReply { try await client().status() }

    /// What the master says of one server.
    public func server(_ name: String) async throws -> ServerStatus {
        guard let server = try await status().servers.first(where: { $0.name.rawValue == name }) else {
            throw SwarmFailure("the master knows no server \(name)")
        }
        return server
    }

    public func stat(_ path: String) async throws -> FileStat {
        try await client().stat(BrimPath(parsing: path))
    }

    public func exists(_ path: String) async throws -> Bool {
        try await client().statIfPresent(BrimPath(parsing: path)) != nil
    }

    /// The counted copies of a file.
    public func k(_ path: String) async throws -> Int {
        guard let k = try await stat(path).k else { throw SwarmFailure("\(path) is no file") }
        return k
    }

    /// Names of the servers that hold a file, sorted.
    public func holders(_ path: String) async throws -> [String] {
        try await client().locations(BrimPath(parsing: path)).map(\.server.rawValue).sorted()
    }

    /// All regular files of the swarm, by path.
    public func files() async throws -> [String: FileStat] { try await entries().filter { $0.value.type == .file } }

    /// Everything in the swarm but the root, by path.
    public func entries() async throws -> [String: FileStat] {
        var entries: [String: FileStat] = [:]
        var directories = [BrimPath.root]
        while let directory = directories.popLast() {
            for try await entry in try client().list(directory) {
                let path = try directory.appending(entry.name)
                if entry.type == .directory { directories.append(path) }
                entries[path.description] = try await stat(path.description)
            }
        }
        return entries
    }

    /// Who holds each file: path to sorted names of servers.
    public func allHolders() async throws -> [String: [String]] {
        try await files().mapValues { ($0.replicas ?? []).map(\.rawValue).sorted() }
    }

    // MARK: - Files, by the command line

    /// Writes bytes with `brim put` from a file, so that the length is known beforehand. Throws unless it succeeds.
    public func put(_ data: Data, to path: String, _ flags: String...) async throws {
        let result = try await tryPut(data, to: path, flags)
        guard result.status == 0 else { throw SwarmFailure("\(result)") }
    }

    /// As above, for text.
    public func put(_ text: String, to path: String, _ flags: String...) async throws {
        let result = try await tryPut(Data(text.utf8), to: path, flags)
        guard result.status == 0 else { throw SwarmFailure("\(result)") }
    }

    /// `brim put`, with whatever outcome.
    public func tryPut(_ data: Data, to path: String, _ flags: [String] = []) async throws -> CommandResult {
        let file = try scratchFile(data)
        defer { try? FileManager.default.removeItem(at: file) }
        return try await cli(["put"] + flags + [file.path, path])
    }

    /// Writes bytes with the client library, in this process.
    @discardableResult
    public func upload(_ data: Data, to path: String) async throws -> WriteReply {
        let file = try scratchFile(data)
        defer { try? FileManager.default.removeItem(at: file) }
        return try await client().putFile(file.path, to: BrimPath(parsing: path))
    }

    /// The bytes of a file, read with the client library, in this process: many are read sooner so.
    public func download(_ path: String) async throws -> Data {
        let file = scratch.appending(path: "download-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: file) }
        try await client().getFile(BrimPath(parsing: path), to: file.path)
        return try Data(contentsOf: file)
    }

    /// The bytes of a file, read with `brim cat`.
    public func read(_ path: String) async throws -> Data {
        let result = try await cli(["cat", path])
        guard result.status == 0 else { throw SwarmFailure("\(result)") }
        return result.stdout
    }

    /// Type, mode, target and time of everything but pipes below a directory in the scratch directory, and sums of all
    /// files: a line each, equal for equal trees.
    ///
    /// - Parameter pattern: names that are left out.
    public func treeDescription(_ directory: String, without pattern: String = "") async throws -> [Substring] {
        let result = try await shell(
            #"""
            set -e; export LC_ALL=C; cd \#(directory)
            find . ! -type p ! -type l ! -name '\#(pattern)' -printf '%P %y %m %T@\n' | sort
            find . -type l -printf '%P -> %l\n' | sort
            find . -type f ! -name '\#(pattern)' -exec md5sum {} + | sort
            """#)
        guard result.status == 0 else { throw SwarmFailure("\(result)") }
        return result.text.split(separator: "\n")
    }

    /// A new file in the scratch directory.
    public func scratchFile(_ data: Data, named name: String? = nil) throws -> URL {
        let file = scratch.appending(path: name ?? "file-\(UUID().uuidString)")
        try data.write(to: file)
        return file
    }
}

extension Data {
    /// Bytes that do not compress and are the same for the same seed.
    public static func random(count: Int, seed: UInt64) -> Data {
        var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
        var words: [UInt64] = []
        words.reserveCapacity(count / 8 + 1)
        while words.count * 8 < count {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            words.append(state)
        }
        return words.withUnsafeBytes { Data($0.prefix(count)) }
    }
}
