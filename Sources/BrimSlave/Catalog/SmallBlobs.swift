import BrimModel
import Synchronization

/// Size and sum of blobs of one block that were read lately: all that is needed to send one again, so that a popular
/// file does not cost a query. Bounded: when the younger half is full, the older half is forgotten.
final class SmallBlobs: Sendable {
    struct Facts: Sendable {
        /// Bytes.
        var size: Int
        var checksum: Checksum
    }
    private struct State {
        var young: [BlobID: Facts] = [:]
        var old: [BlobID: Facts] = [:]
        /// Rises when blobs are removed.
        var removals = 0
    }

    /// Blobs known at most; some 70 bytes each.
    static let limit = 16_384
    private let state = Mutex(State())

    /// To be asked before a row is read that is then noted.
    var removals: Int { state.withLock { $0.removals } }

    subscript(blob: BlobID) -> Facts? { state.withLock { $0.young[blob] ?? $0.old[blob] } }

    /// Notes a row, unless blobs were removed since `removals`: it might be one of them.
    func note(_ row: CatalogRow, unlessRemovedSince removals: Int) {
        guard row.size <= Limits.blockBytes else { return }
        state.withLock { state in
            guard state.removals == removals else { return }
            if state.young.count >= Self.limit / 2 {
                state.old = state.young
                state.young = [:]
            }
            state.young[row.blob] = Facts(size: Int(row.size), checksum: row.checksum)
        }
    }

    func forget(_ blobs: some Sequence<BlobID>) {
        state.withLock { state in
            state.removals += 1
            for blob in blobs {
                state.young[blob] = nil
                state.old[blob] = nil
            }
        }
    }
}
