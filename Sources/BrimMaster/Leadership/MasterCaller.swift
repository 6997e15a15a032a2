import BrimModel
import BrimWire
import NIOHTTP1

/// The calls that masters make to the leader, which is reached at a URL.
package protocol MasterPeers: Sendable {
    /// Leave for writes.
    func grant(_ leader: String, _ request: GrantRequest) async throws -> WritesReply
    func notice(_ leader: String, _ notice: MasterNotice) async throws
}

/// Calls masters over HTTP.
struct MasterCaller: MasterPeers {
    let peers: PeerClient
    let keys: SwarmKeys

    func grant(_ leader: String, _ request: GrantRequest) async throws -> WritesReply {
        try await peers.call(
            .POST, leader + "/v1/node/grant", body: request, token: try keys.nodeToken(name: "master"),
            deadline: .seconds(30), as: WritesReply.self)
    }

    func notice(_ leader: String, _ notice: MasterNotice) async throws {
        _ = try await peers.call(
            .POST, leader + "/v1/node/notice", body: notice, token: try keys.nodeToken(name: "master"),
            deadline: .seconds(5), as: Empty.self)
    }
}
