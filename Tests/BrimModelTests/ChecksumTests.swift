import BrimModel
import CCRC32C
import Testing

struct ChecksumTests {
    private func crc(_ bytes: [UInt8]) -> UInt32 {
        var sum = CRC32C()
        sum.update(bytes)
        return sum.value
    }

    /// RFC 3720, appendix B.4, and the usual check value.
    @Test func knownValues() {
        #expect(crc([]) == 0)
        #expect(crc(Array("123456789".utf8)) == 0xe306_9283)
        #expect(crc(Array(repeating: 0, count: 32)) == 0x8a91_36aa)
        #expect(crc(Array(repeating: 0xff, count: 32)) == 0x62a8_ab43)
        #expect(crc((0..<32).map { $0 }) == 0x46dd_794e)
        #expect(crc((0..<32).reversed()) == 0x113f_db5c)
        let read: [UInt8] =
            [0x01, 0xc0, 0, 0] + Array(repeating: 0, count: 12) + [0x14, 0, 0, 0, 0, 0, 0x04, 0, 0, 0, 0, 0x14]
            + [0, 0, 0, 0x18, 0x28, 0, 0, 0, 0, 0, 0, 0, 0x02, 0, 0, 0, 0, 0, 0, 0]
        #expect(crc(read) == 0xd996_3a56)
    }

    @Test func hardwareAndPortableAgree() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = Random(seed: seed)
        for _ in 0..<300 {
            let bytes = (0..<Int.random(in: 0...5000, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            let start = UInt32.random(in: 0...UInt32.max, using: &random)
            let offset = Int.random(in: 0...min(7, bytes.count), using: &random)
            bytes.withUnsafeBytes { all in
                let part = UnsafeRawBufferPointer(rebasing: all[offset...])
                #expect(
                    brim_crc32c(start, part.baseAddress, part.count)
                        == brim_crc32c_portable(start, part.baseAddress, part.count), "seed \(seed)")
            }
        }
    }

    @Test func anyCollectionWillDo() {
        var sum = CRC32C()
        sum.update("123".utf8)
        sum.update(Array("456".utf8)[...])
        sum.update("789".utf8.lazy.map { $0 })
        #expect(sum.value == 0xe306_9283)
    }

    @Test func checksumsAreText() {
        #expect(Checksum(crc32c: 0x1a).description == "crc32c:0000001a")
        #expect(Checksum("crc32c:0000001A") == Checksum(crc32c: 0x1a))
        for bad in [
            "", "crc32c:", "crc32c:1a", "md5:0000001a", "crc32c:0000001g", "crc32c:+000001a", "crc32c:00000001a",
        ] {
            #expect(Checksum(bad) == nil, "\(bad)")
        }
    }

    /// However a blob is cut into pieces, its sums are the same.
    @Test(arguments: [0, 1, 65535, 65536, 65537, 131_072, 300_001]) func summerDoesNotMindChunks(size: Int) {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = Random(seed: seed)
        let bytes = (0..<size).map { _ in UInt8.random(in: 0...255, using: &random) }
        let blocks = stride(from: 0, to: size, by: 65536).map { crc(Array(bytes[$0..<min($0 + 65536, size)])) }
        for longest in [7, 1000, 65536, 200_000, 1 << 20] {
            var summer = BlobSummer()
            var rest = bytes[...]
            var pieces = 0
            while !rest.isEmpty, pieces < 100_000 {
                let piece = rest.prefix(Int.random(in: 0...longest, using: &random))
                piece.withUnsafeBytes { summer.update($0) }
                rest = rest.dropFirst(piece.count)
                pieces += 1
            }
            rest.withUnsafeBytes { summer.update($0) }
            #expect(summer.size == Int64(size))
            #expect(summer.checksum == Checksum(crc32c: crc(bytes)), "seed \(seed)")
            #expect(summer.blocks == blocks, "seed \(seed), pieces up to \(longest)")
        }
    }
}
