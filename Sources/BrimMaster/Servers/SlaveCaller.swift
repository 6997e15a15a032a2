import BrimModel
import BrimWire
import NIOHTTP1

/// The calls that a master makes to slaves. Each throws `.unavailable` or `.timeout` when it is not known whether the slave
/// did what was asked, else what the slave refuses with.
package protocol SlaveLink: Sendable {
    func order(_ slave: Peer, _ batch: OrderBatch, deadline: Duration) async throws -> OrderReply
    func setQuota(_ slave: Peer, _ quota: Int64) async throws -> ServerUsage
    /// What the slave uses now.
    func usage(_ slave: Peer) async throws -> ServerUsage
    /// Tells the slave of masters (URLs) besides those that it knows.
    func introduce(_ masters: [String], to slave: Peer) async throws
}

/// Calls slaves over HTTP.
struct SlaveCaller: SlaveLink {
    let peers: PeerClient
    let keys: SwarmKeys
    let subject: String

    func order(_ slave: Peer, _ batch: OrderBatch, deadline: Duration) async throws -> OrderReply {
        try await peers.call(
            .POST, "http://\(slave.address)/v1/orders", body: batch, token: try keys.nodeToken(name: subject),
            deadline: deadline, as: OrderReply.self)
    }

    func setQuota(_ slave: Peer, _ quota: Int64) async throws -> ServerUsage {
        try await peers.call(
            .PUT, "http://\(slave.address)/v1/quota", body: QuotaRequest(quota: quota),
            token: try keys.nodeToken(name: subject), deadline: .seconds(10), as: ServerUsage.self)
    }

    func usage(_ slave: Peer) async throws -> ServerUsage {
        try await peers.call(
            .GET, "http://\(slave.address)/v1/status", token: try keys.nodeToken(name: subject), deadline: .seconds(2),
            as: ServerUsage.self)
    }

    func introduce(_ masters: [String], to slave: Peer) async throws {
        _ = try await peers.call(
            .POST, "http://\(slave.address)/v1/introduce", body: MasterURLs(masters: masters),
            token: try keys.nodeToken(name: subject), deadline: .seconds(2), as: Empty.self)
    }
}
