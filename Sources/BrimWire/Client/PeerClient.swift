import AsyncHTTPClient
import BrimModel
import Foundation
import Logging
import NIOCore
import NIOFoundationCompat
import NIOHTTP1
import NIOPosix
import Synchronization

/// Requests to masters and slaves over HTTP/1.1 with kept connections; the one place where BrimFS makes outgoing
/// connections. Redirects are not followed.
public final class PeerClient: Sendable {
    private let logger: Logger
    private let client: HTTPClient
    /// Clients whose downloads give up after so much silence. Few different limits are in use.
    private let downloaders = Mutex<[Duration: HTTPClient]>([:])
    private static let downloaderLimit = 8

    public init(logger: Logger) {
        self.logger = logger
        client = Self.makeClient(read: nil)
    }

    deinit {
        // Does nothing after `shutdown()`; lets nobody who forgot it leak connections.
        for client in downloaders.withLock({ Array($0.values) }) + [client] {
            client.shutdown(queue: .global()) { _ in }
        }
    }

    /// Ends all connections; calls under way fail.
    public func shutdown() async {
        for client in downloaders.withLock({ Array($0.values) }) + [client] {
            do {
                try await client.shutdown()
            } catch {
                logger.debug("client already shut down", metadata: ["error": "\(error)"])
            }
        }
    }

    /// Sends JSON (or nothing) and decodes the JSON of the reply.
    ///
    /// Throws the peer's own `BrimError` when it refuses, `.unavailable` when it cannot be reached, `.timeout` when
    /// the reply is not complete within `deadline`. A request that may be repeated is sent once more when its
    /// connection breaks before an answer, as kept connections do when the peer was restarted.
    public func call<Reply: Decodable & Sendable>(
        _ method: HTTPMethod, _ url: String, body: (any Encodable & Sendable)? = nil, token: String?,
        deadline: Duration = .seconds(10), as: Reply.Type
    ) async throws -> Reply {
        let peer = Self.peer(of: url)
        var request = Self.request(method, url, headers: [("accept", "application/json")], token: token)
        if let body {
            do {
                request.body = .bytes(ByteBuffer(data: try BrimJSON.encoder().encode(body)))
            } catch {
                throw BrimError(.internal, "a request cannot be encoded: \(error)")
            }
            request.headers.replaceOrAdd(name: "content-type", value: "application/json")
        }
        let (status, bytes) = try await withDeadline(deadline, of: peer) { [request] in
            do {
                return try await self.exchange(request)
            } catch  where Self.mayRepeat(method, after: error) {
                self.logger.debug("connection broke, asking again", metadata: ["peer": "\(peer)"])
                return try await self.exchange(request)
            }
        }
        guard (200..<300).contains(status) else { throw Self.refusal(status, bytes, peer: peer) }
        do {
            // Some answer "no content" where nothing is to be said.
            return try BrimJSON.decoder().decode(
                Reply.self, from: bytes.readableBytes > 0 ? Data(buffer: bytes) : Data("{}".utf8))
        } catch {
            throw BrimError(.internal, "the reply of \(peer) is not understood: \(error)", advice: "Compare versions")
        }
    }

    /// Sends a body as a stream (PUT) and returns the answer, whatever its status.
    ///
    /// An answer that comes before the body has been sent ends the sending. `idle` limits how long the peer may take
    /// nothing, and how long it may think after the end; waiting for `body` is not limited here. Throws what `body`
    /// throws, `.unavailable` and `.timeout`.
    public func upload(
        _ url: String, length: Int64?, headers: [(String, String)],
        body: some AsyncSequence<ByteBuffer, any Error> & Sendable,
        token: String?, idle: Duration
    ) async throws -> (status: Int, body: ByteBuffer) {
        let peer = Self.peer(of: url)
        let progress = UploadProgress()
        var request = Self.request(.PUT, url, headers: headers, token: token)
        request.body = .stream(
            WatchedBody(base: body, progress: progress), length: length.map { .known($0) } ?? .unknown)
        do {
            return try await withThrowingTaskGroup(of: (status: Int, body: ByteBuffer).self) { [request] group in
                group.addTask { try await self.exchange(request) }
                group.addTask {
                    try await progress.waitUntilIdle(for: idle)
                    throw Self.timeout(idle, of: peer)
                }
                defer { group.cancelAll() }
                guard let reply = try await group.next() else { throw CancellationError() }
                return reply
            }
        } catch {
            // What the sender's own source threw says more than that the request was broken off.
            throw progress.sourceError ?? Self.describe(error, peer: peer)
        }
    }

    /// Asks for bytes (GET) and returns them as a stream with back pressure.
    ///
    /// `idle` limits the wait for the response and for each part of its body; a reader that takes nothing for so long
    /// may see `.timeout` too. Throws the peer's `BrimError` for any status but 2xx, `.unavailable` and `.timeout`.
    public func download(
        _ url: String, headers: [(String, String)], token: String?, idle: Duration
    ) async throws -> Download {
        let peer = Self.peer(of: url)
        let request = Self.request(.GET, url, headers: headers, token: token)
        let client = downloader(idle: idle)
        let response: HTTPClientResponse
        do {
            do {
                response = try await client.execute(request, timeout: TimeAmount(idle), logger: nil)
            } catch  where Self.mayRepeat(.GET, after: error) {
                response = try await client.execute(request, timeout: TimeAmount(idle), logger: nil)
            }
        } catch {
            throw Self.describe(error, peer: peer)
        }
        let status = Int(response.status.code)
        guard (200..<300).contains(status) else {
            let bytes = try? await response.body.collect(upTo: WireLimits.errorBytes)
            throw Self.refusal(status, bytes ?? ByteBuffer(), peer: peer)
        }
        return Download(
            status: status, headers: response.headers.map { ($0.name, $0.value) },
            body: Download.Body(base: response.body, peer: peer))
    }

    /// One request and its whole answer.
    private func exchange(_ request: HTTPClientRequest) async throws -> (status: Int, body: ByteBuffer) {
        let response = try await client.execute(request, deadline: .distantFuture, logger: nil)
        return (Int(response.status.code), try await response.body.collect(upTo: WireLimits.replyBytes))
    }

    private func withDeadline<Value: Sendable>(
        _ deadline: Duration, of peer: String, _ operation: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        do {
            return try await withThrowingTaskGroup(of: Value.self) { group in
                group.addTask(operation: operation)
                group.addTask {
                    try await Task.sleep(for: deadline)
                    throw Self.timeout(deadline, of: peer)
                }
                defer { group.cancelAll() }
                guard let value = try await group.next() else { throw CancellationError() }
                return value
            }
        } catch {
            throw Self.describe(error, peer: peer)
        }
    }

    private func downloader(idle: Duration) -> HTTPClient {
        downloaders.withLock { clients in
            if let client = clients[idle] { return client }
            if clients.count >= Self.downloaderLimit {
                let longer = clients.filter { $0.key >= idle }.min { $0.key < $1.key }
                if let client = (longer ?? clients.max { $0.key < $1.key })?.value { return client }
            }
            let client = Self.makeClient(read: TimeAmount(idle))
            clients[idle] = client
            return client
        }
    }

    private static func makeClient(read: TimeAmount?) -> HTTPClient {
        var configuration = HTTPClient.Configuration(
            redirectConfiguration: .disallow,
            timeout: .init(connect: .milliseconds(WireLimits.connectMilliseconds), read: read),
            connectionPool: .init(
                idleTimeout: .seconds(WireLimits.clientIdleSeconds),
                concurrentHTTP1ConnectionsPerHostSoftLimit: WireLimits.connectionsPerHost),
            decompression: .disabled)
        configuration.httpVersion = .http1Only
        // A refused connection is news for the caller, who has other peers to ask.
        configuration.connectionPool.retryConnectionEstablishment = false
        return HTTPClient(eventLoopGroup: MultiThreadedEventLoopGroup.singleton, configuration: configuration)
    }

    private static func request(
        _ method: HTTPMethod, _ url: String, headers: [(String, String)], token: String?
    ) -> HTTPClientRequest {
        var request = HTTPClientRequest(url: url)
        request.method = method
        request.headers = HTTPHeaders(headers)
        request.headers.add(name: "user-agent", value: "BrimFS")
        if let token { request.headers.replaceOrAdd(name: "authorization", value: "Bearer \(token)") }
        return request
    }
}
