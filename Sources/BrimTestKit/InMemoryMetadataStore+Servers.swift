import BrimMetadata
import BrimModel

extension InMemoryMetadataStore {
    public func servers() throws -> [ServerRecord] {
        try faulty(.servers) { members }
    }

    public func join(_ hello: ServerHello) throws -> ServerRecord {
        guard hello.requestedQuota >= 0 else { throw Refusal.quota(hello.requestedQuota) }
        guard forgottenServers[hello.id] == nil else { throw Refusal.serverForgotten(hello.name) }
        var record =
            serverRecords[hello.name]
            ?? ServerRecord(
                name: hello.name, id: hello.id, address: hello.address, zone: hello.zone, version: hello.version,
                state: .down, quota: hello.requestedQuota, requestedQuota: hello.requestedQuota, usage: hello.usage,
                load: ServerLoad(), heartbeat: clock())
        guard record.id == hello.id else { throw Refusal.serverNameTaken(hello.name) }
        guard record.forget == nil else { throw Refusal.beingForgotten(hello.name) }
        record.address = hello.address
        if record.requestedZone != hello.zone {
            record.requestedZone = hello.zone
            record.zone = hello.zone
        }
        record.version = hello.version
        if record.usage.isFollowed(by: hello.usage) { record.usage = hello.usage }
        record.heartbeat = clock()
        if record.requestedQuota != hello.requestedQuota {
            record.requestedQuota = hello.requestedQuota
            record.quota = hello.requestedQuota
        }
        serverRecords[hello.name] = record
        return record
    }

    public func noteHeartbeat(_ name: ServerName, id: String, usage: ServerUsage, load: ServerLoad, at: Timestamp)
        throws
    {
        guard var record = serverRecords[name], record.id == id else { throw Refusal.serverUnknown(name) }
        if record.usage.isFollowed(by: usage) { record.usage = usage }
        record.load = load
        record.heartbeat = at
        serverRecords[name] = record
    }

    public func setState(_ name: ServerName, from: ServerState, to: ServerState) -> Bool {
        guard serverRecords[name]?.state == from else { return false }
        serverRecords[name]?.state = to
        return true
    }

    public func setQuota(_ name: ServerName, _ quota: Int64) throws {
        guard quota >= 0 else { throw Refusal.quota(quota) }
        guard serverRecords[name] != nil else { throw Refusal.serverUnknown(name) }
        serverRecords[name]?.quota = quota
    }

    public func noteReport(_ name: ServerName, at: Timestamp) throws {
        guard serverRecords[name] != nil else { throw Refusal.serverUnknown(name) }
        serverRecords[name]?.report = at
    }

    public func view() -> ServerView { published }

    public func publishView(
        counted: [ServerName], readable: [ServerName], up: [ServerName], forgotten: [ServerName], term: Int64
    ) throws -> ServerView {
        guard term == self.term else { throw Refusal.staleTerm(term) }
        return try faulty(.publishView) {
            published = ServerView(
                epoch: published.epoch + 1, counted: Set(counted), readable: Set(readable), up: Set(up),
                forgotten: Set(forgotten))
            return published
        }
    }
}
