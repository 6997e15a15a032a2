import BrimModel
import BrimWire

/// What clients and people ask of a master, as the routes pass it on.
extension MasterCore {
    package func grant(_ request: WriteRequest, writerHost: String?) async throws -> WritesReply.Item {
        try await writes.grant(request, writerHost: writerHost)
    }

    package func plan(_ path: BrimPath, readerHost: String?) async throws -> ReadPlan {
        try await reads.plan(path, readerHost: readerHost)
    }

    package func remove(_ path: BrimPath, recursive: Bool, now: Bool) async throws -> RemoveReply {
        let reply = try await namespace.remove(path, recursive: recursive, now: now)
        breaker.explainAll()
        removed.ring()
        changed.ring()
        return reply
    }

    package func rename(_ from: BrimPath, to: BrimPath, replace: Bool) async throws -> FileStat {
        let stat = try await namespace.rename(from, to: to, replace: replace)
        if replace { removed.ring() }
        return stat
    }

    package func change(_ path: BrimPath, _ request: ChangeRequest) async throws -> FileStat {
        let stat = try await namespace.change(path, request)
        if request.n != nil { breaker.explain(bytes: stat.size) }
        changed.ring()
        return stat
    }

    package func setQuota(_ name: ServerName, _ quota: Int64) async throws {
        try await admin.setQuota(name, quota)
    }

    /// Copies under way, and whether nothing is left to do.
    package var progress: (copying: Int, atRest: Bool) { get async { await status.progress() } }
}
