import BrimMetadata
import BrimModel
import BrimWire
import Logging

/// Compares what slaves say they hold with what metadata places on them.
struct Reconciler: Sendable {
    let store: any MetadataStore
    let views: any Views
    let logger: Logger
    /// Rung when copies came or went.
    let changed: Bell
    /// Asked before blobs that nobody knows are given over to deletion.
    var breaker: EvictionGuard?
    var clock: any BrimClock = SystemClock()

    /// Answers one page of a report. An orphan of a live file, a removed one or an old version is adopted when size and
    /// checksum fit; the slave is told to confirm it, and tells us if it has given it up meanwhile.
    func reconcile(_ page: ReportPage) async throws -> ReportReply {
        let verdict = try await judge(page.blobs, on: page.name, abandonUnknown: false)
        let reported = Set(page.blobs.map(\.blob))
        var check: [BlobID] = []
        var after = page.after
        while true {
            let placed = try await store.blobs(
                on: page.name, after: after, through: page.through, limit: Limits.reportPageBlobs)
            check += placed.map(\.blob).filter { !reported.contains($0) }
            guard placed.count == Limits.reportPageBlobs, let last = placed.last else { break }
            after = last.blob
        }
        return ReportReply(confirm: verdict.confirm, delete: verdict.delete, check: check)
    }

    /// Answers for blobs that were received and never confirmed: those of files and of what is in the trash are kept, all
    /// others never will be committed from now on.
    func settle(_ blobs: [BlobReport], on server: ServerName) async throws -> ReportReply {
        let verdict = try await judge(blobs, on: server, abandonUnknown: true)
        return ReportReply(confirm: verdict.confirm, delete: verdict.delete, check: [])
    }

    /// Takes a server off the files whose blobs it has lost. `damage` says what was found of those that it set aside.
    func lose(_ blobs: [BlobID], on server: ServerName, damage: [BlobID: String] = [:]) async throws {
        let owners = try await owners(of: blobs)
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

    /// What has these blobs. Versions that were just overwritten get documents of their own first, so that copies of them
    /// can come and go.
    private func owners(of blobs: [BlobID]) async throws -> [BlobID: BlobOwner] {
        var owners = try await store.owners(of: blobs)
        for _ in 0..<Self.settleAttempts {
            let files = Set(owners.values.filter { $0.kind == .former }.map(\.file))
            if files.isEmpty { break }
            _ = try await store.settleVersions(
                of: files.sorted(), limit: files.count, view: try await views.current())
            owners = try await store.owners(of: blobs)
        }
        return owners
    }

    private static let settleAttempts = 3

    private func judge(
        _ blobs: [BlobReport], on server: ServerName, abandonUnknown: Bool
    ) async throws -> (confirm: [BlobID], delete: [BlobID]) {
        let ids = blobs.map(\.blob)
        let owners = try await owners(of: ids)
        let strangers = ids.filter { owners[$0] == nil }
        var delete = try await store.tombstoned(strangers)
        if abandonUnknown {
            let unknown = Set(strangers.filter { !delete.contains($0) })
            let bytes = blobs.reduce(0) { unknown.contains($1.blob) ? $0 + $1.size : $0 }
            if await breaker?.admits(copies: unknown.count, bytes: bytes) ?? true {
                delete.formUnion(try await store.abandon(Array(unknown)))
            }
        }
        var confirm: [BlobID] = []
        var adopt: [ReplicaChange] = []
        var mismatched = 0
        for blob in blobs {
            guard let owner = owners[blob.blob] else { continue }
            let content = owner.content
            if content.replicas.contains(server) {
                if !blob.confirmed { confirm.append(blob.blob) }
            } else if content.size == blob.size, content.checksum == blob.checksum {
                adopt.append(ReplicaChange(file: owner.file, blob: blob.blob, server: server))
            } else {
                mismatched += 1
            }
        }
        if !adopt.isEmpty {
            let entered = try await store.adopt(adopt, view: try await views.current())
            let adopted = zip(adopt, entered).filter(\.1).map(\.0)
            confirm += adopted.map(\.blob)
            logger.info("copies adopted", metadata: ["server.name": "\(server)", "copies": "\(adopted.count)"])
            await store.note(
                adopted.map { copy in
                    let content = owners[copy.blob]?.content
                    return FileEvent(
                        file: copy.file, blob: copy.blob, server: server, kind: .adopted,
                        reason: "found on the server, size (\(content?.size ?? 0) bytes) and checksum fit; surplus was "
                            + "\(content?.surplus ?? 0)", at: clock.timestamp)
                }, logger)
            changed.ring()
        }
        let unknown = strangers.count - delete.count
        if mismatched > 0 || unknown > 0 {
            logger.warning(
                "a server holds blobs that cannot be used; they are kept",
                metadata: ["server.name": "\(server)", "mismatched": "\(mismatched)", "unknown": "\(unknown)"])
        }
        return (confirm, Array(delete))
    }
}
