import BrimModel
import BrimWire

/// What people ask of a master beyond reading and writing, as the routes pass it on.
extension MasterCore {
    package func versions(_ path: BrimPath) async throws -> [VersionItem] {
        try await namespace.versions(path, before: nil, limit: Limits.pageEntries)
    }

    package func restore(_ path: BrimPath, version: Int64, request: String? = nil) async throws -> FileStat {
        let stat = try await namespace.restore(path, version: version, request: request)
        notices.add { ($0.explained, $0.changed) = (stat.size, true) }
        return stat
    }

    package func undelete(
        _ path: BrimPath, to: BrimPath?, recursive: Bool = false, request: String? = nil
    ) async throws -> UndeleteReply {
        let reply = try await namespace.undelete(path, to: to, recursive: recursive, request: request)
        notices.add { ($0.explainsAll, $0.changed) = (true, true) }
        return reply
    }

    package func purge(_ request: PurgeRequest) async throws -> PurgeReply {
        let reply = try await namespace.purge(request)
        notices.add { ($0.removed, $0.changed) = (true, true) }
        return reply
    }

    package func drain(_ name: ServerName) async throws { try await leader.leading().admin.drain(name) }

    package func undrain(_ name: ServerName) async throws { try await leader.leading().admin.undrain(name) }

    package func forget(_ name: ServerName) async throws {
        _ = try await leader.leading().forgetter.forget(name, losesData: false)
    }
}
