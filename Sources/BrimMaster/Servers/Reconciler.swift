import BrimMetadata
import BrimModel
import BrimWire
import Logging

/// Compares what slaves say they hold with what metadata places on them.
struct Reconciler: Sendable {
    let store: any MetadataStore
    let views: any Views
    let desk: OrderDesk
    let logger: Logger
    /// Rung when copies came or went.
    let changed: Bell
    /// Asked before blobs that nobody knows are given over to deletion.
    var breaker: EvictionGuard?
    var clock: any BrimClock = SystemClock()

    /// Blobs that servers hold and no file can use: for a person to look at.
    struct Strange: Sendable {
        var blobs = 0
        /// Together.
        var bytes: Int64 = 0

        mutating func add(_ other: Strange) {
            blobs += other.blobs
            bytes += other.bytes
        }
    }

    /// Answers one page of a report. An orphan of a live file, a removed one or an old version is adopted when size and
    /// checksum fit, and the slave is told to confirm it; unless it may have been given up since the page was read: then
    /// the slave is asked again.
    func reconcile(_ page: ReportPage) async throws -> (reply: ReportReply, strange: Strange) {
        let verdict = try await judge(page.blobs, on: page.name, at: page.position, abandonUnknown: false)
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
        let reply = ReportReply(confirm: verdict.confirm, delete: verdict.delete, check: check)
        return (reply, verdict.strange)
    }

    /// Answers for blobs that were received and never confirmed: those of files and of what is in the trash are kept, all
    /// others never will be committed from now on.
    func settle(_ request: PendingRequest) async throws -> ReportReply {
        let verdict = try await judge(request.blobs, on: request.name, at: request.position, abandonUnknown: true)
        return ReportReply(confirm: verdict.confirm, delete: verdict.delete, check: [])
    }

    private func judge(
        _ blobs: [BlobReport], on server: ServerName, at position: OrderPosition, abandonUnknown: Bool
    ) async throws -> (confirm: [BlobID], delete: [BlobID], strange: Strange) {
        let ids = blobs.map(\.blob)
        let owners = try await store.settledOwners(of: ids, views)
        let strangers = ids.filter { owners[$0] == nil }
        var delete = try await store.tombstoned(strangers)
        // The answer may get lost, and the tombstones be dropped since this server has reported.
        try await store.deletionsDue(on: server, Array(delete))
        var spared: Set<BlobID> = []
        if abandonUnknown {
            var unknown = Set(strangers.filter { !delete.contains($0) })
            spared = try await possibleFiles(among: unknown)
            unknown.subtract(spared)
            let bytes = blobs.reduce(0) { unknown.contains($1.blob) ? $0 + $1.size : $0 }
            if await breaker?.admits(copies: unknown.count, bytes: bytes) ?? true {
                delete.formUnion(try await store.abandon(Array(unknown)))
            }
        }
        var confirm = Array(spared)
        var adopt: [ReplicaChange] = []
        var damaged: [BlobID] = []
        var (unknown, mismatched) = (Strange(), Strange())
        for blob in blobs {
            guard let owner = owners[blob.blob] else {
                // Of one that was never confirmed its server will ask.
                let stays = blob.confirmed || spared.contains(blob.blob)
                if stays, !delete.contains(blob.blob) { unknown.add(Strange(blobs: 1, bytes: blob.size)) }
                continue
            }
            let content = owner.content
            if content.replicas.contains(server) {
                if !blob.confirmed { confirm.append(blob.blob) }
            } else if content.size == blob.size, content.checksum == blob.checksum {
                adopt.append(ReplicaChange(file: owner.file, blob: blob.blob, server: server))
            } else if abandonUnknown, !blob.confirmed, content.readable {
                // A crash came between the giving up of a damaged copy and its deletion; others have it whole.
                damaged.append(blob.blob)
            } else {
                mismatched.add(Strange(blobs: 1, bytes: blob.size))
            }
        }
        if !adopt.isEmpty { confirm += try await self.adopt(adopt, on: server, at: position, owners) }
        var strange = unknown
        strange.add(mismatched)
        if strange.blobs > 0 {
            logger.warning(
                "a server holds blobs that cannot be used; they are kept",
                metadata: [
                    "server.name": "\(server)", "mismatched": "\(mismatched.blobs)", "unknown": "\(unknown.blobs)",
                ])
        }
        return (confirm, damaged + delete, strange)
    }

    /// Blobs that may be of files which this database does not know, since it was restored or rebuilt. They are confirmed,
    /// and so kept until a person says what they are.
    private func possibleFiles(among unknown: Set<BlobID>) async throws -> Set<BlobID> {
        guard !unknown.isEmpty, let until = try await store.unknownBlobsUntil() else { return [] }
        return unknown.filter { $0.seconds <= until.seconds + Int64(Limits.clockSkewSeconds) }
    }

    /// Enters copies that were found; answers those that were entered.
    private func adopt(
        _ found: [ReplicaChange], on server: ServerName, at position: OrderPosition, _ owners: [BlobID: BlobOwner]
    ) async throws -> [BlobID] {
        let (adopted, isSure) = try await desk.exclusively(on: server) { [store, views, desk] in
            let believed = await desk.believes(found.map(\.blob), on: server, at: position)
            let sure = zip(found, believed).filter(\.1).map(\.0)
            guard !sure.isEmpty else { return ([ReplicaChange](), false) }
            let answers = try await store.adopt(sure, view: try await views.current())
            let entered = zip(sure, answers).filter(\.1).map(\.0)
            await desk.entered(entered.map(\.blob), on: server)
            // What changed or went since it was looked up is looked up again, too.
            return (entered, entered.count == found.count)
        }
        if !isSure { await desk.askAnew(server) }
        guard !adopted.isEmpty else { return [] }
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
        return adopted.map(\.blob)
    }
}
