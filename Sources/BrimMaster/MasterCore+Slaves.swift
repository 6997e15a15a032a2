import BrimModel
import BrimWire

/// What slaves say to a master.
extension MasterCore {
    /// `masterHost` is the `host:port` under which the slave reached this master.
    package func join(_ request: JoinRequest, masterHost: String?) async throws -> JoinReply {
        try await membership.join(request, masterHost: masterHost)
    }

    package func heartbeat(_ request: HeartbeatRequest, masterHost: String?) async throws -> HeartbeatReply {
        try await membership.heartbeat(request, masterHost: masterHost)
    }

    package func goodbye(_ request: BlobList) async throws { try await membership.goodbye(request) }

    package func report(_ page: ReportPage) async throws -> ReportReply { try await membership.report(page) }

    package func lost(_ request: LostRequest) async throws {
        _ = try await membership.known(request.name, id: request.id)
        let damage = (request.damage ?? [:]).compactMap { id, words in BlobID(id).map { ($0, words) } }
        try await reconciler.lose(request.blobs, on: request.name, damage: Dictionary(damage) { first, _ in first })
        // Then it is asked what it has.
        if await desk.hasLatest(request.blobs, on: request.name) { await roster.doubt(request.name) }
    }

    package func surplus(_ list: BlobList) async throws -> SurplusReply {
        _ = try await membership.known(list.name, id: list.id)
        let files = try await store.files(withBlobs: list.blobs)
        let surplus = files.compactMap { blob, entry in entry.content.map { (blob.description, $0.surplus) } }
        return SurplusReply(surplus: Dictionary(surplus) { first, _ in first })
    }

    package func pending(_ request: PendingRequest) async throws -> ReportReply {
        _ = try await membership.known(request.name, id: request.id)
        return try await reconciler.settle(request.blobs, on: request.name)
    }

    package func deleted(_ list: BlobList) async throws {
        _ = try await membership.known(list.name, id: list.id)
        try await store.deletionsDone(on: list.name, list.blobs)
        changed.ring()
    }

    package func completions(_ request: CompletionsRequest) async throws -> CompletionsReply {
        _ = try await membership.known(request.name, id: request.id)
        return try await dispatcher.completed(request)
    }

    package func commit(_ request: CommitRequest) async throws -> CommitReply {
        _ = try await membership.known(request.name, id: request.id)
        return CommitReply(writes: try await writes.commit(request.writes))
    }

    package func room(_ request: RoomRequest) async throws {
        _ = try await membership.known(request.name, id: request.id)
        try await room.makeRoom(bytes: request.bytes, on: request.name)
    }
}
