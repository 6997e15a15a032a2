import BrimModel
import CLinux
import Foundation
import NIOCore

/// A blob being written: bytes go to `incoming/` as they arrive, and are summed on the way.
///
/// Small blobs are kept in memory and written, synced and put in their place in one go. The owner ends every one with
/// `install` or `discard`.
struct IncomingBlob: Sendable {
    /// Bytes gathered before they are written.
    static let chunk = 256 * 1024
    /// Bytes after which the disk is set to work.
    private static let stretch: Int64 = 8 << 20

    let blob: BlobID
    private let store: BlobStore
    private let path: String
    private var file: POSIX.File?
    private var buffer = ByteBuffer()
    private var written: Int64 = 0
    private(set) var sums = BlobSummer()

    init(store: BlobStore, blob: BlobID, path: String) {
        self.store = store
        self.blob = blob
        self.path = path
    }

    /// Takes the next bytes; answers how many went to the disk. Throws `.io`, `.full`.
    mutating func append(_ bytes: ByteBuffer) async throws -> Int64 {
        bytes.withUnsafeReadableBytes { sums.update($0) }
        if buffer.readableBytes == 0, bytes.readableBytes >= Self.chunk {
            buffer = bytes
        } else {
            buffer.writeImmutableBuffer(bytes)
        }
        guard buffer.readableBytes >= Self.chunk else { return 0 }
        return try await flush()
    }

    private mutating func flush() async throws -> Int64 {
        let full = buffer
        buffer = ByteBuffer()
        let (offset, path, health, known) = (written, path, store.health, file)
        file = try await store.io.run {
            try health.watch { try Self.write(full, at: offset, to: known, path: path) }
        }
        written += Int64(full.readableBytes)
        return Int64(full.readableBytes)
    }

    /// Makes the blob durable in its place. Afterwards its row may be entered. Throws `.io`, `.full`, and where it must be
    /// `new` `.exists` when it is there already.
    mutating func install(new: Bool = false) async throws {
        let (rest, offset, path, store, known, blob) = (buffer, written, path, store, file, blob)
        buffer = ByteBuffer()
        try await store.io.run {
            try store.health.watch {
                let file = try Self.write(rest, at: offset, to: known, path: path)
                try POSIX.sync(file)
            }
            try store.install(path, as: blob, new: new)
        }
        file = nil
    }

    /// Removes what was written, if it has not been installed.
    func discard() async {
        let (path, health) = (path, store.health)
        do {
            try await store.io.run { try health.watch { _ = try POSIX.unlink(path) } }
        } catch {
            // It stays in incoming/, which the next start empties; a failing disk has been noted.
        }
    }

    private static func write(
        _ bytes: ByteBuffer, at offset: Int64, to known: POSIX.File?, path: String
    ) throws -> POSIX.File {
        let file = try known ?? POSIX.open(path, O_WRONLY | O_CREAT | O_EXCL)
        try bytes.withUnsafeReadableBytes { try POSIX.write(file, $0, at: offset) }
        // The disk works while the rest arrives, and the sync at the end finds little to do.
        let (begun, end) = (offset / stretch * stretch, (offset + Int64(bytes.readableBytes)) / stretch * stretch)
        if end > begun { brim_begin_writing(file.descriptor, begun, end - begun) }
        return file
    }
}
