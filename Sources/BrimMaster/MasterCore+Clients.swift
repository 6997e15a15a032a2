import BrimModel
import BrimWire

/// What clients and people ask of a master, as the routes pass it on.
extension MasterCore {
    /// Leave for writes, an answer for each: the leader gives it. Waits while nobody leads.
    package func grant(_ requests: [WriteRequest], writerHost: String?) async throws -> [WritesReply.Item] {
        let masters = masters
        return try await leader.asLeader { leadership in
            try await leadership.writes.grant(requests, writerHost: writerHost)
        } elsewhere: { url in
            try await masters.grant(url, GrantRequest(writes: requests, writerHost: writerHost)).writes
        }
    }

    /// The same for one; throws why it is refused.
    package func grant(_ request: WriteRequest, writerHost: String?) async throws -> WritesReply.Item {
        guard let item = try await grant([request], writerHost: writerHost).first else {
            throw BrimError(.internal, "the leading master did not answer a write")
        }
        if let error = item.error { throw error }
        return item
    }

    package func plan(_ path: BrimPath, readerHost: String?) async throws -> ReadPlan {
        try await reads.plan(path, readerHost: readerHost)
    }

    package func remove(
        _ path: BrimPath, recursive: Bool, now: Bool, request: String? = nil
    ) async throws -> RemoveReply {
        let reply = try await namespace.remove(path, recursive: recursive, now: now, request: request)
        notices.add { ($0.explainsAll, $0.removed, $0.changed) = (true, true, true) }
        return reply
    }

    package func rename(
        _ from: BrimPath, to: BrimPath, replace: Bool, request: String? = nil
    ) async throws -> FileStat {
        let stat = try await namespace.rename(from, to: to, replace: replace, request: request)
        if replace { notices.add { ($0.removed, $0.changed) = (true, true) } }
        return stat
    }

    package func change(_ path: BrimPath, _ request: ChangeRequest) async throws -> FileStat {
        let (stat, choosesN) = try await namespace.change(path, request)
        notices.add { notice in
            if choosesN { notice.explained = stat.size }
            notice.changed = true
        }
        return stat
    }

    package func changeTree(_ path: BrimPath, n: Int?) async throws -> TreeChangeReply {
        let reply = try await namespace.changeTree(path, n: n)
        notices.add { ($0.explainsAll, $0.changed) = (true, true) }
        return reply
    }

    package func setQuota(_ name: ServerName, _ quota: Int64) async throws {
        try await leader.leading().admin.setQuota(name, quota)
    }

    /// Copies under way, and whether nothing is left to do; nothing is known of both while this master does not lead.
    package var progress: (copying: Int, atRest: Bool) {
        get async {
            guard let leadership = leader.leadership else { return (0, false) }
            return await leadership.status.progress()
        }
    }

    /// Whether this leader holds room for writes that have not ended.
    package var holdsRoomForWrites: Bool {
        leader.leadership?.ledger.decide { $0.nextGrantExpiry != nil } ?? false
    }
}
