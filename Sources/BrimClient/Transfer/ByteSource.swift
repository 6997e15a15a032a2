import BrimModel
import NIOCore
import Synchronization

/// Where the bytes of an upload come from.
public protocol ByteSource: Sendable {
    /// Bytes, when known beforehand.
    var size: Int64? { get }
    /// The checksum, when known beforehand; the servers then check what they receive.
    var checksum: Checksum? { get }
    /// Whether ``chunks()`` may be called (again), as is needed when a server fails during the upload.
    var isReadable: Bool { get }
    /// The bytes from the first on.
    func chunks() throws -> ByteChunks
}

/// Bytes in pieces, read one after the other by one reader.
public struct ByteChunks: AsyncSequence, Sendable {
    public typealias Element = ByteBuffer
    public typealias Failure = any Error

    /// Bytes of a piece read from a file.
    static let chunkBytes = 256 * 1024

    /// The next piece; nil at the end.
    let next: @Sendable () async throws -> ByteBuffer?

    /// `next` gives the next piece, and nil at the end.
    public init(_ next: @escaping @Sendable () async throws -> ByteBuffer?) { self.next = next }

    public struct AsyncIterator: AsyncIteratorProtocol {
        let nextChunk: @Sendable () async throws -> ByteBuffer?
        public mutating func next() async throws -> ByteBuffer? { try await nextChunk() }
    }

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(nextChunk: next) }
}

/// Bytes in memory.
public struct BytesSource: ByteSource {
    private let buffer: ByteBuffer
    public let checksum: Checksum?

    public init(_ buffer: ByteBuffer) {
        self.buffer = buffer
        var sum = CRC32C()
        buffer.withUnsafeReadableBytes { sum.update($0) }
        checksum = Checksum(crc32c: sum.value)
    }

    public init(_ text: String) { self.init(ByteBuffer(string: text)) }

    public var size: Int64? { Int64(buffer.readableBytes) }
    public var isReadable: Bool { true }

    public func chunks() -> ByteChunks {
        let rest = Mutex<ByteBuffer?>(buffer.readableBytes > 0 ? buffer : nil)
        return ByteChunks { rest.withLock { $0.take() } }
    }
}

/// A regular file of this machine, as long as it was when it was opened.
public struct FileSource: ByteSource {
    /// Files up to this many bytes are read at once, so that their checksum is known before they are sent.
    public static let smallFileBytes: Int64 = 1 << 20

    private let file: LocalFile
    private let length: Int64
    /// Permission bits.
    public let mode: Int
    public let modified: Timestamp

    init(file: LocalFile) throws {
        let status = try file.status()
        guard status.isRegular else {
            throw BrimError(.invalid, "'\(file.path)' is not a regular file")
        }
        self.file = file
        length = status.size
        mode = status.permissions
        modified = status.modified
    }

    public var size: Int64? { length }
    public var checksum: Checksum? { nil }
    public var isReadable: Bool { true }

    public func chunks() -> ByteChunks {
        let place = Mutex<Int64>(0)
        return ByteChunks { [file, length] in
            let offset = place.withLock { $0 }
            guard offset < length else { return nil }
            let count = Int(min(Int64(ByteChunks.chunkBytes), length - offset))
            let chunk = try await blocking { try file.read(at: offset, count: count) }
            guard chunk.readableBytes > 0 else {
                throw BrimError(
                    .io, "'\(file.path)' became shorter while it was read", advice: "Send it again", retryable: true)
            }
            place.withLock { $0 += Int64(chunk.readableBytes) }
            return chunk
        }
    }

    /// The file's bytes in memory if it is small, else itself.
    func inMemoryIfSmall() async throws -> any ByteSource {
        guard length <= Self.smallFileBytes else { return self }
        var bytes = ByteBuffer()
        bytes.reserveCapacity(Int(length))
        for try await var chunk in chunks() { bytes.writeBuffer(&chunk) }
        return BytesSource(bytes)
    }
}

/// Bytes of unknown number that can be read once, such as standard input.
public final class StreamSource: ByteSource {
    private let file: LocalFile
    private let isStarted = Mutex(false)

    public init(file: LocalFile) { self.file = file }

    public var size: Int64? { nil }
    public var checksum: Checksum? { nil }
    public var isReadable: Bool { isStarted.withLock { !$0 } }

    public func chunks() -> ByteChunks {
        ByteChunks { [file, self] in
            isStarted.withLock { $0 = true }
            let chunk = try await blocking { try file.readOn(count: ByteChunks.chunkBytes) }
            return chunk.readableBytes > 0 ? chunk : nil
        }
    }
}
