import BrimModel
import BrimWire
import NIOHTTP1

extension BrimClient {
    /// Files, surplus and servers of the swarm at this moment.
    public func status() async throws -> StatusReply { try await ask(.GET, "/v1/status") }

    /// Every server that is not forgotten.
    public func servers() async throws -> [ServerStatus] { try await ask(.GET, "/v1/servers") }

    /// Sets a server's quota in bytes; returns when slave and master have it. Throws `.notFound`, and `.unavailable`
    /// while the slave is away.
    @discardableResult
    public func setQuota(_ server: ServerName, bytes: Int64) async throws -> ServerStatus {
        try await ask(
            .PUT, "/v1/servers/\(PercentEncoding.encode(server.rawValue))/quota", body: QuotaRequest(quota: bytes))
    }
}
