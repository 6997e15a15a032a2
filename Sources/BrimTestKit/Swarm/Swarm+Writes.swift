import BrimModel
import BrimWire
import Foundation
import NIOCore

extension Swarm {
    // MARK: - Writes, step by step

    /// Asks the master for leave to write one file; again, as every client does, while it says that this may help.
    public func grant(_ write: WriteRequest) async throws -> WritesReply.Item {
        var granted: WritesReply.Item?
        try await waitFor("a write of \(write.path) is granted or refused") {
            let reply = try await peer.call(
                .POST, "\(url)/v1/writes", body: WritesRequest(writes: [write]), token: try adminToken(),
                as: WritesReply.self)
            granted = reply.writes.first
            return granted.map { $0.error?.code != .unavailable } ?? false
        }
        guard let granted else { throw SwarmFailure("a write was asked for and not answered") }
        return granted
    }

    /// What a slave itself says that it uses, now.
    public func usage(of slave: String) async throws -> ServerUsage {
        let arguments = try arguments(of: slave)
        guard let listen = arguments.firstIndex(of: "--listen") else { throw SwarmFailure("\(slave) is no slave") }
        return try await peer.call(
            .GET, "http://\(arguments[listen + 1])/v1/status", token: try adminToken(), as: ServerUsage.self)
    }

    /// Begins to send bytes to a URL that was granted; the writer decides when they go.
    public func beginWrite(to item: WritesReply.Item, length: Int) throws -> SlowWrite {
        guard let url = item.url else { throw SwarmFailure("no write was granted: \(String(describing: item.error))") }
        let (bytes, source) = AsyncThrowingStream<ByteBuffer, any Error>.makeStream()
        let peer = peer
        return SlowWrite(
            source: source,
            answer: Task {
                let (status, body) = try await peer.upload(
                    url, length: Int64(length), headers: [], body: bytes, token: nil, idle: .seconds(60))
                return CurlResult(status: status, headers: [:], redirects: 0, body: Data(buffer: body))
            })
    }
}

/// A write under way whose bytes a test sends one part after the other.
public struct SlowWrite: Sendable {
    fileprivate let source: AsyncThrowingStream<ByteBuffer, any Error>.Continuation
    fileprivate let answer: Task<CurlResult, any Error>

    public func send(_ part: Data) { source.yield(ByteBuffer(data: part)) }

    /// Ends the body and returns the server's answer.
    public func finish() async throws -> CurlResult {
        source.finish()
        return try await answer.value
    }

    /// Cuts the connection.
    public func abort() async {
        answer.cancel()
        _ = await answer.result
    }
}
