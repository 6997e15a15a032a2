import BrimModel
import BrimWire

extension TreeTransfer {
    /// Copies what is at `local` (a directory, file or link) to exactly `path`. Directories that exist are filled up,
    /// files that exist get a new version.
    ///
    /// - Throws: when the top cannot be read or made, on cancellation, and `.unauthorized`.
    public func upload(_ local: String, to path: BrimPath) async throws -> TreeReport {
        let expected = try await count(local)
        progress?.expect(files: expected.files, bytes: expected.bytes)
        var directories: [(path: BrimPath, mode: Int, modified: Timestamp)] = []
        try await withThrowingTaskGroup(of: Void.self) { group in
            var lanes = Lanes(options.transfers)
            var batcher = TransferBatcher<Outgoing>(total: expected.files, lanes: options.transfers)
            var walk = try await LocalWalk(top: local)
            while let entry = try await walk.next() {
                guard let target = try await place(entry, below: path) else { continue }
                switch entry.kind {
                case .directory:
                    directories.append((target, entry.mode, entry.modified))
                    try await lanes.run(in: &group) { try await makeDirectory(target, from: entry) }
                case .symlink(let text):
                    try await lanes.run(in: &group) { try await makeLink(target, text: text, from: entry) }
                case .file(let size):
                    for batch in batcher.add(Outgoing(entry: entry, target: target, size: size), bytes: size) {
                        try await lanes.run(in: &group) { try await send(batch) }
                    }
                case .special, .unreadable: break
                }
            }
            for batch in batcher.flush() { try await lanes.run(in: &group) { try await send(batch) } }
            try await lanes.drain(&group)
            // What was put into a directory changed its time: children come before their parents here.
            for directory in directories.reversed() {
                try await lanes.run(in: &group) {
                    try await attempt(directory.path.description) {
                        let change = ChangeRequest(mode: directory.mode, modified: directory.modified)
                        try await client.update(directory.path, change)
                    }
                }
            }
            try await lanes.drain(&group)
        }
        return tally.result
    }

    /// A file on its way.
    private struct Outgoing: Sendable {
        var entry: LocalEntry
        var target: BrimPath
        var size: Int64
    }

    private func count(_ local: String) async throws -> (files: Int64, bytes: Int64) {
        var result: (files: Int64, bytes: Int64) = (0, 0)
        var walk = try await LocalWalk(top: local)
        while let entry = try await walk.next() {
            guard case .file(let size) = entry.kind else { continue }
            result.files += 1
            result.bytes += size
        }
        return result
    }

    /// Where an entry goes; nil (and told) when it cannot go anywhere.
    private func place(_ entry: LocalEntry, below top: BrimPath) async throws -> BrimPath? {
        do {
            switch entry.kind {
            case .special(let name):
                throw BrimError(.unsupported, "'\(entry.path)' is \(name), which a swarm does not hold: skipped")
            case .unreadable(let error): throw error
            default: return try BrimPath(top.components + entry.relative)
            }
        } catch {
            try tally.failed(entry.path, error)
            return nil
        }
    }

    private func makeDirectory(_ path: BrimPath, from entry: LocalEntry) async throws {
        try await attempt(entry.path) {
            if !path.isRoot { try await client.makeDirectory(path, parents: true, mode: entry.mode) }
            tally.count(\.directories)
        }
    }

    private func makeLink(_ path: BrimPath, text: String, from entry: LocalEntry) async throws {
        try await attempt(entry.path) {
            do {
                try await client.makeSymlink(path, target: text, modified: entry.modified)
            } catch let error as BrimError where error.code == .exists {
                // As cp does: a file or link is replaced, a directory is not.
                guard let former = try await client.statIfPresent(path), former.type != .directory else { throw error }
                if former.type != .symlink || former.target != text {
                    try await client.remove(path)
                    try await client.makeSymlink(path, target: text, modified: entry.modified)
                }
            }
            tally.count(\.links)
        }
    }

    /// Sends files one after the other, with leave for all of them got at once.
    private func send(_ batch: [Outgoing]) async throws {
        let requests = batch.map { options(for: $0).request($0.target, size: $0.size) }
        var grants: [WritesReply.Item] = []
        do {
            grants = try await client.grants(requests)
        } catch {
            for file in batch { try tally.failed(file.entry.path, error) }
            return
        }
        for (file, grant) in zip(batch, grants) {
            try await attempt(file.entry.path) { try await send(file, grant: grant) }
        }
    }

    private func options(for file: Outgoing) -> PutOptions {
        PutOptions(n: options.n, mode: file.entry.mode, modified: file.entry.modified)
    }

    private func send(_ file: Outgoing, grant: WritesReply.Item) async throws {
        let opened = try await blocking { try FileSource(file: try LocalFile(reading: file.entry.path)) }
        let source = try await opened.inMemoryIfSmall()
        let upload = FileUpload(
            client: client, source: source, request: options(for: file).request(file.target, size: source.size),
            progress: progress)
        // A file that changed since it was seen needs leave for its present size.
        _ = try await upload.run(grant: source.size == file.size ? grant : nil)
        tally.count(\.files)
        progress?.addFile()
    }
}
