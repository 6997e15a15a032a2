import BrimModel
import BrimWire
import HTTPTypes
import Hummingbird
import NIOCore

/// `GET` and `HEAD /v1/blobs/ID`. Every byte sent was checked against the catalog: damage ends the connection, never
/// passes as success.
struct Downloads: Sendable {
    /// Bytes read from the disk at a time: while one piece is sent the next is read.
    static let chunk: Int64 = 512 * 1024

    let node: SlaveNode

    func get(_ blob: BlobID, _ request: Request, _ context: BrimRequestContext) async throws -> Response {
        // What other servers copy is not read.
        try await serve(
            blob, tag: try admit(blob, context), request, reads: context.caller?.role == .blob ? node.reads : nil)
    }

    /// The same for whoever was let in already. What is sent is told to `reads`.
    func serve(_ blob: BlobID, tag: String, _ request: Request, reads: ReadCounts?) async throws -> Response {
        if let response = cached(blob, tag, request) {
            reads?.sent(1, of: blob, size: 1)
            return response
        }
        let header = request.method == .get ? request.headers[.range] : nil
        let isRangeWanted = request.headers[.ifRange].map { $0 == tag } ?? true
        let range: @Sendable (Int64) -> ByteRange = { ByteRange(isRangeWanted ? header : nil, size: $0) }
        let found = try await node.catalog.row(blob) { size in
            switch range(size) {
            case .whole: BlockReader.blocks(of: 0..<size)
            case .part(let part): BlockReader.blocks(of: part)
            case .unsatisfiable: 0..<0
            }
        }
        guard let (row, sums) = found else {
            throw BrimError(.notFound, "the blob \(blob) is not on \(node.name)", advice: "Ask a master where it is")
        }
        var headers = Self.headers(tag, row.checksum)
        if let tags = request.headers[.ifNoneMatch], EntityTags.list(tags, contains: tag) {
            return Response(status: .notModified, headers: headers)
        }
        if request.method == .head {
            headers[.contentLength] = String(row.size)
            return Response(status: .ok, headers: headers)
        }
        switch range(row.size) {
        case .unsatisfiable:
            headers[.contentRange] = "bytes */\(row.size)"
            return try jsonResponse(
                BrimError(.range, "the range '\(header ?? "")' lies outside of the \(row.size) bytes of the file"),
                status: .rangeNotSatisfiable, headers: headers)
        case .whole:
            return try await send(row, sums, 0..<row.size, status: .ok, headers: headers, reads)
        case .part(let part):
            headers[.contentRange] = "bytes \(part.lowerBound)-\(part.upperBound - 1)/\(row.size)"
            return try await send(row, sums, part, status: .partialContent, headers: headers, reads)
        }
    }

    /// The response where nothing must be waited for: a small blob whose row was read lately, and whose bytes are in the
    /// kernel's cache. nil for all else, also for what is missing or damaged, of which the usual way takes care.
    private func cached(_ blob: BlobID, _ tag: String, _ request: Request) -> Response? {
        guard request.method == .get, request.headers[.range] == nil, request.headers[.ifNoneMatch] == nil,
            let known = node.catalog.small[blob], known.size > 0,
            let bytes = node.store.cached(blob, count: known.size),
            Self.sum(bytes) == known.checksum
        else { return nil }
        return Response(
            status: .ok, headers: Self.headers(tag, known.checksum), body: ResponseBody(byteBuffer: bytes))
    }

    private static func sum(_ bytes: ByteBuffer) -> Checksum {
        var sum = CRC32C()
        bytes.withUnsafeReadableBytes { sum.update($0) }
        return Checksum(crc32c: sum.value)
    }

    private static func headers(_ tag: String, _ checksum: Checksum) -> HTTPFields {
        var headers: HTTPFields = [.eTag: tag, .acceptRanges: "bytes", .contentType: "application/octet-stream"]
        headers.set(.brimChecksum, "\(checksum)")
        return headers
    }

    /// The entity tag to answer with.
    private func admit(_ blob: BlobID, _ context: BrimRequestContext) throws -> String {
        if let grant = context.caller?.read, context.caller?.role == .blob, grant.blob == blob {
            return "\"\(grant.version)-\(blob)\""
        }
        _ = try context.requireNode()
        return "\"\(blob)\""
    }

    private func send(
        _ row: CatalogRow, _ sums: [UInt32], _ range: Range<Int64>, status: HTTPResponse.Status, headers: HTTPFields,
        _ reads: ReadCounts?
    ) async throws -> Response {
        let ticket = node.transfers.begin()
        guard let file = try await node.store.open(row.blob) else {
            try await node.missing(row.blob)
            throw BrimError(.corrupt, "the blob \(row.blob) is missing on \(node.name)", advice: "Read another copy")
        }
        let reader = BlockReader(node: node, row: row, file: file, sums: sums, range: range)
        // The first piece is read before the response begins, so that damage there is answered properly.
        let first = try await reader.read(range.lowerBound)
        @Sendable func sent(_ bytes: Int) { reads?.sent(Int64(bytes), of: row.blob, size: row.size) }
        guard first.readableBytes < range.count else {
            sent(first.readableBytes)
            return Response(status: status, headers: headers, body: ResponseBody(byteBuffer: first))
        }
        let body = ResponseBody(contentLength: range.count) { writer in
            defer { withExtendedLifetime(ticket) {} }
            var piece = first
            var next = range.lowerBound + Int64(first.readableBytes)
            while next < range.upperBound {
                let position = next
                async let following = reader.read(position)
                try await writer.write(piece)
                sent(piece.readableBytes)
                piece = try await following
                next += Int64(piece.readableBytes)
            }
            try await writer.write(piece)
            sent(piece.readableBytes)
            try await writer.finish(nil)
        }
        return Response(status: status, headers: headers, body: body)
    }
}
