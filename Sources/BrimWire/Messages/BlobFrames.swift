import BrimModel
import NIOCore

/// `POST /v1/blobs` on a slave, from another: small blobs, all in one answer of `BlobFrames`.
public struct BlobReadRequest: Sendable, Codable {
    /// At most `Limits.copyBatchBlobs`.
    public var blobs: [BlobID]
    public init(blobs: [BlobID]) { self.blobs = blobs }
}

/// Blobs one after the other: for each its id (12 bytes), how many bytes it has (4 bytes, the most significant first),
/// and these. 2³² − 1 stands for one that is not sent, for whatever reason; a `GET` of it alone tells.
public struct BlobFrames: Sendable {
    private static let notSent = UInt32.max
    private var rest: ByteBuffer

    public init(_ answer: ByteBuffer) { rest = answer }

    /// Adds a blob; nil: it is not sent.
    public static func append(_ blob: BlobID, _ bytes: ByteBuffer?, to answer: inout ByteBuffer) {
        answer.writeBytes(blob.bytes)
        answer.writeInteger(bytes.map { UInt32($0.readableBytes) } ?? notSent)
        if let bytes { answer.writeImmutableBuffer(bytes) }
    }

    /// The next blob, with its bytes or nil where they were not sent; nil at the end. Throws `.corrupt` when the answer
    /// ends within a frame.
    public mutating func next() throws -> (blob: BlobID, bytes: ByteBuffer?)? {
        guard rest.readableBytes > 0 else { return nil }
        guard let id = rest.readBytes(length: 12), let blob = BlobID(bytes: id),
            let length = rest.readInteger(as: UInt32.self)
        else { throw BrimError(.corrupt, "the answer ends within the head of a blob") }
        if length == Self.notSent { return (blob, nil) }
        guard let bytes = rest.readSlice(length: Int(length)) else {
            throw BrimError(.corrupt, "the answer ends within the blob \(blob)")
        }
        return (blob, bytes)
    }
}
