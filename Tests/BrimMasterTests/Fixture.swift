import BrimMetadata
import BrimModel
import BrimPlacement
import BrimTestKit
import BrimWire
import Logging

@testable import BrimMaster

/// A master's services over an in-memory store, with servers that joined and hold nothing.
struct Fixture {
    let memory = InMemoryMetadataStore()
    var store: any MetadataStore { memory }
    let settings = LiveSettings(SwarmSettings())
    let ledger = Ledger(Planner(floor: 0))
    let roster: Roster
    let views: ViewKeeper
    let namespace: NamespaceService
    let desk: OrderDesk
    let reconciler: Reconciler
    let losses: Losses
    let changed = Bell()
    private let ids = BlobIDSource()

    init(servers: [String]) async throws {
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        roster = Roster(ledger: ledger, settings: settings)
        let store: any MetadataStore = memory
        // A busy machine may not get round to refreshing it.
        views = ViewKeeper(store: store, maxAge: .seconds(3600), logger: logger)
        namespace = NamespaceService(
            store: store, views: views, policies: Policies(settings: LiveSettings(SwarmSettings())))
        desk = OrderDesk(term: 1, roster: roster, ledger: ledger, slaves: ObedientSlaves())
        reconciler = Reconciler(store: store, views: views, desk: desk, logger: logger, changed: changed)
        losses = Losses(store: store, views: views, logger: logger, changed: changed)
        _ = try await store.prepare(passwordProof: "proof")
        let term = try await store.beginTerm(holder: "test")
        let names = try servers.map { try ServerName(validating: $0) }
        for name in names {
            let usage = ServerUsage(boot: "b", count: 0, used: 0, diskFree: 1 << 40, files: 0)
            _ = try await store.join(
                ServerHello(
                    name: name, id: "id-\(name)", address: "\(name):1", zone: "z", version: "1",
                    requestedQuota: 1 << 30,
                    usage: usage))
            _ = try await store.setState(name, from: .down, to: .up, term: term)
        }
        await roster.take(try await store.servers())
        for name in names { await roster.setReconciled(name, boot: "b") }
        _ = try await store.publishView(counted: names, readable: names, up: names, term: term)
        try await views.refresh()
    }

    static let checksum = Checksum(crc32c: 7)

    /// Commits a file as if its bytes were on these servers, counted with the view that is known unless another is given.
    @discardableResult
    func file(
        _ path: String, on servers: [String], n: Int = 1, size: Int64 = 3, view: ServerView? = nil
    ) async throws -> Entry {
        let known = try await views.current()
        let path = try BrimPath(parsing: path)
        guard let name = path.name, let parent = path.parent else { throw BrimError(.invalid, "a file needs a name") }
        let directory = try await namespace.ensureDirectory(parent)
        let write = BlobCommit(
            request: ids.request(), place: EntryPlace(parent: directory.id, name: name), blob: ids.next(), size: size,
            checksum: Self.checksum, replicas: try servers.map { try ServerName(validating: $0) }, mode: 0o644,
            modified: .now, explicitN: n, policy: .standard(3))
        let outcomes = try await store.commit([write], view: view ?? known)
        guard let outcome = try outcomes.first?.get() else { throw BrimError(.internal, "no outcome") }
        return outcome.entry
    }

    func report(_ entry: Entry, checksum: Checksum = Self.checksum, confirmed: Bool = true) throws -> BlobReport {
        guard let content = entry.content else { throw BrimError(.internal, "not a file") }
        return BlobReport(
            blob: content.blob, file: entry.id, size: content.size, checksum: checksum, confirmed: confirmed)
    }

    /// One page about all blobs, read when the order of this sequence was the last one carried out.
    func page(
        _ blobs: [BlobReport], from server: String, term: Int64 = 1, at sequence: Int64 = 0
    ) throws -> ReportPage {
        ReportPage(
            name: try ServerName(validating: server), id: "id-\(server)", begun: .now, after: nil, through: nil,
            blobs: blobs.sorted { $0.blob < $1.blob }, position: OrderPosition(term: term, sequence: sequence))
    }

    /// A question about blobs that nobody has confirmed.
    func pending(_ blobs: [BlobReport], on server: String) throws -> PendingRequest {
        PendingRequest(
            name: try ServerName(validating: server), id: "id-\(server)", blobs: blobs,
            position: OrderPosition(term: 1, sequence: 0))
    }

    /// A blob that no file has.
    func stranger() -> BlobReport {
        BlobReport(blob: ids.next(), file: FileID(0), size: 1, checksum: Self.checksum, confirmed: false)
    }
}
