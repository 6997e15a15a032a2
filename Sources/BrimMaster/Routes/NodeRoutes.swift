import BrimMetadata
import BrimModel
import BrimWire
import HTTPTypes
import Hummingbird

/// What slaves say to a master. All need a node token.
struct NodeRoutes: Sendable {
    let store: any MetadataStore
    let membership: Membership
    let reconciler: Reconciler
    let dispatcher: CopyDispatcher
    let writes: WriteDesk
    let room: RoomKeeper
    let changed: Bell

    func add(to router: Router<BrimRequestContext>) {
        post(router, "join") { (body: JoinRequest, host) in try await membership.join(body, masterHost: host) }
        post(router, "heartbeat") { (body: HeartbeatRequest, host) in
            try await membership.heartbeat(body, masterHost: host)
        }
        post(router, "goodbye") { (body: BlobList, _) in
            try await membership.goodbye(body)
            return Empty()
        }
        post(router, "report") { (body: ReportPage, _) in try await membership.report(body) }
        post(router, "lost") { (body: LostRequest, _) in
            _ = try await membership.known(body.name, id: body.id)
            let damage = (body.damage ?? [:]).compactMap { id, words in BlobID(id).map { ($0, words) } }
            try await reconciler.lose(body.blobs, on: body.name, damage: Dictionary(damage) { first, _ in first })
            return Empty()
        }
        post(router, "surplus") { (body: BlobList, _) in
            _ = try await membership.known(body.name, id: body.id)
            let files = try await store.files(withBlobs: body.blobs)
            let surplus = files.compactMap { blob, entry in entry.content.map { (blob.description, $0.surplus) } }
            return SurplusReply(surplus: Dictionary(surplus) { first, _ in first })
        }
        post(router, "pending") { (body: PendingRequest, _) in
            _ = try await membership.known(body.name, id: body.id)
            return try await reconciler.settle(body.blobs, on: body.name)
        }
        post(router, "deleted") { (body: BlobList, _) in
            _ = try await membership.known(body.name, id: body.id)
            try await store.deletionsDone(on: body.name, body.blobs)
            changed.ring()
            return Empty()
        }
        post(router, "completions") { (body: CompletionsRequest, _) in
            _ = try await membership.known(body.name, id: body.id)
            return try await dispatcher.completed(body)
        }
        post(router, "commit") { (body: CommitRequest, _) in
            _ = try await membership.known(body.name, id: body.id)
            return try await writes.commit(body)
        }
        post(router, "room") { (body: RoomRequest, _) in
            _ = try await membership.known(body.name, id: body.id)
            try await room.makeRoom(bytes: body.bytes, on: body.name)
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
