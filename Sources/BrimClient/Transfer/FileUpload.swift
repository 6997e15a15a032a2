import BrimModel
import BrimWire
import Foundation
import Logging
import NIOCore
import NIOFoundationCompat
import NIOHTTP1
import Synchronization

/// What an upload gives the file besides its bytes.
public struct PutOptions: Sendable {
    /// Wanted copies; nil: what the swarm's policy says.
    public var n: Int?
    /// Permission bits; nil: 0o644.
    public var mode: Int?
    /// nil: the time of the commit.
    public var modified: Timestamp?
    public var attributes: [String: AttributeValue]
    /// What must hold of the file that is replaced.
    public var ifMatch: IfMatch

    public init(
        n: Int? = nil, mode: Int? = nil, modified: Timestamp? = nil, attributes: [String: AttributeValue] = [:],
        ifMatch: IfMatch = .anything
    ) {
        self.n = n
        self.mode = mode
        self.modified = modified
        self.attributes = attributes
        self.ifMatch = ifMatch
    }

    func request(_ path: BrimPath, size: Int64?) -> WriteRequest {
        WriteRequest(
            path: path, size: size, mode: mode, modified: modified, n: n,
            attributes: attributes.isEmpty ? nil : attributes, ifMatch: ifMatch)
    }
}

extension BrimClient {
    /// Writes a file: a new one, or a new version. Missing parents are made. When this returns, as many copies are
    /// durable as the swarm waits for.
    ///
    /// A server that fails on the way is replaced by another while the source can be read again.
    @discardableResult
    public func put(
        _ source: some ByteSource, to path: BrimPath, options: PutOptions = PutOptions(),
        progress: TransferProgress? = nil
    ) async throws -> WriteReply {
        let upload = FileUpload(
            client: self, source: source, request: options.request(path, size: source.size), progress: progress)
        return try await upload.run()
    }

    /// Asks for leave to write these files, at most 256: one answer each, in order.
    func grants(_ writes: [WriteRequest]) async throws -> [WritesReply.Item] {
        let reply: WritesReply = try await ask(.POST, "/v1/writes", body: WritesRequest(writes: writes))
        guard reply.writes.count == writes.count else {
            throw BrimError(.internal, "the master answered \(reply.writes.count) of \(writes.count) writes")
        }
        return reply.writes
    }
}

/// One file on its way into the swarm.
struct FileUpload {
    private static let attempts = 4
    /// How often leave is asked for again when it may be given later: 6 s in all.
    private static let patience = 6
    /// How long a server may take neither bytes nor answer. Its answer comes after the syncing of the whole file: a
    /// second for each 20 MB is allowed for that.
    private var idle: Duration {
        guard let size = source.size else { return .seconds(60) }
        return .seconds(15 + min(105, size / 20_000_000))
    }

    let client: BrimClient
    let source: any ByteSource
    let request: WriteRequest
    let progress: TransferProgress?

    /// An attempt that failed, and the servers that may be to blame.
    private struct Failure: Error {
        var error: BrimError
        var suspects: [ServerName]
    }

    /// Uploads; `grant` is the answer to `request` if that was asked already.
    func run(grant: WritesReply.Item? = nil) async throws -> WriteReply {
        var avoid: [ServerName] = []
        var failure: BrimError?
        /// The last attempt, unless it is known what became of it.
        var former: (url: String, sent: Sent)?
        for attempt in 0..<Self.attempts {
            let item: WritesReply.Item
            do {
                if let grant, attempt == 0, grant.error == nil {
                    item = grant
                } else {
                    item = try await ask(avoiding: avoid, insteadOf: former?.url)
                }
                if let done = item.done, let former {
                    // Only the answer got lost.
                    try former.sent.check(done, of: request.path)
                    progress?.add(bytes: done.size)
                    return done
                }
            } catch let error as BrimError {
                guard ![.precondition, .conflict].contains(error.code), let failure else { throw error }
                // Without those that failed there is none: better one of them once more, as it may be the master that
                // had not answered it in time. That there is no other is the smaller news.
                guard !avoid.isEmpty, attempt < Self.attempts - 1 else { throw failure }
                avoid = []
                continue
            }
            guard let url = item.url, let targets = item.targets, !targets.isEmpty else {
                throw BrimError(.internal, "the master granted a write without saying where")
            }
            let sent = Sent(progress)
            do {
                return try await send(sent, to: url, targets)
            } catch let problem as Failure {
                former = problem.error.code == .corrupt ? nil : (url, sent)
                guard source.isReadable else { throw problem.error }
                client.logger.debug(
                    "An upload failed on the way",
                    metadata: ["path": "\(request.path)", "error": "\(problem.error)"])
                failure = problem.error
                try await Task.sleep(for: .milliseconds(100 << attempt))
                avoid += problem.suspects.filter { !avoid.contains($0) }
            }
        }
        throw failure ?? BrimError(.unavailable, "'\(request.path)' could not be written")
    }

    /// Asks for leave, and again while others are in the way. Throws why it is refused.
    private func ask(avoiding servers: [ServerName], insteadOf former: String?) async throws -> WritesReply.Item {
        var request = request
        request.avoid = servers.isEmpty ? nil : servers
        request.replaces = former
        var attempt = 0
        while true {
            let item = try await client.grants([request])[0]
            guard let error = item.error else { return item }
            guard error.retryable, attempt < Self.patience else { throw error }
            try await Task.sleep(for: .milliseconds(100 << attempt))
            attempt += 1
        }
    }

    private func send(_ sent: Sent, to url: String, _ targets: [Peer]) async throws -> WriteReply {
        do {
            let headers = source.checksum.map { [(BrimHeader.brimChecksum.rawValue, $0.description)] } ?? []
            let (status, answer) = try await client.peer.upload(
                url, length: source.size, headers: headers, body: sent.watching(try source.chunks()), token: nil,
                idle: idle)
            guard status == 200 || status == 201 else {
                throw refusal(status: status, answer, targets: targets.map(\.server))
            }
            let reply = try BrimJSON.decoder().decode(WriteReply.self, from: Data(buffer: answer))
            try sent.check(reply, of: request.path)
            return reply
        } catch {
            sent.takeBack()
            if let sourceError = sent.sourceError { throw sourceError }
            guard let error = error as? BrimError, error.mayBeTheServers else { throw error }
            throw Failure(error: error, suspects: [targets[0].server])
        }
    }

    /// What was sent so far in one attempt.
    private final class Sent: Sendable {
        private struct State {
            var sum = CRC32C()
            var bytes: Int64 = 0
            var sourceError: (any Error)?
        }
        private let state = Mutex(State())
        private let progress: TransferProgress?

        init(_ progress: TransferProgress?) { self.progress = progress }

        /// The error with which the source itself ended the attempt.
        var sourceError: (any Error)? { state.withLock { $0.sourceError } }

        func watching(_ chunks: ByteChunks) -> ByteChunks {
            ByteChunks { [self] in
                do {
                    guard let chunk = try await chunks.next() else { return nil }
                    state.withLock { state in
                        chunk.withUnsafeReadableBytes { state.sum.update($0) }
                        state.bytes += Int64(chunk.readableBytes)
                    }
                    progress?.add(bytes: Int64(chunk.readableBytes))
                    return chunk
                } catch {
                    state.withLock { $0.sourceError = error }
                    throw error
                }
            }
        }

        /// Throws `.corrupt` unless what was stored is what was sent.
        func check(_ reply: WriteReply, of path: BrimPath) throws {
            guard state.withLock({ reply.checksum.crc32c == $0.sum.value && reply.size == $0.bytes }) else {
                throw BrimError(.corrupt, "'\(path)' was stored with other bytes than were sent")
            }
        }

        func takeBack() { progress?.add(bytes: -state.withLock { $0.bytes }) }
    }

    /// The error in a server's answer. One that answers that something is unavailable means a later server of the
    /// chain.
    private func refusal(status: Int, _ answer: ByteBuffer, targets: [ServerName]) -> any Error {
        let error =
            (try? BrimJSON.decoder().decode(BrimError.self, from: Data(buffer: answer)))
            ?? BrimError(.init(httpStatus: status), "\(targets[0]) answered with status \(status)")
        guard error.mayBeTheServers else { return error }
        let suspects: [ServerName] =
            switch error.code {
            // The token was too old, or somebody else wrote at the same time: no server is to blame.
            case .unauthorized, .conflict: []
            case .unavailable, .timeout: targets.count > 1 ? Array(targets.dropFirst()) : targets
            default: [targets[0]]
            }
        return Failure(error: error, suspects: suspects)
    }
}

extension BrimError {
    /// Whether another server may do what one could not.
    var mayBeTheServers: Bool {
        switch code {
        case .unavailable, .timeout, .io, .corrupt, .internal, .full, .conflict, .unauthorized: true
        default: false
        }
    }
}
