import BrimModel
import BrimWire

/// What is on one server's disk and survives a crash: blobs that were synced, the catalog, `brim.json`.
final class SimulatedDisk: Sendable {
    /// A file below `blobs/`.
    struct Blob {
        var size: Int64
        /// Of the bytes as they are now.
        var checksum: Checksum
    }

    /// A row of the catalog.
    struct Row {
        var blob: BlobID
        var isConfirmed: Bool
        var file: FileID
        var size: Int64
        var checksum: Checksum
        /// Milliseconds since 1970, by the server's own calendar.
        var created: Int64

        var report: BlobReport {
            BlobReport(blob: blob, file: file, size: size, checksum: checksum, confirmed: isConfirmed)
        }
    }

    struct State {
        /// The random id of the data directory.
        var id: String
        var swarm: String?
        var quota: Int64?
        var quotaAsked: Int64?
        var blobs: [BlobID: Blob] = [:]
        var rows: [BlobID: Row] = [:]
        /// Bytes of damaged blobs set aside.
        var quarantined: Int64 = 0
        /// Orders carried out.
        var position = OrderPosition(term: 0, sequence: 0)
        /// Bytes of the file system, and those that others use.
        var capacity: Int64
        var othersUse: Int64 = 0

        /// Bytes of blobs, quarantined ones included.
        var stored: Int64 { blobs.values.reduce(quarantined) { $0 + $1.size } }

        /// Bytes the file system can still take.
        var available: Int64 { max(0, capacity - othersUse - stored) }
    }

    let state: Confined<State>

    init(id: String, capacity: Int64) { state = Confined(State(id: id, capacity: capacity)) }

    /// Whether this very blob is there, in the catalog and with the right bytes.
    func holds(_ blob: BlobID, _ checksum: Checksum) -> Bool {
        state.value.blobs[blob]?.checksum == checksum && state.value.rows[blob] != nil
    }
}
