import BrimMetadata
import BrimModel
import BrimWire

/// What slaves say to a master. All but commits is for the leader: others answer `.notLeader`, and slaves go there.
extension MasterCore {
    /// `masterHost` is the `host:port` under which the slave reached this master.
    package func join(_ request: JoinRequest, masterHost: String?) async throws -> JoinReply {
        var reply = try await leader.leading().membership.join(request, masterHost: masterHost)
        reply.masters = masterURLs
        return reply
    }

    package func heartbeat(_ request: HeartbeatRequest, masterHost: String?) async throws -> HeartbeatReply {
        let leadership = try leader.leading()
        var reply = try await leadership.membership.heartbeat(request, masterHost: masterHost)
        reply.term = leadership.mandate.term
        reply.masters = masterURLs
        return reply
    }

    package func goodbye(_ request: BlobList) async throws {
        try await leader.leading().membership.goodbye(request)
    }

    package func report(_ page: ReportPage) async throws -> ReportReply {
        try await leader.leading().membership.report(page)
    }

    package func lost(_ request: LostRequest) async throws {
        let leadership = try leader.leading()
        _ = try await leadership.membership.known(request.name, id: request.id)
        let damage = (request.damage ?? [:]).compactMap { id, words in BlobID(id).map { ($0, words) } }
        // Reports on their way may still name them.
        try await leadership.desk.exclusively(on: request.name) {
            await leadership.desk.left(request.blobs, on: request.name)
            try await leadership.losses.strike(
                request.blobs, on: request.name, damage: Dictionary(damage) { first, _ in first })
        }
        // Then it is asked what it has.
        if await leadership.desk.hasLatest(request.blobs, on: request.name) {
            await leadership.roster.doubt(request.name)
        }
    }

    package func surplus(_ list: BlobList) async throws -> SurplusReply {
        _ = try await known(list.name, id: list.id)
        let files = try await store.files(withBlobs: list.blobs)
        let surplus = files.compactMap { blob, entry in entry.content.map { (blob.description, $0.surplus) } }
        return SurplusReply(surplus: Dictionary(surplus) { first, _ in first })
    }

    package func pending(_ request: PendingRequest) async throws -> ReportReply {
        let leadership = try leader.leading()
        _ = try await leadership.membership.known(request.name, id: request.id)
        return try await leadership.reconciler.settle(request)
    }

    package func deleted(_ list: BlobList) async throws {
        let leadership = try leader.leading()
        _ = try await leadership.membership.known(list.name, id: list.id)
        try await store.deletionsDone(on: list.name, list.blobs)
        notices.add { $0.changed = true }
    }

    package func completions(_ request: CompletionsRequest) async throws -> CompletionsReply {
        let leadership = try leader.leading()
        _ = try await leadership.membership.known(request.name, id: request.id)
        return try await leadership.dispatcher.completed(request)
    }

    package func reads(_ report: ReadsReport) async throws {
        let leadership = try leader.leading()
        _ = try await leadership.membership.known(report.name, id: report.id)
        leadership.reads.add(report.reads)
    }

    package func commit(_ request: CommitRequest) async throws -> CommitReply {
        _ = try await known(request.name, id: request.id)
        return CommitReply(writes: try await commits.commit(request.writes))
    }

    package func room(_ request: RoomRequest) async throws {
        let leadership = try leader.leading()
        _ = try await leadership.membership.known(request.name, id: request.id)
        try await leadership.room.makeRoom(bytes: request.bytes, on: request.name)
    }

    // MARK: - What other masters say to the leader

    package func grant(_ request: GrantRequest) async throws -> WritesReply {
        WritesReply(
            writes: try await leader.leading().writes.grant(request.writes, writerHost: request.writerHost))
    }

    package func notice(_ notice: MasterNotice) throws { try leader.leading().take(notice) }

    // MARK: - Details

    /// The server of this name, if it has this id too: any master may know one that joined a moment ago.
    private func known(_ name: ServerName, id: String) async throws {
        if let leadership = leader.leadership {
            _ = try await leadership.membership.known(name, id: id)
            return
        }
        if await rosters.stored.record(name)?.id == id { return }
        await rosters.stored.follow(try await store.servers())
        guard await rosters.stored.record(name)?.id == id else {
            if try await store.isForgotten(id: id) { throw Refusal.serverForgotten(name) }
            throw Refusal.serverUnknown(name)
        }
    }

    /// Of the masters that live, the leader's first; nil before any was met.
    var masterURLs: [String]? {
        let urls = registry.urls(leader: leader.url)
        return urls.isEmpty ? nil : urls
    }
}
