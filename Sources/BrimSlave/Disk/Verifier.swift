import BrimModel
import BrimWire
import Foundation

/// Reads copies whole and compares them with what the catalog says. What is found bad is set aside, or struck off the
/// list, and the masters are told.
struct Verifier: Sendable {
    let node: SlaveNode

    /// Checks one blob; `pace` is told how many bytes come next, before they are read. nil: it is not on the list.
    ///
    /// Throws `.io` when the whole disk is at fault, which says nothing of the blob.
    func check(_ blob: BlobID, pace: (Int64) async throws -> Void = { _ in }) async throws -> BlobVerification? {
        guard
            let (row, sums) = try await node.catalog.row(blob, blocks: { BlockReader.blocks(of: 0..<$0) })
        else { return nil }
        guard let file = try await node.store.open(blob) else { return try await missing(row) }
        let size = try await node.store.io.run { try POSIX.status(file).size }
        if size > row.size {
            let reason = "the file has \(size) bytes instead of \(row.size)"
            await node.quarantine(blob, inode: try? POSIX.status(file).inode, reason: reason)
            return BlobVerification(condition: .corrupt, reason: reason)
        }
        // From the disk, not from memory; and what is read here shall not push out of it what others need.
        POSIX.dropFromMemory(file)
        defer { POSIX.dropFromMemory(file) }
        let reader = BlockReader(node: node, row: row, file: file, sums: sums, range: 0..<row.size)
        do {
            var position: Int64 = 0
            while position < row.size {
                try await pace(min(Downloads.chunk, row.size - position))
                position += Int64(try await reader.read(position).readableBytes)
            }
        } catch let error as BrimError where error.code == .corrupt {
            // The reader has set it aside.
            return BlobVerification(condition: .corrupt, reason: error.message)
        }
        return BlobVerification(condition: .ok)
    }

    private func missing(_ row: CatalogRow) async throws -> BlobVerification? {
        // It may have been given up, and even come back, since the list was read.
        guard try await node.catalog.row(row.blob) != nil else { return nil }
        if try await node.store.holds(row.blob, size: row.size) { return BlobVerification(condition: .ok) }
        try await node.missing(row.blob)
        return BlobVerification(condition: .missing, reason: "the blob's file is not there")
    }

    /// Checks a blob at once, for a person.
    func checkNow(_ blob: BlobID) async throws -> BlobVerification {
        let ticket = node.transfers.begin()
        defer { withExtendedLifetime(ticket) {} }
        guard let found = try await check(blob) else {
            // A master that believes otherwise is told.
            node.outbox.lost([blob])
            return BlobVerification(condition: .missing, reason: "\(node.name) does not have the blob")
        }
        if found.condition == .ok {
            try await node.catalog.noteVerified([blob], at: Timestamp.now.milliseconds)
        }
        return found
    }
}

extension POSIX {
    /// Has the kernel forget what it keeps of a file in memory, so that reading shows what is on the disk. Advice only.
    static func dropFromMemory(_ file: File) { _ = posix_fadvise(file.descriptor, 0, 0, POSIX_FADV_DONTNEED) }
}
