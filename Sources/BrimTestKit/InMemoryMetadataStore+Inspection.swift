import BrimMetadata
import BrimModel

/// For those who judge what the store holds.
extension InMemoryMetadataStore {
    /// All live entries, by id.
    package var entries: [Entry] { records.values.map(\.entry).sorted { $0.id < $1.id } }

    /// Blobs that some server still has to delete.
    package var undeleted: [BlobID: Set<ServerName>] { tombstones.mapValues(\.servers).filter { !$0.value.isEmpty } }
}
