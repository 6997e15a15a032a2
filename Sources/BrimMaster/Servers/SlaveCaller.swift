import BrimModel
import BrimWire
import NIOHTTP1

/// Calls that a master makes to slaves beside orders.
struct SlaveCaller: Sendable {
    let peers: PeerClient
    let keys: SwarmKeys
    let subject: String

    func setQuota(_ slave: Peer, _ quota: Int64) async throws -> ServerUsage {
        try await peers.call(
            .PUT, "http://\(slave.address)/v1/quota", body: QuotaRequest(quota: quota),
            token: try keys.nodeToken(name: subject), deadline: .seconds(10), as: ServerUsage.self)
    }

    /// What the slave uses now.
    func usage(_ slave: Peer) async throws -> ServerUsage {
        try await peers.call(
            .GET, "http://\(slave.address)/v1/status", token: try keys.nodeToken(name: subject), deadline: .seconds(2),
            as: ServerUsage.self)
    }
}
