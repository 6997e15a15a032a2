import BrimMetadata
import BrimModel
import BrimPlacement
import BrimWire

/// Tells how a file came to the copies it has, and why it gets no further one now.
struct WhyService: Sendable {
    /// Events told, the newest.
    static let limit = 200

    let store: any MetadataStore
    let views: any Views
    let namespace: NamespaceService
    let roster: Roster
    let ledger: Ledger
    let breaker: EvictionGuard

    func why(_ path: BrimPath) async throws -> WhyReply {
        let (entry, content) = try await namespace.file(at: path)
        let members = await roster.members
        let view = try await views.current()
        return WhyReply(
            path: path.description, size: content.size, version: content.version, n: content.n, k: content.k,
            surplus: content.surplus,
            replicas: content.replicas.map {
                WhyReply.Holder(server: $0, state: members[$0]?.record.state, counted: view.counted.contains($0))
            },
            events: try await events(entry, content), next: try await next(entry))
    }

    /// The story as it was recorded, and for copies of which it says nothing that they were made by the write: that is
    /// not recorded for each file, since the id of a blob says when it was written.
    private func events(_ entry: Entry, _ content: FileContent) async throws -> [WhyReply.Event] {
        let recorded = try await store.events(of: entry.id, limit: Self.limit)
        let told = Set(recorded.filter { $0.blob == content.blob }.map(\.server))
        let written = content.replicas.filter { !told.contains($0) }.map { server in
            WhyReply.Event(
                at: content.blob.written, server: server, kind: FileEvent.Kind.written.rawValue,
                reason:
                    "version \(content.version), \(ByteCount.format(content.size)): one of the copies made by the write",
                blob: content.blob)
        }
        let all =
            written
            + recorded.map {
                WhyReply.Event(at: $0.at, server: $0.server, kind: $0.kind.rawValue, reason: $0.reason, blob: $0.blob)
            }
        return all.enumerated().sorted { ($0.element.at, $0.offset) < ($1.element.at, $1.offset) }.map(\.element)
    }

    private func next(_ entry: Entry) async throws -> String {
        guard let file = NeedyFile(entry) else { return "" }
        var lists = RichestLists(store: store, minSurplus: .min)
        let servers = await roster.receiving.map(\.name).filter { !file.replicas.contains($0) }
        try await lists.load(servers) { _ in file.size }
        let richest = lists.lists
        let obstacle = ledger.decide { $0.obstacle(for: file, richest: { richest[$0] ?? [] }) }
        if case .soon(_, let victims) = obstacle, victims > 0, !breaker.mayAdmit {
            return "a copy could be made by giving up others, but the breaker is open (brim status)"
        }
        return obstacle.description
    }
}

extension BlobID {
    /// When the write of this blob was granted: ids begin with a clock.
    var written: Timestamp {
        Timestamp(seconds: bytes.prefix(4).reduce(0) { $0 << 8 | Int64($1) }, nanoseconds: 0)
    }
}
