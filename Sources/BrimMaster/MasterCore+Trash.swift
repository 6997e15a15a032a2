import BrimModel
import BrimWire

/// What people ask of a master beyond reading and writing, as the routes pass it on.
extension MasterCore {
    package func versions(_ path: BrimPath) async throws -> [VersionItem] {
        try await namespace.versions(path, before: nil, limit: Limits.pageEntries)
    }

    package func restore(_ path: BrimPath, version: Int64) async throws -> FileStat {
        let stat = try await namespace.restore(path, version: version)
        breaker.explain(bytes: stat.size)
        changed.ring()
        return stat
    }

    package func undelete(_ path: BrimPath, to: BrimPath?) async throws -> UndeleteReply {
        let reply = try await namespace.undelete(path, to: to, recursive: false)
        breaker.explainAll()
        changed.ring()
        return reply
    }

    package func purge(_ request: PurgeRequest) async throws -> PurgeReply {
        let reply = try await namespace.purge(request)
        removed.ring()
        changed.ring()
        return reply
    }

    package func drain(_ name: ServerName) async throws { try await admin.drain(name) }

    package func undrain(_ name: ServerName) async throws { try await admin.undrain(name) }

    package func forget(_ name: ServerName) async throws { _ = try await forgetter.forget(name, losesData: false) }
}
