import BrimModel
import Foundation
import NIOCore

/// Reads a range of a blob in pieces of whole blocks, each checked against its sum.
struct BlockReader: Sendable {
    let node: SlaveNode
    let row: CatalogRow
    let file: POSIX.File
    /// Sums of the blocks that `range` touches.
    let sums: [UInt32]
    let range: Range<Int64>

    /// The blocks that a range touches.
    static func blocks(of range: Range<Int64>) -> Range<Int> {
        let size = Int64(Limits.blockBytes)
        return range.isEmpty ? 0..<0 : Int(range.lowerBound / size)..<Int((range.upperBound + size - 1) / size)
    }

    /// The bytes from `position` on, about `Downloads.chunk` of them and never more than the range has.
    ///
    /// Throws `.corrupt`, after the blob has been set aside and reported, when the disk does not hold the right bytes.
    func read(_ position: Int64) async throws -> ByteBuffer {
        let block = Int64(Limits.blockBytes)
        let start = position / block * block
        let end = min(row.size, start + Downloads.chunk, (range.upperBound + block - 1) / block * block)
        guard end > start else { return ByteBuffer() }
        let firstSum = Int(start / block) - Self.blocks(of: range).lowerBound
        let (file, sums) = (file, sums)
        do {
            var bytes = try await node.store.io.run {
                let bytes = try POSIX.read(file, at: start, count: Int(end - start))
                try Self.verify(bytes, expecting: Int(end - start), sums.dropFirst(firstSum))
                return bytes
            }
            bytes.moveReaderIndex(forwardBy: Int(position - start))
            let wanted = Int(min(end, range.upperBound) - position)
            return bytes.readSlice(length: wanted) ?? bytes
        } catch let error as BrimError where error.code == .corrupt || error.code == .io {
            // A disk that cannot read the bytes has lost them as well.
            await node.quarantine(row.blob, inode: try? POSIX.status(file).inode, reason: error.message)
            throw BrimError(
                .corrupt, "the blob \(row.blob) is damaged on \(node.name): \(error.message)",
                advice: "Read another copy")
        }
    }

    /// Checks whole blocks, of which the last may be short, against their sums.
    static func verify(_ bytes: ByteBuffer, expecting count: Int, _ sums: ArraySlice<UInt32>) throws {
        guard bytes.readableBytes == count else {
            throw BrimError(.corrupt, "the file is shorter than it should be")
        }
        try bytes.withUnsafeReadableBytes { raw in
            for (index, start) in stride(from: 0, to: count, by: Limits.blockBytes).enumerated() {
                var sum = CRC32C()
                let end = min(count, start + Limits.blockBytes)
                sum.update(UnsafeRawBufferPointer(rebasing: raw[start..<end]))
                guard index < sums.count, sums[sums.startIndex + index] == sum.value else {
                    throw BrimError(.corrupt, "a block does not match its checksum")
                }
            }
        }
    }
}
