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
        try await ask(.PUT, route(server) + "/quota", body: QuotaRequest(quota: bytes))
    }

    /// Sets a server's zone, until its slave is started with another `--zone` than the last time. Throws `.notFound`,
    /// `.invalid`.
    @discardableResult
    public func setZone(_ server: ServerName, _ zone: String) async throws -> ServerStatus {
        try await ask(.PUT, route(server) + "/zone", body: ZoneRequest(zone: zone))
    }

    /// Has a server emptied: its copies count no more, stay readable, and are made anew elsewhere. Throws `.notFound`,
    /// and `.conflict` when no other server's copies count.
    @discardableResult
    public func drain(_ server: ServerName) async throws -> ServerStatus {
        try await ask(.POST, route(server) + "/drain")
    }

    /// Takes that back: the copies it still has count again. Throws `.notFound`.
    @discardableResult
    public func undrain(_ server: ServerName) async throws -> ServerStatus {
        try await ask(.POST, route(server) + "/undrain")
    }

    /// Strikes off a server that is draining or down; returns when nothing names it any more, which takes some seconds,
    /// and longer where it held many files.
    ///
    /// Throws `.notFound`; `.conflict` for a server whose copies count, and, unless `losingData`, while files have no
    /// other copy that can be read.
    @discardableResult
    public func forget(_ server: ServerName, losingData: Bool = false) async throws -> ForgetReply {
        var isRepeated = false
        while true {
            do {
                return try await ask(
                    .DELETE, route(server) + (losingData ? "?loseData=true" : ""), repetition: .unsafe,
                    deadline: .seconds(120))
            } catch let error as BrimError where error.code == .timeout {
                // It goes on, and says how it ended to whoever asks next.
                isRepeated = true
            } catch let error as BrimError where error.code == .notFound && isRepeated {
                return ForgetReply(server: server, lostFiles: nil)
            }
        }
    }

    private func route(_ server: ServerName) -> String { "/v1/servers/\(PercentEncoding.encode(server.rawValue))" }
}
