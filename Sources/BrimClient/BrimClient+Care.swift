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

    /// What something that might happen would do; nothing is changed. Throws `.invalid` for what cannot happen, `.notFound` for
    /// servers and paths that are not there.
    public func plan(_ request: PlanRequest) async throws -> PlanReply {
        try await ask(.POST, "/v1/plan", body: request, deadline: Self.treeDeadline)
    }

    public func settings() async throws -> SettingsReply { try await ask(.GET, "/v1/settings") }

    /// Changes settings of the swarm, given as text; nil sets the usual value. Throws `.invalid` for what is none.
    @discardableResult
    public func changeSettings(_ values: [String: String?]) async throws -> SettingsReply {
        try await ask(.PATCH, "/v1/settings", body: SettingsRequest(values: values))
    }

    /// What decides how many copies files have.
    public func policy() async throws -> PolicyReply { try await ask(.GET, "/v1/policy") }

    /// Replaces the swarm's rules, with `revision` only in the place of that one. Throws `.invalid`, with line and column,
    /// `.precondition`.
    @discardableResult
    public func changePolicy(_ text: String, ifRevision revision: Int64? = nil) async throws -> PolicyReply {
        let request = PolicyRequest(text: text, ifRevision: revision)
        // One that was carried out and is sent again is refused for its own change.
        return try await ask(
            .PUT, "/v1/policy", body: request, repetition: revision == nil ? .safe : .unsafe)
    }

    /// What policies say of files, with `rules` as if these were the swarm's; nothing is changed.
    public func testPolicy(_ paths: [BrimPath], rules: String? = nil) async throws -> PolicyTestReply {
        try await ask(.POST, "/v1/policy/test", body: PolicyTestRequest(paths: paths, text: rules))
    }

    /// Begins to give all files the n that policies say.
    public func applyPolicy() async throws -> PolicyPassReply { try await ask(.POST, "/v1/policy/apply") }
}
