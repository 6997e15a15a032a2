import BrimModel
import Foundation

/// One thing found by a walk over a local tree.
struct LocalEntry: Sendable {
    enum Kind: Sendable {
        case file(size: Int64)
        case directory
        case symlink(target: String)
        /// Something a swarm cannot hold: the words say what.
        case special(String)
        /// It could not be looked at.
        case unreadable(BrimError)
    }
    var kind: Kind
    /// Where it is on this machine.
    var path: String
    /// Where it is below the tree's top; empty for the top itself.
    var relative: [EntryName]
    var mode: Int
    var modified: Timestamp
}

/// Walks a local tree depth first, each directory before what is in it, in order of names. Links are not followed.
struct LocalWalk {
    private var pending: [LocalEntry]

    /// Throws when the top cannot be looked at.
    init(top: String) async throws {
        pending = [try await blocking { try Self.look(at: top, relative: []) }]
    }

    /// The next entry; nil at the end. Throws only when cancelled: what cannot be read is an entry `.unreadable`.
    mutating func next() async throws -> LocalEntry? {
        try Task.checkCancellation()
        guard let entry = pending.popLast() else { return nil }
        if case .directory = entry.kind {
            pending += try await blocking { Self.children(of: entry).reversed() }
        }
        return entry
    }

    private static func look(at path: String, relative: [EntryName]) throws -> LocalEntry {
        var status = stat()
        try Posix.check("read", path) { lstat(path, &status) }
        let kind: LocalEntry.Kind =
            if status.isRegular {
                .file(size: status.size)
            } else if status.isDirectory {
                .directory
            } else if status.isSymlink {
                .symlink(target: try readLink(path))
            } else {
                .special(status.specialName)
            }
        return LocalEntry(
            kind: kind, path: path, relative: relative, mode: status.permissions, modified: status.modified)
    }

    private static func readLink(_ path: String) throws -> String {
        var bytes = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = try Posix.check("read", path) { readlink(path, &bytes, bytes.count) }
        guard let target = String(validating: bytes.prefix(count), as: UTF8.self) else {
            throw BrimError(.invalid, "the target of the link '\(path)' is not valid UTF-8")
        }
        return target
    }

    private static func children(of directory: LocalEntry) -> [LocalEntry] {
        func unreadable(_ path: String, _ error: any Error) -> LocalEntry {
            let failure = error as? BrimError ?? BrimError(.io, "cannot read '\(path)': \(error)")
            return LocalEntry(
                kind: .unreadable(failure), path: path, relative: directory.relative, mode: 0, modified: .now)
        }
        do {
            return try names(in: directory.path).map { bytes in
                let path = LocalPath.join(directory.path, String(escapingInvalidUTF8: bytes))
                guard String(validating: bytes, as: UTF8.self) != nil else {
                    return unreadable(
                        path,
                        BrimError(
                            .invalid, "the name of '\(path)' is not valid UTF-8: skipped",
                            advice: "Rename it with UTF-8 characters"))
                }
                do {
                    return try look(at: path, relative: directory.relative + [EntryName(utf8: bytes)])
                } catch {
                    return unreadable(path, error)
                }
            }
        } catch {
            return [unreadable(directory.path, error)]
        }
    }

    /// The names in a directory as the bytes they are, sorted.
    private static func names(in path: String) throws -> [[UInt8]] {
        guard let handle = opendir(path) else { throw Posix.error("read", path, errno) }
        defer { closedir(handle) }
        var names: [[UInt8]] = []
        errno = 0
        while let entry = readdir(handle) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
            if name != [UInt8(ascii: ".")] && name != Array("..".utf8) { names.append(name) }
            errno = 0
        }
        guard errno == 0 else { throw Posix.error("read", path, errno) }
        return names.sorted { $0.lexicographicallyPrecedes($1) }
    }
}
