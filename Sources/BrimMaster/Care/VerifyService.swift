import BrimMetadata
import BrimModel
import BrimWire

/// Has every copy of a file verified by the servers that hold it.
struct VerifyService: Sendable {
    /// What a disk reads at least, in bytes a second: how long an answer is waited for.
    private static let slowest: Int64 = 5_000_000

    let namespace: NamespaceService
    let rosters: Rosters
    let slaves: SlaveCaller
    let losses: Losses
    let notices: LeaderNotices

    /// Returns when all servers have answered; a bad copy does not count any more then. Throws `.notFound`,
    /// `.isDirectory`.
    func verify(_ path: BrimPath) async throws -> VerifyReply {
        let (_, content) = try await namespace.file(at: path)
        let found = await withTaskGroup(of: (ServerName, BlobVerification).self) { group in
            for server in content.replicas { group.addTask { (server, await verify(content, on: server)) } }
            return await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
        if found.values.contains(where: { $0.condition != .ok }) { notices.add { $0.changed = true } }
        for (server, result) in found {
            switch result.condition {
            case .corrupt:
                try await losses.strike([content.blob], on: server, damage: [content.blob: result.reason ?? ""])
            case .missing: try await losses.strike([content.blob], on: server)
            case .ok, .unreachable: break
            }
        }
        return VerifyReply(
            path: path.description, size: content.size,
            copies: content.replicas.compactMap { server in found[server].map { VerifyReply.Copy(server: server, $0) } }
        )
    }

    private func verify(_ content: FileContent, on server: ServerName) async -> BlobVerification {
        do {
            let roster = rosters.current
            let peer = try await roster.peer(server)
            if await roster.record(server)?.state == .down {
                return BlobVerification(condition: .unreachable, reason: "the server is down")
            }
            return try await slaves.verify(
                peer, content.blob, deadline: .seconds(60 + content.size / Self.slowest))
        } catch let error as BrimError {
            return BlobVerification(condition: .unreachable, reason: error.message)
        } catch {
            return BlobVerification(condition: .unreachable, reason: "the check was interrupted")
        }
    }
}

extension SlaveCaller {
    func verify(_ slave: Peer, _ blob: BlobID, deadline: Duration) async throws -> BlobVerification {
        try await peers.call(
            .POST, "http://\(slave.address)/v1/blobs/\(blob)/verify", token: try keys.nodeToken(name: subject),
            deadline: deadline, as: BlobVerification.self)
    }

    func workers(_ slave: Peer) async throws -> [WorkerStatus] {
        try await peers.call(
            .GET, "http://\(slave.address)/v1/workers", token: try keys.nodeToken(name: subject), deadline: .seconds(3),
            as: WorkersReply.self
        ).workers
    }
}
