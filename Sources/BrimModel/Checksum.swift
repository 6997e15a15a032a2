import CCRC32C

/// A running CRC-32C (Castagnoli, RFC 3720 appendix B.4).
public struct CRC32C: Sendable, Hashable {
    /// The checksum of all bytes so far; 0 for none.
    public private(set) var value: UInt32 = 0

    public init() {}

    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        value = brim_crc32c(value, bytes.baseAddress, bytes.count)
    }

    public mutating func update(_ bytes: some Collection<UInt8>) {
        if bytes.withContiguousStorageIfAvailable({ update(UnsafeRawBufferPointer($0)) }) == nil {
            Array(bytes).withUnsafeBytes { update($0) }
        }
    }
}

/// The checksum of a whole blob, written `crc32c:1a2b3c4d`.
public struct Checksum: Hashable, Sendable, Codable, CustomStringConvertible, LosslessStringConvertible {
    public let crc32c: UInt32

    public init(crc32c: UInt32) { self.crc32c = crc32c }

    public init?(_ text: String) {
        let prefix = "crc32c:"
        guard text.hasPrefix(prefix), text.utf8.count == prefix.utf8.count + 8,
            text.dropFirst(prefix.count).allSatisfy(\.isHexDigit),
            let value = UInt32(text.dropFirst(prefix.count), radix: 16)
        else { return nil }
        crc32c = value
    }

    public var description: String {
        let hex = String(crc32c, radix: 16)
        return "crc32c:" + String(repeating: "0", count: 8 - hex.count) + hex
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let sum = Checksum(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "a checksum is crc32c:XXXXXXXX")
        }
        self = sum
    }
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

/// Sums a blob as its bytes arrive: one CRC-32C for the whole and one for each block of `Limits.blockBytes`.
public struct BlobSummer: Sendable {
    public private(set) var size: Int64 = 0
    private var whole = CRC32C()
    private var block = CRC32C()
    private var blockFill = 0
    private var finished: [UInt32] = []

    public init() {}

    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        whole.update(bytes)
        size += Int64(bytes.count)
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = rest.prefix(Limits.blockBytes - blockFill)
            block.update(UnsafeRawBufferPointer(rebasing: piece))
            blockFill += piece.count
            rest = rest.dropFirst(piece.count)
            if blockFill == Limits.blockBytes {
                finished.append(block.value)
                block = CRC32C()
                blockFill = 0
            }
        }
    }

    public var checksum: Checksum { Checksum(crc32c: whole.value) }
    /// One sum per block, the last block may be short; empty for an empty blob.
    public var blocks: [UInt32] { blockFill > 0 ? finished + [block.value] : finished }
}
