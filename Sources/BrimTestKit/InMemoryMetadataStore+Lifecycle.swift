import BrimMetadata
import BrimModel

extension InMemoryMetadataStore {
    public func drain(_ name: ServerName) throws -> ServerRecord {
        try change(name) { $0.drain = $0.drain ?? clock() }
    }

    public func undrain(_ name: ServerName) throws -> ServerRecord {
        try change(name) { record in
            guard record.forget == nil else { throw Refusal.beingForgotten(name) }
            record.drain = nil
        }
    }

    public func setZone(_ name: ServerName, _ zone: String) throws -> ServerRecord {
        try change(name) { $0.zone = zone }
    }

    public func beginForget(_ name: ServerName, losesData: Bool) throws -> ServerRecord {
        try change(name) { record in
            guard record.drain != nil || record.state == .down else { throw Refusal.stillCounts(name) }
            let mark = record.forget ?? ForgetMark(at: clock(), losesData: false)
            record.forget = ForgetMark(at: mark.at, losesData: mark.losesData || losesData)
            record.drain = record.drain ?? clock()
        }
    }

    public func cancelForget(_ name: ServerName) throws -> ServerRecord {
        try faulty(.cancelForget) { try change(name) { $0.forget = nil } }
    }

    private func change(_ name: ServerName, _ change: (inout ServerRecord) throws -> Void) throws -> ServerRecord {
        guard var record = serverRecords[name] else { throw Refusal.serverUnknown(name) }
        try change(&record)
        serverRecords[name] = record
        return record
    }

    public func dropReplicas(
        of server: ServerName, keeping others: Set<ServerName>?, limit: Int, view: ServerView
    ) -> Int {
        let waiting = (Array(records.values) + Array(trash.values)).filter { record in
            record.former.contains { $0.content.replicas.contains(server) }
        }
        _ = settleVersions(of: waiting.map(\.entry.id).sorted(), limit: limit, view: view)
        let chosen =
            documents
            .filter { id, content in
                content.replicas.contains(server)
                    && (records[id] == nil || others.map { !$0.isDisjoint(with: content.replicas) } ?? true)
            }
            .sorted { ($0.content.surplus, $0.id) < ($1.content.surplus, $1.id) }
            .prefix(limit)
        for (id, content) in chosen { remove(server, from: id, content, view: view) }
        return chosen.count
    }

    public func endForget(_ name: ServerName, id: String) throws {
        try faulty(.endForget) {
            for blob in tombstones.keys { tombstones[blob]?.servers.remove(name) }
            if forgottenServers[id] == nil { forgottenServers[id] = ForgottenServer(id: id, name: name, at: clock()) }
            if serverRecords[name]?.id == id { (serverRecords[name], claims[name]) = (nil, nil) }
        }
    }

    public func forgotten(since time: Timestamp) -> [ForgottenServer] {
        forgottenServers.values.filter { $0.at >= time }.sorted { ($0.at, $0.id) < ($1.at, $1.id) }
    }

    public func isForgotten(id: String) -> Bool { forgottenServers[id] != nil }

    public func copies(on server: ServerName, after: BlobID?, limit: Int) -> [HeldCopy] {
        files.lazy
            .filter { $1.replicas.contains(server) }
            .map { HeldCopy(file: $0.id, blob: $1.blob, size: $1.size, n: $1.n, replicas: $1.replicas) }
            .filter { copy in after.map { $0 < copy.blob } ?? true }
            .sorted { $0.blob < $1.blob }
            .prefix(limit).map(\.self)
    }
}
