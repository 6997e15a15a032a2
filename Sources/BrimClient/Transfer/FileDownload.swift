import BrimModel
import BrimWire
import Logging
import NIOCore
import NIOHTTP1

/// Where the bytes of a download go, in order.
public protocol ByteSink: Sendable {
    func write(_ bytes: ByteBuffer) async throws
    /// Forgets all bytes written, to begin anew; false when they are out of reach already.
    func restart() async throws -> Bool
}

extension ByteSink {
    public func write(_ bytes: [UInt8]) async throws { try await write(ByteBuffer(bytes: bytes)) }
}

extension BrimClient {
    /// Where files can be read, at most 256: one answer each, in order.
    func plans(_ paths: [BrimPath], version: Int64? = nil) async throws -> [ReadsReply.Item] {
        let reply: ReadsReply = try await ask(
            .POST, "/v1/reads", body: ReadsRequest(paths: paths, version: version))
        guard reply.reads.count == paths.count else {
            throw BrimError(.internal, "the master answered \(reply.reads.count) of \(paths.count) reads")
        }
        return reply.reads
    }

    /// Where a file, or one of its versions, can be read. Symbolic links are followed.
    func plan(_ path: BrimPath, version: Int64? = nil) async throws -> ReadPlan {
        var path = path
        for _ in 0..<Self.linksFollowed {
            let item = try await plans([path], version: version)[0]
            if let plan = item.plan { return plan }
            guard let error = item.error else {
                throw BrimError(.internal, "the master answered a read of '\(path)' with neither copies nor an error")
            }
            guard error.code != .notFound, let target = try await linkTarget(path) else {
                throw error
            }
            path = target
        }
        throw BrimError(.invalid, "more than \(Self.linksFollowed) symbolic links lead on from '\(path)'")
    }

    private static let linksFollowed = 16

    /// The path that a symbolic link means; nil for anything else.
    private func linkTarget(_ path: BrimPath) async throws -> BrimPath? {
        guard let text = try await statIfPresent(path)?.target else { return nil }
        var components = text.hasPrefix("/") ? [] : Array(path.components.dropLast())
        for part in text.utf8.split(separator: UInt8(ascii: "/")) {
            switch String(Substring(part)) {
            case ".": continue
            case "..": _ = components.popLast()
            default: components.append(try EntryName(utf8: part))
            }
        }
        return try BrimPath(components)
    }

    /// Reads a whole file, as it is or was at a version, into a sink, from one copy after the other until it is complete
    /// and its checksum fits.
    ///
    /// - Throws: `.corrupt` when the bytes do not match the checksum; what was written then is not the file.
    @discardableResult
    public func read(
        _ path: BrimPath, version: Int64? = nil, into sink: some ByteSink, progress: TransferProgress? = nil
    ) async throws -> FileStat {
        var download = FileDownload(
            client: self, path: path, version: version, plan: try await plan(path, version: version), sink: sink,
            progress: progress)
        return try await download.run()
    }
}

/// One file on its way out of the swarm.
struct FileDownload {
    /// Rounds over all copies, the last of which brought no further.
    private static let rounds = 3
    /// How long a server may be silent before the next copy is tried.
    private static let idle = Duration.seconds(15)

    let client: BrimClient
    let path: BrimPath
    private let version: Int64?
    private var plan: ReadPlan
    private let sink: any ByteSink
    private let progress: TransferProgress?
    private var offset: Int64 = 0
    private var sum = CRC32C()

    /// A copy that could not be read to the end.
    private struct CopyFailure: Error { var error: BrimError }

    init(
        client: BrimClient, path: BrimPath, version: Int64? = nil, plan: ReadPlan, sink: any ByteSink,
        progress: TransferProgress?
    ) {
        self.client = client
        self.path = path
        self.version = version
        self.plan = plan
        self.sink = sink
        self.progress = progress
    }

    /// Tries every copy, then asks the master again, until a few rounds brought nothing new.
    mutating func run() async throws -> FileStat {
        var failure = BrimError(
            .unavailable, "no copy of '\(path)' can be read now",
            advice: "Wait until one of its servers is back; 'brim where' names them")
        var furthest: Int64 = 0
        var fruitless = 0
        while true {
            if plan.file.size == 0 { return plan.file }
            for copy in plan.copies {
                do {
                    try await fetch(from: copy)
                    if sum.value == plan.file.checksum?.crc32c ?? sum.value { return plan.file }
                    failure = BrimError(
                        .corrupt, "'\(path)' does not match its checksum",
                        advice: "Try again: another copy may be whole")
                    try await startAnew(because: failure)
                } catch let problem as CopyFailure {
                    client.logger.debug(
                        "A copy could not be read",
                        metadata: ["path": "\(path)", "server.name": "\(copy.server)", "error": "\(problem.error)"])
                    failure = problem.error
                }
                if offset > furthest { (furthest, fruitless) = (offset, 0) }
            }
            fruitless += 1
            guard fruitless < Self.rounds else { throw failure }
            if failure.code != .corrupt { try await Task.sleep(for: .milliseconds(500 * fruitless)) }
            try await renewPlan()
        }
    }

    /// Reads from `offset` to the end.
    private mutating func fetch(from copy: ReadPlan.Copy) async throws {
        let size = plan.file.size
        var body: Body
        do {
            let headers = offset > 0 ? [("Range", "bytes=\(offset)-")] : []
            let reply = try await client.peer.download(copy.url, headers: headers, token: nil, idle: Self.idle)
            body = Body(reply, skipping: reply.status == 206 ? 0 : offset)
        } catch {
            throw try Self.copyFailure(error)
        }
        while offset < size {
            let chunk: ByteBuffer
            do {
                guard let next = try await body.next() else {
                    throw BrimError(.unavailable, "\(copy.server) sent \(offset) of \(size) bytes of '\(path)'")
                }
                guard Int64(next.readableBytes) <= size - offset else {
                    throw BrimError(.corrupt, "\(copy.server) sent more than the \(size) bytes of '\(path)'")
                }
                chunk = next
            } catch {
                throw try Self.copyFailure(error)
            }
            try await sink.write(chunk)
            chunk.withUnsafeReadableBytes { sum.update($0) }
            offset += Int64(chunk.readableBytes)
            progress?.add(bytes: Int64(chunk.readableBytes))
        }
    }

    /// Every error of a copy may be different with the next one; only a cancellation ends all.
    private static func copyFailure(_ error: any Error) throws -> CopyFailure {
        try Task.checkCancellation()
        if error is CancellationError { throw error }
        return CopyFailure(
            error: error as? BrimError ?? BrimError(.unavailable, "the connection to a server broke: \(error)"))
    }

    private mutating func startAnew(because failure: BrimError) async throws {
        guard try await sink.restart() else { throw failure }
        progress?.add(bytes: -offset)
        offset = 0
        sum = CRC32C()
    }

    /// Asks the master where the file is now; it may have another version meanwhile.
    private mutating func renewPlan() async throws {
        let renewed = try await client.plan(path, version: version)
        let isSame = renewed.file.blob == plan.file.blob
        plan = renewed
        if !isSame && offset > 0 {
            try await startAnew(
                because: BrimError(
                    .conflict, "'\(path)' got another version while it was read", advice: "Read it again"))
        }
    }

    /// The bytes of a reply without the first few.
    private struct Body {
        private var chunks: Download.Body.AsyncIterator
        private var skip: Int64

        init(_ reply: Download, skipping count: Int64) {
            chunks = reply.body.makeAsyncIterator()
            skip = count
        }

        mutating func next() async throws -> ByteBuffer? {
            while var chunk = try await chunks.next() {
                let dropped = min(skip, Int64(chunk.readableBytes))
                skip -= dropped
                chunk.moveReaderIndex(forwardBy: Int(dropped))
                if chunk.readableBytes > 0 { return chunk }
            }
            return nil
        }
    }
}
