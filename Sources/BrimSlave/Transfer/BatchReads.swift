import BrimModel
import BrimWire
import Foundation
import Hummingbird
import NIOCore

/// `POST /v1/blobs`: many small blobs for another server, read in one go.
///
/// Each is checked against the catalog. One that is missing, damaged, too large or more than fits is not sent: who wants
/// it asks for it alone, and `Downloads` then does what is to be done about it.
struct BatchReads: Sendable {
    let node: SlaveNode

    func read(_ request: Request, _ context: BrimRequestContext) async throws -> Response {
        _ = try context.requireNode()
        let blobs = try await request.decodeJSON(BlobReadRequest.self).blobs
        guard blobs.count <= Limits.copyBatchBlobs else {
            throw BrimError(.invalid, "at most \(Limits.copyBatchBlobs) blobs are read at once")
        }
        let transfer = node.transfers.begin()
        defer { withExtendedLifetime(transfer) {} }
        let facts = try await node.catalog.facts(blobs)
        let store = node.store
        let answer = try await store.io.run {
            var answer = ByteBuffer()
            var room = Limits.copyBatchBytes
            answer.reserveCapacity(blobs.reduce(0) { $0 + 16 + min(facts[$1]?.size ?? 0, Int(Limits.smallBlobBytes)) })
            for blob in blobs {
                var bytes: ByteBuffer?
                if let known = facts[blob], known.size <= min(Limits.smallBlobBytes, room) {
                    bytes = store.read(blob, size: known.size, checksum: known.checksum)
                }
                room -= Int64(bytes?.readableBytes ?? 0)
                BlobFrames.append(blob, bytes, to: &answer)
            }
            return answer
        }
        return Response(
            status: .ok, headers: [.contentType: "application/octet-stream"], body: ResponseBody(byteBuffer: answer))
    }
}

extension BlobStore {
    /// A small blob whole, if it is there and sums up to what it should. Blocks.
    fileprivate func read(_ blob: BlobID, size: Int, checksum: Checksum) -> ByteBuffer? {
        guard let file = try? POSIX.open(path(of: blob), O_RDONLY),
            let bytes = try? POSIX.read(file, at: 0, count: size), bytes.readableBytes == size
        else { return nil }
        var sum = CRC32C()
        bytes.withUnsafeReadableBytes { sum.update($0) }
        return sum.value == checksum.crc32c ? bytes : nil
    }
}
