import BrimModel
import BrimWire
import Foundation

extension TreeTransfer {
    /// Copies what is at `path` (a directory, file or link) to exactly `local`. Directories that exist are filled up,
    /// files that exist are replaced.
    ///
    /// - Throws: when the top cannot be read or made, on cancellation, and `.unauthorized`.
    public func download(_ path: BrimPath, to local: String) async throws -> TreeReport {
        let top = try await client.stat(path)
        // A slave, which answers when no master does, does not count trees.
        let expected = top.age == nil ? try await client.usage(path) : nil
        if let expected { progress?.expect(files: expected.files, bytes: expected.bytes) }
        try await blocking { try LocalPath.makeDirectories(LocalPath.parent(of: local)) }
        var directories: [(path: String, mode: Int, modified: Timestamp)] = []
        try await withThrowingTaskGroup(of: Void.self) { group in
            var lanes = Lanes(options.transfers)
            var batcher = TransferBatcher<Incoming>(total: expected?.files ?? .max, lanes: options.transfers)
            var pending = [Incoming(top, path: path, local: local)]
            while let entry = pending.popLast() {
                try Task.checkCancellation()
                switch entry.type {
                case .directory:
                    directories.append((entry.local, entry.mode, entry.modified))
                    pending += try await enter(entry).reversed()
                case .symlink:
                    try await lanes.run(in: &group) { try await makeLink(entry) }
                case .file:
                    for batch in batcher.add(entry, bytes: entry.size) {
                        try await lanes.run(in: &group) { try await fetch(batch) }
                    }
                }
            }
            for batch in batcher.flush() { try await lanes.run(in: &group) { try await fetch(batch) } }
            try await lanes.drain(&group)
        }
        // Only now, children first: a directory's time changes with what is put into it, and it may not be writable.
        for directory in directories.reversed() {
            try await attempt(directory.path) {
                try await blocking {
                    try Posix.check("set the mode of", directory.path) {
                        chmod(directory.path, mode_t(directory.mode & 0o7777))
                    }
                    try LocalPath.setTimes(directory.path, modified: directory.modified)
                }
            }
        }
        return tally.result
    }

    /// An entry on its way.
    private struct Incoming: Sendable {
        var path: BrimPath
        var local: String
        var type: EntryType
        var size: Int64
        var mode: Int
        var modified: Timestamp
        var target: String?

        init(_ stat: FileStat, path: BrimPath, local: String) {
            (self.path, self.local, type, size) = (path, local, stat.type, stat.size)
            (mode, modified, target) = (stat.mode, stat.modified, stat.target)
        }

        init(_ item: ListItem, in directory: Incoming) throws {
            path = try directory.path.appending(item.name)
            local = LocalPath.join(directory.local, item.name.text)
            (type, size, mode, modified, target) = (item.type, item.size, item.mode, item.modified, item.target)
        }
    }

    /// Makes a directory and lists what goes into it.
    private func enter(_ directory: Incoming) async throws -> [Incoming] {
        var children: [Incoming] = []
        try await attempt(directory.path.description) {
            try await blocking { try LocalPath.makeDirectories(directory.local) }
            for try await item in client.list(directory.path) {
                try await attempt("\(directory.path)/\(item.name)") {
                    children.append(try Incoming(item, in: directory))
                }
            }
            tally.count(\.directories)
        }
        return children
    }

    private func makeLink(_ link: Incoming) async throws {
        try await attempt(link.path.description) {
            guard let target = link.target else {
                throw BrimError(.internal, "the master listed the link '\(link.path)' without its target")
            }
            try await blocking { try LocalPath.makeSymlink(link.local, target: target, modified: link.modified) }
            tally.count(\.links)
        }
    }

    /// Reads files one after the other, where they are was asked for all of them at once.
    private func fetch(_ batch: [Incoming]) async throws {
        var plans: [ReadsReply.Item] = []
        do {
            plans = try await client.plans(batch.map(\.path))
        } catch {
            for file in batch { try tally.failed(file.path.description, error) }
            return
        }
        for (file, item) in zip(batch, plans) {
            try await attempt(file.path.description) {
                if let error = item.error { throw error }
                guard let plan = item.plan else {
                    throw BrimError(.internal, "the master answered a read of '\(file.path)' without a plan")
                }
                _ = try await client.getFile(
                    plan, file.path, to: file.local, keepsModeAndTime: true, progress: progress)
                tally.count(\.files)
            }
        }
    }
}
