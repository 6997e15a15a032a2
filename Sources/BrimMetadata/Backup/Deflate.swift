import BrimModel
import CZlib

/// Compresses bytes as gzip (RFC 1952) as they come. To be used by one task.
final class Compressor {
    private let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)

    /// Throws `.internal` when memory is short.
    init() throws(BrimError) {
        stream.initialize(to: z_stream())
        // 16 more than the largest window means gzip, with its own checksum.
        let status = deflateInit2_(
            stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
            Int32(MemoryLayout<z_stream>.size))
        guard status == Z_OK else { throw BrimError(.internal, "zlib cannot compress: status \(status)") }
    }

    deinit {
        deflateEnd(stream)
        stream.deallocate()
    }

    /// Gives what is ready to `sink`; with `isLast` all that is left.
    func add(_ bytes: [UInt8], isLast: Bool = false, to sink: ([UInt8]) throws -> Void) throws {
        var input = bytes
        try input.withUnsafeMutableBufferPointer { input in
            stream.pointee.next_in = input.baseAddress
            stream.pointee.avail_in = UInt32(input.count)
            var hasMore = true
            while hasMore {
                let (produced, status) = stream.step { deflate($0, isLast ? Z_FINISH : Z_NO_FLUSH) }
                if !produced.isEmpty { try sink(produced) }
                guard status >= Z_OK || status == Z_BUF_ERROR else {
                    throw BrimError(.internal, "zlib cannot compress: status \(status)")
                }
                hasMore = isLast ? status != Z_STREAM_END : stream.pointee.avail_out == 0
            }
        }
    }
}

/// Takes apart, as it comes, what a ``Compressor`` has made. To be used by one task.
///
/// The head of gzip must be the one that is written here, whose time and system no checksum covers: so a file in which one
/// byte is another one is never taken for the one that was made. (A bit may be, of those few that fill up its last byte.)
final class Decompressor {
    private static let head: [UInt8] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]
    private let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    /// Whether the end of the gzip stream, with its checksum, has been met.
    private(set) var isAtEnd = false
    private var unseenHead = head[...]

    /// Throws `.internal` when memory is short.
    init() throws(BrimError) {
        stream.initialize(to: z_stream())
        let status = inflateInit2_(stream, MAX_WBITS + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        guard status == Z_OK else { throw BrimError(.internal, "zlib cannot decompress: status \(status)") }
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
    }

    /// What these bytes come to. Throws `.corrupt` for what is not gzip, is damaged, or follows its end.
    func add(_ bytes: [UInt8]) throws(BrimError) -> [UInt8] {
        guard !isAtEnd else { throw BrimError(.corrupt, "something follows its end") }
        guard bytes.starts(with: unseenHead.prefix(bytes.count)) else {
            throw BrimError(.corrupt, "it is not gzip as brim writes it, or damaged")
        }
        unseenHead = unseenHead.dropFirst(bytes.count)
        var output: [UInt8] = []
        var status = Z_OK
        var left = UInt32(0)
        var input = bytes
        input.withUnsafeMutableBufferPointer { input in
            stream.pointee.next_in = input.baseAddress
            stream.pointee.avail_in = UInt32(input.count)
            repeat {
                let (produced, outcome) = stream.step { inflate($0, Z_NO_FLUSH) }
                output += produced
                status = outcome
            } while status == Z_OK && (stream.pointee.avail_in > 0 || stream.pointee.avail_out == 0)
            left = stream.pointee.avail_in
        }
        switch status {
        case Z_STREAM_END:
            isAtEnd = true
            guard left == 0 else { throw BrimError(.corrupt, "something follows its end") }
        // Nothing could be done for lack of input: there is more to come.
        case Z_OK, Z_BUF_ERROR: break
        default: throw BrimError(.corrupt, "it is not gzip, or damaged")
        }
        return output
    }
}

extension UnsafeMutablePointer<z_stream> {
    /// Lets zlib go on as far as a piece of output reaches.
    fileprivate func step(
        _ body: (UnsafeMutablePointer<z_stream>) -> Int32
    ) -> (produced: [UInt8], status: Int32) {
        var status = Z_OK
        let produced = [UInt8](unsafeUninitializedCapacity: 64 * 1024) { buffer, count in
            pointee.next_out = buffer.baseAddress
            pointee.avail_out = UInt32(buffer.count)
            status = body(self)
            count = buffer.count - Int(pointee.avail_out)
        }
        return (produced, status)
    }
}
