import BrimMetadata
import BrimModel
import BrimWire

extension NamespaceService {
    /// Removes what is at a path; a directory that has entries only when `recursive`. Files become trash, unless `now`.
    /// Entries made in the tree meanwhile are removed with it, or keep it alive when they come without end (`.notEmpty`).
    func remove(
        _ path: BrimPath, recursive: Bool, now: Bool = false, request: String? = nil
    ) async throws -> RemoveReply {
        try await once(request) { _ in
            RemoveReply(files: 0, directories: 0)
        } _: {
            try await removeNow(path, recursive: recursive, now: now, request: request)
        }
    }

    private func removeNow(
        _ path: BrimPath, recursive: Bool, now: Bool, request: String?
    ) async throws -> RemoveReply {
        guard !path.isRoot else {
            throw BrimError(.invalid, "/ cannot be removed", advice: "Name what is in it")
        }
        var reply = RemoveReply(files: 0, directories: 0)
        for _ in 0..<Self.attempts {
            // By its path each time: what was there may have been moved elsewhere, and is none of ours then.
            var entry = try await entry(at: path)
            if entry.type == .directory, recursive {
                try await empty(entry.id, path.description, now: now, &reply)
                // Emptying it has changed it.
                entry = try await self.entry(at: path)
            }
            let outcomes = try await store.remove(
                [Removal(entry, path: path.description)], now: now, view: try await views.current(), request: request)
            switch outcomes.first ?? nil {
            case nil:
                if entry.type == .directory { reply.directories += 1 } else { reply.files += 1 }
                return reply
            case let error? where error.code == .notEmpty && !recursive:
                throw BrimError(.notEmpty, "\(path) is not empty", advice: "Use -r to remove all that is in it")
            case let error? where [.conflict, .notEmpty, .notFound].contains(error.code):
                try await store.catchUp()
            case let error?:
                throw error
            }
        }
        throw Self.keepsChanging(path)
    }

    /// Removes everything below a directory, deepest first; gives up on one that fills as fast as it is emptied.
    private func empty(
        _ directory: FileID, _ path: String, now: Bool, _ reply: inout RemoveReply
    ) async throws {
        func child(_ entry: Entry) -> String { "\(path)/\(entry.name?.text ?? "")" }
        var idle = 0
        while idle < Self.attempts {
            let page = try await store.list(directory, after: nil, limit: Limits.pageEntries)
            if page.isEmpty { return }
            for entry in page where entry.type == .directory {
                try await empty(entry.id, child(entry), now: now, &reply)
            }
            // Emptying a directory has changed it: what is removed is the entry as it is now.
            let current =
                page.contains { $0.type == .directory }
                ? try await store.list(directory, after: nil, limit: Limits.pageEntries) : page
            if now { try await purgeVersions(of: current) }
            let failures = try await store.remove(
                current.map { Removal($0, path: child($0)) }, now: now, view: try await views.current())
            for (entry, failure) in zip(current, failures) where failure == nil {
                if entry.type == .directory { reply.directories += 1 } else { reply.files += 1 }
            }
            idle = failures.contains { $0 == nil } ? 0 : idle + 1
        }
    }
}
