import BrimMetadata
import BrimModel
import BrimWire
import Foundation
import Logging

/// Backups of a swarm's metadata, made and put back.
public struct MetadataBackup: Sendable {
    private let place: MetadataPlace
    private let key: BackupKey
    private let logger: Logger

    public init(of place: MetadataPlace, keys: SwarmKeys, logger: Logger) {
        self.place = place
        self.logger = logger
        key = BackupKey(keys.backupKey, passwordProof: keys.proof)
    }

    /// Writes a backup as of one moment, beside masters that run or without; see `MongoMetadataStore.backUp`.
    public func write(
        version: String, to sink: @escaping @Sendable ([UInt8]) async throws -> Void
    ) async throws -> BackupSummary {
        let key = key
        return try await place.withStore(.shared, logger: logger) { store in
            try await store.backUp(with: key, version: version, to: sink)
        }
    }

    /// Puts a backup back; see `MongoMetadataStore.restore`. The backup is checked before a database is looked at.
    public func restore(_ source: BackupSource) async throws -> BackupHeader {
        let key = key
        try MongoMetadataStore.check(source, with: key)
        return try await place.withStore(.alone, logger: logger) { store in
            try await store.restore(source, with: key)
        }
    }
}
