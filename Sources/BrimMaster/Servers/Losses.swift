import BrimMetadata
import BrimModel
import Logging

/// Takes servers off the files whose blobs they have lost.
struct Losses: Sendable {
    let store: any MetadataStore
    let views: any Views
    let logger: Logger
    /// Rung when copies went.
    let changed: Bell
    var clock: any BrimClock = SystemClock()

    /// `damage` says what was found of those that the server set aside.
    func strike(_ blobs: [BlobID], on server: ServerName, damage: [BlobID: String] = [:]) async throws {
        let owners = try await store.settledOwners(of: blobs, views)
        let losses = owners.compactMap { blob, owner in
            owner.content.replicas.contains(server)
                ? ReplicaChange(file: owner.file, blob: blob, server: server) : nil
        }
        guard !losses.isEmpty else { return }
        logger.warning(
            "a server has lost copies",
            metadata: [
                "server.name": "\(server)", "copies": "\(losses.count)",
                "damaged": "\(losses.count { damage[$0.blob] != nil })",
            ])
        try await store.loseReplicas(losses, view: try await views.current())
        await store.note(
            losses.map { loss in
                let before = owners[loss.blob]?.content.surplus ?? 0
                let why = damage[loss.blob].map { "set aside: \($0)" } ?? "the server does not have the blob"
                return FileEvent(
                    file: loss.file, blob: loss.blob, server: server,
                    kind: damage[loss.blob] == nil ? .lost : .quarantined,
                    reason: "\(why); surplus \(before) → \(before - 1) where it counted", at: clock.timestamp)
            }, logger)
        changed.ring()
    }
}

extension MetadataStore {
    /// What has these blobs. Versions that were just overwritten get documents of their own first, so that copies of them
    /// can come and go.
    func settledOwners(of blobs: [BlobID], _ views: any Views) async throws -> [BlobID: BlobOwner] {
        var owners = try await owners(of: blobs)
        for _ in 0..<3 {
            let files = Set(owners.values.filter { $0.kind == .former }.map(\.file))
            if files.isEmpty { break }
            _ = try await settleVersions(of: files.sorted(), limit: files.count, view: try await views.current())
            owners = try await self.owners(of: blobs)
        }
        return owners
    }
}
