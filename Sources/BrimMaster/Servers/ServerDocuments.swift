import BrimMetadata
import BrimModel

/// The servers' documents in MongoDB, and the roster that follows them: what is read or changed is taken into the roster
/// before another is, so that no old document replaces a newer one.
struct ServerDocuments: Sendable {
    let store: any MetadataStore
    let roster: Roster
    private let gate = AsyncGate()

    init(store: any MetadataStore, roster: Roster) {
        self.store = store
        self.roster = roster
    }

    /// Does something with both while nobody else does. Not to be nested.
    func exclusively<Value: Sendable>(
        _ body: @Sendable (any MetadataStore, Roster) async throws -> Value
    ) async throws -> Value {
        try await gate.exclusively { try await body(store, roster) }
    }

    /// Reads all documents.
    func read() async throws -> [ServerRecord] {
        try await exclusively { store, roster in
            let records = try await store.servers()
            await roster.take(records)
            return records
        }
    }
}
