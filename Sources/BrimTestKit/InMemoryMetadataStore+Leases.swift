import BrimMetadata
import BrimModel
import BrimWire

extension InMemoryMetadataStore {
    public func acquireLease(holder: String, url: String, for duration: Duration) -> LeadershipLease {
        let now = clock()
        if let lease, lease.holder != holder, lease.expires > now {
            return LeadershipLease(
                term: term, holder: lease.holder, url: lease.url, left: max(.zero, lease.expires.since(now)))
        }
        term += 1
        lease = (holder, url, now.adding(duration))
        return LeadershipLease(term: term, holder: holder, url: url, left: duration)
    }

    public func renewLease(holder: String, term: Int64, for duration: Duration) -> Bool {
        guard lease?.holder == holder, term == self.term else { return false }
        lease?.expires = clock().adding(duration)
        return true
    }

    public func releaseLease(holder: String, term: Int64) {
        guard lease?.holder == holder, term == self.term else { return }
        lease?.expires = clock()
    }

    public func claimServers(term: Int64) {
        for name in serverRecords.keys where claims[name] ?? term <= term { claims[name] = term }
    }

    public func meetMasters(_ master: MasterHello) -> [MasterRecord] {
        let now = clock()
        metMasters[master.id] = MasterRecord(
            id: master.id, url: master.url, version: master.version, started: metMasters[master.id]?.started ?? now,
            heartbeat: now, silence: .zero, ahead: master.ahead)
        for (id, record) in metMasters where id != master.id && record.url == master.url { metMasters[id] = nil }
        return masters()
    }

    public func masters() -> [MasterRecord] {
        let now = clock()
        for (id, record) in metMasters { metMasters[id]?.silence = max(.zero, now.since(record.heartbeat)) }
        metMasters = metMasters.filter { !$0.value.isForgotten }
        return metMasters.values.sorted { ($0.started, $0.id) < ($1.started, $1.id) }
    }

    public func leaveMasters(_ id: String) { metMasters[id] = nil }
}

extension MetadataStore {
    /// A new term, without a lease that others would have to wait for.
    public func beginTerm(holder: String) async throws -> Int64 {
        try await acquireLease(holder: holder, url: "http://\(holder):4242", for: .zero).term
    }
}
