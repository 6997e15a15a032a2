import BrimMetadata
import BrimModel

/// For those who judge what the store holds.
extension InMemoryMetadataStore {
    /// All live entries, by id.
    package var entries: [Entry] { records.values.map(\.entry).sorted { $0.id < $1.id } }

    /// The documents of all servers, by name.
    package var members: [ServerRecord] { serverRecords.values.sorted { $0.name < $1.name } }

    /// All that is in the trash, or waits in a file's document to come there.
    package var discarded: [BlobOwner] {
        let trash = trash.compactMap { id, record in
            record.entry.content.map { BlobOwner(kind: .trash, file: id, content: $0) }
        }
        let old = olds.map { BlobOwner(kind: .old, file: $0, content: $1.version.content) }
        let former = (Array(records.values) + Array(self.trash.values)).flatMap { record in
            record.former.map { BlobOwner(kind: .former, file: record.entry.id, content: $0.content) }
        }
        return (trash + old + former).sorted { $0.content.blob < $1.content.blob }
    }

    /// Blobs that some server still has to delete.
    package var undeleted: [BlobID: Set<ServerName>] { tombstones.mapValues(\.servers).filter { !$0.value.isEmpty } }
}
