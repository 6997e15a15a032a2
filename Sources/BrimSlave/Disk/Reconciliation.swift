import BrimModel
import BrimWire
import Foundation
import Logging
import NIOCore

/// What a slave does before it serves anything: compares the catalog with the blobs that are there.
struct Reconciliation: Sendable {
    /// What was found.
    struct Findings: Sendable, Equatable {
        /// Bytes on disk, quarantined ones included.
        var stored: Int64 = 0
        var files: Int64 = 0
        /// Rows without a blob, and blobs that were damaged: removed from the catalog, to be reported.
        var lost: [BlobID] = []
        /// Of these: set aside, because their files had another size.
        var damaged: [BlobID] = []
        /// Blobs without a row: entered as pending.
        var adopted: [BlobID] = []
    }

    let store: BlobStore
    let catalog: Catalog
    let logger: Logger

    func run() async throws -> Findings {
        var findings = Findings()
        let rows = try await catalog.sizes()
        let (disk, strange) = try await look()
        for path in strange { logger.warning("not a blob, left alone", metadata: ["path": "\(path)"]) }
        var damaged: [BlobID] = []
        for (blob, size) in disk.blobs {
            guard let wanted = rows[blob] else {
                try await adopt(blob)
                findings.adopted.append(blob)
                findings.files += 1
                continue
            }
            if size == wanted { findings.files += 1 } else { damaged.append(blob) }
        }
        findings.damaged = damaged
        for blob in damaged { _ = try await store.quarantine(blob, inode: nil) }
        findings.lost = rows.keys.filter { disk.blobs[$0] == nil } + damaged
        for start in stride(from: 0, to: findings.lost.count, by: Limits.reportPageBlobs) {
            _ = try await catalog.remove(
                Array(findings.lost[start..<min(start + Limits.reportPageBlobs, findings.lost.count)]))
        }
        findings.stored = disk.blobs.values.reduce(0, +) + disk.quarantined
        if !findings.lost.isEmpty || !findings.adopted.isEmpty {
            logger.warning(
                "catalog and blobs differed",
                metadata: ["lost": "\(findings.lost.count)", "adopted": "\(findings.adopted.count)"])
        }
        return findings
    }

    private struct Disk: Sendable {
        var blobs: [BlobID: Int64] = [:]
        /// Bytes.
        var quarantined: Int64 = 0
    }

    private func look() async throws -> (Disk, [String]) {
        let store = store
        return try await store.io.run {
            try store.prepare()
            var disk = Disk()
            var strange: [String] = []
            try store.walk { blob, status in
                disk.blobs[blob] = status.size
            } strange: {
                strange.append($0)
            }
            for name in try POSIX.names(in: store.directory.quarantine) {
                disk.quarantined += try POSIX.status(store.directory.quarantine + "/" + name)?.size ?? 0
            }
            return (disk, strange)
        }
    }

    /// Sums a blob again and enters it as pending.
    private func adopt(_ blob: BlobID) async throws {
        let path = store.path(of: blob)
        let sums = try await store.io.run {
            let file = try POSIX.open(path, O_RDONLY)
            var sums = BlobSummer()
            while true {
                let bytes = try POSIX.read(file, at: sums.size, count: 1 << 20)
                if bytes.readableBytes == 0 { break }
                bytes.withUnsafeReadableBytes { sums.update($0) }
            }
            // It may have been renamed here and never synced.
            try POSIX.sync(file)
            try POSIX.syncDirectory((path as NSString).deletingLastPathComponent)
            return sums
        }
        let row = CatalogRow(
            blob: blob, state: .pending, label: try .unknown(blob), size: sums.size, checksum: sums.checksum,
            created: Int64(Date().timeIntervalSince1970 * 1000))
        try await catalog.insert(row, sums: sums.blocks)
    }
}
