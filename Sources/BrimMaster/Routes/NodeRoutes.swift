import BrimModel
import BrimWire
import HTTPTypes
import Hummingbird

/// What slaves say to a master, and masters to the leader. All need a node token.
struct NodeRoutes: Sendable {
    let core: MasterCore

    func add(to router: Router<BrimRequestContext>) {
        post(router, "join") { (body: JoinRequest, host) in try await core.join(body, masterHost: host) }
        post(router, "heartbeat") { (body: HeartbeatRequest, host) in
            try await core.heartbeat(body, masterHost: host)
        }
        post(router, "goodbye") { (body: BlobList, _) in
            try await core.goodbye(body)
            return Empty()
        }
        post(router, "report") { (body: ReportPage, _) in try await core.report(body) }
        post(router, "lost") { (body: LostRequest, _) in
            try await core.lost(body)
            return Empty()
        }
        post(router, "surplus") { (body: BlobList, _) in try await core.surplus(body) }
        post(router, "reads") { (body: ReadsReport, _) in
            try await core.reads(body)
            return Empty()
        }
        post(router, "pending") { (body: PendingRequest, _) in try await core.pending(body) }
        post(router, "deleted") { (body: BlobList, _) in
            try await core.deleted(body)
            return Empty()
        }
        post(router, "completions") { (body: CompletionsRequest, _) in try await core.completions(body) }
        post(router, "commit") { (body: CommitRequest, _) in try await core.commit(body) }
        post(router, "grant") { (body: GrantRequest, _) in try await core.grant(body) }
        post(router, "notice") { (body: MasterNotice, _) in
            try core.notice(body)
            return Empty()
        }
        post(router, "room") { (body: RoomRequest, _) in
            try await core.room(body)
            return Empty()
        }
    }

    /// `POST /v1/node/NAME` from JSON to JSON; `handle` also learns under which host the slave reached this master.
    private func post<Body: Decodable & Sendable, Reply: Encodable & Sendable>(
        _ router: Router<BrimRequestContext>, _ name: String,
        handle: @escaping @Sendable (Body, _ masterHost: String?) async throws -> Reply
    ) {
        router.post(RouterPath("/v1/node/\(name)")) { request, context in
            _ = try context.requireNode()
            let body = try await request.decodeJSON(Body.self, limit: Limits.nodeBodyBytes)
            return try jsonResponse(try await handle(body, request.head.authority))
        }
    }
}
