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
    private let connections = PeerConnections()
    /// For bodies that are streams.
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
        connections.close()
        for client in downloaders.withLock({ Array($0.values) }) + [client] {
            client.shutdown(queue: .global()) { _ in }
        }
    }

    /// Ends all connections; calls under way fail.
    public func shutdown() async {
        for closed in connections.close() { try? await closed.get() }
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
        _ method: HTTPMethod, _ url: String, headers: [(String, String)] = [],
        body: (any Encodable & Sendable)? = nil, token: String?, deadline: Duration = .seconds(10), as: Reply.Type
    ) async throws -> Reply {
        var headers = HTTPHeaders([("accept", "application/json")] + headers)
        var bytes: ByteBuffer?
        if let body {
            do {
                bytes = ByteBuffer(data: try BrimJSON.encoder().encode(body))
            } catch {
                throw BrimError(.internal, "a request cannot be encoded: \(error)")
            }
            headers.add(name: "content-type", value: "application/json")
        }
        let (status, answer) = try await exchange(
            method, url, headers: headers, body: bytes, token: token, deadline: deadline)
        let peer = Self.peer(of: url)
        guard (200..<300).contains(status) else { throw Self.refusal(status, answer, peer: peer) }
        do {
            // Some answer "no content" where nothing is to be said.
            return try BrimJSON.decoder().decode(
                Reply.self, from: answer.readableBytes > 0 ? Data(buffer: answer) : Data("{}".utf8))
        } catch {
            throw BrimError(.internal, "the reply of \(peer) is not understood: \(error)", advice: "Compare versions")
        }
    }

    /// Sends a request whose body is at hand and returns the answer, whatever its status. Throws and repeats as `call`.
    public func exchange(
        _ method: HTTPMethod, _ url: String, headers: HTTPHeaders = [:], body: ByteBuffer? = nil, token: String?,
        deadline: Duration
    ) async throws -> (status: Int, body: ByteBuffer) {
        let peer = Self.peer(of: url)
        do {
            let (address, head) = try Self.head(
                method, url, headers: headers, length: body?.readableBytes, token: token)
            let (end, timeout) = (NIODeadline.now() + TimeAmount(deadline), Self.timeout(deadline, of: peer))
            let reply: PeerReply
            do {
                reply = try await connections.exchange(head, body: body, with: address, deadline: end, timeout: timeout)
            } catch  where Self.mayRepeat(method, after: error) {
                logger.debug("connection broke, asking again", metadata: ["peer": "\(peer)"])
                reply = try await connections.exchange(head, body: body, with: address, deadline: end, timeout: timeout)
            }
            return (reply.status, reply.body)
        } catch {
            throw Self.describe(error, peer: peer)
        }
    }

    /// Where `http://HOST:PORT/TARGET` leads, and the head of a request for it.
    private static func head(
        _ method: HTTPMethod, _ url: String, headers: HTTPHeaders, length: Int?, token: String?
    ) throws -> (HostPort, HTTPRequestHead) {
        let scheme = "http://"
        guard url.hasPrefix(scheme) else { throw HTTPClientError.invalidURL }
        let rest = url.dropFirst(scheme.utf8.count)
        let host = rest.prefix { $0 != "/" && $0 != "?" }
        guard !host.isEmpty else { throw HTTPClientError.emptyHost }
        let target = rest[host.endIndex...]
        var headers = headers
        headers.add(name: "host", value: String(host))
        headers.add(name: "user-agent", value: "BrimFS")
        if let token { headers.add(name: "authorization", value: "Bearer \(token)") }
        if let length = length ?? (method == .GET || method == .HEAD ? nil : 0) {
            headers.add(name: "content-length", value: String(length))
        }
        let address = try HostPort(parsing: String(host), defaultHost: "", defaultPort: 80)
        let uri = target.hasPrefix("/") ? String(target) : "/" + target
        return (address, HTTPRequestHead(version: .http1_1, method: method, uri: uri, headers: headers))
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
                group.addTask { try await self.stream(request) }
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

    /// One request with a stream for a body and its whole answer.
    private func stream(_ request: HTTPClientRequest) async throws -> (status: Int, body: ByteBuffer) {
        let response = try await client.execute(request, deadline: .distantFuture, logger: nil)
        return (Int(response.status.code), try await response.body.collect(upTo: WireLimits.replyBytes))
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
