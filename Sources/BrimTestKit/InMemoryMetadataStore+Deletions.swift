import BrimMetadata
import BrimModel

extension InMemoryMetadataStore {
    public func pendingDeletions(on server: ServerName, limit: Int) -> [BlobID] {
        tombstones.filter { $1.servers.contains(server) }.keys.sorted().prefix(limit).map(\.self)
    }

    public func deletionsDone(on server: ServerName, _ blobs: [BlobID]) {
        for blob in blobs { tombstones[blob]?.servers.remove(server) }
    }

    public func deletionsDue(on server: ServerName, _ blobs: [BlobID]) {
        for blob in blobs { tombstones[blob]?.servers.insert(server) }
    }

    public func tombstoned(_ blobs: [BlobID]) -> Set<BlobID> {
        Set(blobs.filter { tombstones[$0] != nil })
    }

    public func abandon(_ blobs: [BlobID]) -> Set<BlobID> {
        let free = Set(blobs).subtracting(owners(of: blobs).keys)
        for blob in free where abandoned[blob] == nil { abandoned[blob] = clock() }
        return free
    }

    /// This store is never restored.
    public func unknownBlobsUntil() -> Timestamp? { nil }

    public func trimTombstones(before: Timestamp) {
        let reports = serverRecords.values.map(\.report)
        guard !reports.contains(nil) else { return }
        let cutoff = reports.compactMap(\.self).reduce(before, min)
        tombstones = tombstones.filter { _, stone in
            stone.at >= cutoff || stone.servers.contains { serverRecords[$0] != nil }
        }
        abandoned = abandoned.filter { $1 >= cutoff }
    }
}
