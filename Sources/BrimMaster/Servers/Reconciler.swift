import BrimMetadata
import BrimModel
import BrimWire
import Logging

/// Compares what slaves say they hold with what metadata places on them.
struct Reconciler: Sendable {
    let store: any MetadataStore
    let views: ViewKeeper
    let logger: Logger
    /// Rung when copies came or went.
    let changed: Bell
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

    /// Takes a server off the files whose blobs it has lost.
    func lose(_ blobs: [BlobID], on server: ServerName) async throws {
        let losses = try await owners(of: blobs).compactMap { blob, owner in
            owner.content.replicas.contains(server)
                ? ReplicaChange(file: owner.file, blob: blob, server: server) : nil
        }
        guard !losses.isEmpty else { return }
        logger.warning(
            "a server has lost copies",
            metadata: ["server.name": "\(server)", "copies": "\(losses.count)"])
        try await store.loseReplicas(losses, view: try await views.current())
        try await store.record(
            losses.map {
                FileEvent(
                    file: $0.file, blob: $0.blob, server: server, kind: .lost,
                    reason: "the server does not have the blob", at: clock.timestamp)
            })
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
            delete.formUnion(try await store.abandon(strangers.filter { !delete.contains($0) }))
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
            try await store.record(
                adopted.map {
                    FileEvent(
                        file: $0.file, blob: $0.blob, server: server, kind: .adopted,
                        reason: "found on the server, size and checksum fit", at: clock.timestamp)
                })
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
