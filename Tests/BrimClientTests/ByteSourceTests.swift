import BrimModel
import Foundation
import NIOCore
import Testing

@testable import BrimClient

@Suite struct ByteSourceTests {
    private func chunks(_ source: any ByteSource) async throws -> [ByteBuffer] {
        var chunks: [ByteBuffer] = []
        for try await chunk in try source.chunks() { chunks.append(chunk) }
        return chunks
    }

    private func bytes(_ source: any ByteSource) async throws -> [UInt8] {
        try await chunks(source).flatMap { Array($0.readableBytesView) }
    }

    @Test func bytesInMemory() async throws {
        let source = BytesSource("123456789")
        #expect(source.size == 9)
        // The check value of CRC-32C.
        #expect(source.checksum == Checksum(crc32c: 0xe306_9283))
        for _ in 1...2 {
            #expect(source.isReadable)
            #expect(try await bytes(source) == Array("123456789".utf8))
        }
        let empty = BytesSource("")
        #expect(empty.size == 0 && empty.checksum == Checksum(crc32c: 0))
        #expect(try await chunks(empty).isEmpty)
    }

    /// Around the size of a piece.
    @Test(arguments: [0, 1, 256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1, 600_000])
    func filesInPieces(count: Int) async throws {
        let directory = try TemporaryDirectory()
        let data = Data((0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) })
        let path = directory.path + "/f"
        try data.write(to: URL(filePath: path))
        #expect(chmod(path, 0o751) == 0)
        let source = try FileSource(file: LocalFile(reading: path))
        #expect(source.size == Int64(count) && source.mode == 0o751 && source.checksum == nil)
        for _ in 1...2 {
            let chunks = try await chunks(source)
            #expect(chunks.allSatisfy { (1...ByteChunks.chunkBytes).contains($0.readableBytes) })
            #expect(chunks.flatMap { Array($0.readableBytesView) } == Array(data))
        }
    }

    @Test func smallFilesAreReadAtOnce() async throws {
        let directory = try TemporaryDirectory()
        for (size, isSmall) in [(FileSource.smallFileBytes, true), (FileSource.smallFileBytes + 1, false)] {
            let path = try directory.file("f")
            #expect(truncate(path, off_t(size)) == 0)
            let source = try await FileSource(file: LocalFile(reading: path)).inMemoryIfSmall()
            #expect((source is BytesSource) == isSmall)
            #expect(source.size == size)
            #expect((source.checksum != nil) == isSmall)
        }
    }

    /// It is as long as it was when it was opened: what is appended later is left, and what is cut off is missed.
    @Test func filesThatChange() async throws {
        let directory = try TemporaryDirectory()
        let path = try directory.file("f", "12345")
        let source = try FileSource(file: LocalFile(reading: path))
        let handle = try FileHandle(forWritingTo: URL(filePath: path))
        try handle.seekToEnd()
        try handle.write(contentsOf: Data("678".utf8))
        #expect(try await bytes(source) == Array("12345".utf8))
        try handle.truncate(atOffset: 3)
        try handle.close()
        let error = await #expect(throws: BrimError.self) { try await bytes(source) }
        #expect(error?.code == .io && error?.retryable == true)
    }

    @Test func directoriesAreNoSources() throws {
        let directory = try TemporaryDirectory()
        let error = #expect(throws: BrimError.self) { try FileSource(file: LocalFile(reading: directory.path)) }
        #expect(error?.code == .invalid)
    }

    @Test func streamsAreReadOnce() async throws {
        let directory = try TemporaryDirectory()
        let source = StreamSource(file: try LocalFile(reading: try directory.file("f", "stream")))
        #expect(source.size == nil && source.checksum == nil)
        #expect(source.isReadable)
        #expect(try await bytes(source) == Array("stream".utf8))
        #expect(!source.isReadable)
    }
}
