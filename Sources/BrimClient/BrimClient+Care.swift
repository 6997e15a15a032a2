import BrimModel
import BrimWire
import NIOHTTP1

extension BrimClient {
    /// Has every copy of a file read whole by its server and compared with its checksums. Takes as long as that takes.
    /// Throws `.notFound`, `.isDirectory`.
    public func verify(_ path: BrimPath) async throws -> VerifyReply {
        try await ask(.POST, "/v1/verify" + path.percentEncoded, deadline: .seconds(24 * 3600))
    }

    /// How a file came to the copies it has. Throws `.notFound`, `.isDirectory`.
    public func why(_ path: BrimPath) async throws -> WhyReply {
        try await ask(.GET, "/v1/why" + path.percentEncoded)
    }

    /// What all background loops of the swarm are at.
    public func workers() async throws -> WorkersReply { try await ask(.GET, "/v1/workers") }

    /// Has a sample of the metadata compared with what the servers know, which takes up to a minute. Throws `.unavailable`
    /// when no server answers.
    public func drill() async throws -> DrillReport { try await ask(.POST, "/v1/drill", deadline: Self.treeDeadline) }

    public func settings() async throws -> SettingsReply { try await ask(.GET, "/v1/settings") }

    /// Changes settings of the swarm, given as text; nil sets the usual value. Throws `.invalid` for what is none.
    @discardableResult
    public func changeSettings(_ values: [String: String?]) async throws -> SettingsReply {
        try await ask(.PATCH, "/v1/settings", body: SettingsRequest(values: values))
    }
}
