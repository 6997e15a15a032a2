import BrimModel
import BrimWire
import HTTPTypes
import Hummingbird

/// What this slave tells those who rebuild lost metadata: its catalog and its copy of the namespace, page by page.
struct RecoveryRoutes: Sendable {
    let node: SlaveNode
    let replica: NamespaceReplica

    func add(to router: Router<BrimRequestContext>) {
        router.get("/v1/recovery") { _, context in
            try context.requireAdmin()
            return try jsonResponse(try await facts())
        }
        router.get("/v1/recovery/blobs", use: blobs)
        router.post("/v1/recovery/blobs", use: known)
        router.get("/v1/recovery/entries", use: entries)
    }

    private func facts() async throws -> RecoveryFacts {
        let identity = node.directory.identity
        return RecoveryFacts(
            swarm: identity.swarm, name: node.name, id: identity.id,
            zone: node.configuration.zone ?? HostName.current, version: node.configuration.version,
            quota: node.quota.bytes, quotaAsked: identity.quotaAsked ?? node.quota.bytes,
            term: try await node.catalog.position().term, usage: node.quota.usage(), namespace: replica.facts)
    }

    @Sendable private func blobs(_ request: Request, _ context: BrimRequestContext) async throws -> Response {
        try context.requireAdmin()
        let after = try request.query("after").map { text -> BlobID in
            guard let blob = BlobID(text) else { throw BrimError(.invalid, "a blob's id is 24 hex digits") }
            return blob
        }
        let limit = try request.pageLimit()
        if let files = try files(request) {
            let (found, next) = try await node.catalog.page(of: files, after: after, limit: limit)
            return try reply(found, next: next)
        }
        let found = try await node.catalog.page(after: after, limit: limit).rows
        return try reply(found, next: found.count == limit ? found.last?.blob : nil)
    }

    /// The numbers of entries that a request is about; nil for all.
    private func files(_ request: Request) throws -> ClosedRange<Int64>? {
        guard let after = try request.queryInt("fileAfter"), let through = try request.queryInt("fileThrough") else {
            guard try request.query("fileAfter") == nil, try request.query("fileThrough") == nil else {
                throw BrimError(.invalid, "fileAfter and fileThrough go together")
            }
            return nil
        }
        guard after >= 0, after < through else {
            throw BrimError(.invalid, "no number is after \(after) up to \(through)")
        }
        return Int64(after) + 1...Int64(through)
    }

    @Sendable private func known(_ request: Request, _ context: BrimRequestContext) async throws -> Response {
        try context.requireAdmin()
        let wanted = try await request.decodeJSON(RecoveryBlobsRequest.self).blobs
        guard wanted.count <= Limits.pageEntries else {
            throw BrimError(
                .tooLarge, "\(wanted.count) blobs in one request",
                advice: "Ask for at most \(Limits.pageEntries) at a time")
        }
        return try reply(try await node.catalog.known(wanted).values.sorted { $0.blob < $1.blob }, next: nil)
    }

    /// As much of it as is one page; `next` is what follows all of it.
    private func reply(_ found: [CatalogRow], next: BlobID?) throws -> Response {
        let page = cutPage(found) { $0.label.attributes.count }
        return try jsonResponse(
            RecoveryBlobs(
                blobs: page.map { row in
                    RecoveryBlobs.Item(
                        blob: row.blob, confirmed: row.state == .confirmed, size: row.size, checksum: row.checksum,
                        created: Timestamp(milliseconds: row.created), label: row.label)
                }, next: page.count < found.count ? page.last?.blob : next))
    }

    @Sendable private func entries(_ request: Request, _ context: BrimRequestContext) async throws -> Response {
        try context.requireAdmin()
        let after = try request.queryInt("after").map { FileID(Int64($0)) }
        let through = try request.queryInt("through").map { FileID(Int64($0)) }
        let limit = try request.pageLimit()
        guard replica.facts != nil else { return try jsonResponse(RecoveryEntries(entries: [], next: nil, age: nil)) }
        let (found, age) = try await replica.read { try $0.entries(after: after, through: through, limit: limit) }
        let page = cutPage(found) { $0.attributes.count }
        return try jsonResponse(
            RecoveryEntries(
                entries: page.map(FeedEntry.init),
                next: page.count < found.count || found.count == limit ? page.last?.id : nil, age: age))
    }
}

extension NamespaceReplica {
    /// nil while there is no complete copy.
    var facts: RecoveryFacts.Namespace? {
        guard let progress = readProgress else { return nil }
        return RecoveryFacts.Namespace(
            asOf: Timestamp(milliseconds: progress.asOf), position: progress.position, entries: progress.entries,
            scope: progress.scope)
    }
}
