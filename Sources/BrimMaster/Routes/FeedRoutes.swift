import BrimMetadata
import BrimModel
import BrimWire
import HTTPTypes
import Hummingbird

/// For those who keep a copy of the namespace (slaves, and whoever has an admin's token: a copy knows no paths that a
/// token could be limited to), and where the swarm is.
struct FeedRoutes: Sendable {
    let core: MasterCore
    let feed: ChangeFeed

    func add(to router: Router<BrimRequestContext>) {
        router.get("/v1/changes", use: changes)
        router.get("/v1/snapshot", use: snapshot)
        router.get("/v1/swarm") { _, context in
            try context.requireReader()
            return try jsonResponse(await Self.swarm(core))
        }
    }

    /// Where masters and servers are.
    static func swarm(_ core: MasterCore) async -> SwarmReply {
        var masters = core.registry.urls(leader: core.leader.url)
        // It does not know itself before it has met the others.
        if masters.isEmpty, let own = try? await core.url() { masters = [own] }
        return SwarmReply(
            swarm: core.swarm, masters: masters,
            servers: await core.rosters.current.records.map {
                SwarmReply.Server(name: $0.name, address: $0.address, zone: $0.zone, state: $0.shownState)
            })
    }

    @Sendable private func changes(_ request: Request, _ context: BrimRequestContext) async throws -> Response {
        let caller = try context.requireAdmin()
        let position = try request.query("after") ?? HTTPField.Name("Last-Event-ID").flatMap { request.headers[$0] }
        let seconds = try request.queryInt("seconds")
        guard (0...86_400).contains(seconds ?? 0) else {
            throw BrimError(.invalid, "seconds is \(seconds ?? 0)", advice: "Ask for 0 to 86400, or leave it out")
        }
        let listener = FeedListener(
            feed: feed, after: position.map { ChangePosition(rawValue: $0) }, limit: seconds.map { .seconds($0) },
            expires: .now + .seconds(max(0, min(caller.expires - core.clock.timestamp.seconds, 86_400 * 365))))
        return Response(
            status: .ok, headers: [.contentType: "text/event-stream", .cacheControl: "no-store"],
            body: ResponseBody { try await listener.run(&$0) })
    }

    @Sendable private func snapshot(_ request: Request, _ context: BrimRequestContext) async throws -> Response {
        try context.requireAdmin()
        let limit = try request.pageLimit()
        let after = try request.queryInt("after").map { FileID(Int64($0)) }
        return try await feed.page {
            let position = try await core.store.changePosition()
            let found = try await core.store.entries(after: after, limit: limit)
            let page = cutPage(found) { $0.attributes.count }
            return try jsonResponse(
                SnapshotReply(
                    position: position.rawValue, entries: page.map(FeedEntry.init),
                    next: page.count < found.count || found.count == limit ? page.last?.id : nil))
        }
    }
}
