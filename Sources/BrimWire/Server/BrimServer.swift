import BrimModel
import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import ServiceLifecycle

/// An HTTP/1.1 server; the one place where BrimFS opens listening sockets.
public struct BrimServer: Service {
    private let label: String
    private let host: String
    private let ports: [Int]
    private let responder: any HTTPResponder<BrimRequestContext>
    private let failure: (@Sendable () async throws -> BrimError)?
    private let watch = RequestWatch()
    private let logger: Logger
    private let port = Latch<Int>()
    /// `METHOD /path` of each route, sorted; in paths `:name` stands for a component and `**` for any number of them. Without
    /// what is there for every route: HEAD where there is GET, and `/v1/list` beside `/v1/list/**`.
    public let endpoints: [String]

    /// - Parameters:
    ///   - label: what listens, for the log.
    ///   - host: a name or address of this machine.
    ///   - port: 0 takes any free one.
    ///   - fallbackPorts: whether the next free port is taken when this one is in use.
    ///   - router: all routes must have been added.
    ///   - failure: runs beside the requests and returns when what they need is gone: they end with that error then.
    public init(
        label: String, host: String, port: Int, fallbackPorts: Bool = false, router: Router<BrimRequestContext>,
        failure: (@Sendable () async throws -> BrimError)? = nil, logger: Logger
    ) {
        self.label = label
        self.host = host
        ports =
            fallbackPorts && port > 0 ? Array(port...max(port, min(port + WireLimits.portsTried - 1, 65535))) : [port]
        let answering = MethodResponder(base: router.buildResponder(), routes: router.routes)
        self.failure = failure
        if failure == nil {
            responder = answering
        } else {
            responder = WatchedResponder(base: answering, watch: watch)
        }
        let all = Set(router.routes.map { "\($0.method) \($0.path)" })
        endpoints = all.filter { !all.contains($0 + "/**") }.sorted()
        self.logger = logger
    }

    /// The port it listens on; waits until it does. Throws what `run` throws when it cannot listen.
    public var boundPort: Int { get async throws { try await port.get() } }

    /// Serves until a graceful shutdown; then takes no more requests and finishes those under way within
    /// `WireLimits.shutdownSeconds`. Throws `.unavailable` when the port is in use, `.io` when it cannot listen for
    /// another reason, `.invalid` for a host that does not exist.
    public func run() async throws {
        do {
            for (index, candidate) in ports.enumerated() {
                do {
                    return try await serve(on: candidate)
                } catch let error as IOError where error.errnoCode == EADDRINUSE && index + 1 < ports.count {
                    logger.debug("port in use, trying the next", metadata: ["port": "\(candidate)"])
                }
            }
        } catch {
            let failure = Self.describe(error, address: HostPort(host: host, port: ports.first ?? 0))
            port.set(.failure(failure))
            throw failure
        }
    }

    private func serve(on candidate: Int) async throws {
        let configuration = ServerConfiguration(
            address: .hostname(host, port: candidate), backlog: WireLimits.backlog,
            availableConnectionsDelegate: MaximumAvailableConnections(WireLimits.connections, logger: logger))
        var quiet = logger
        quiet.logLevel = max(logger.logLevel, .warning)
        let server = channel.server(
            configuration: configuration,
            onServerRunning: { channel in
                let bound = channel.localAddress?.port ?? candidate
                logger.info(
                    "listening", metadata: ["server": "\(label)", "address": "\(HostPort(host: host, port: bound))"])
                port.set(.success(bound))
            }, eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: quiet)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            if let failure { group.addTask { try await watch.run(failure) } }
            group.addTask {
                try await gracefulShutdown()
                try await Task.sleep(for: .seconds(WireLimits.shutdownSeconds))
                logger.notice("requests under way are cut off", metadata: ["server": "\(label)"])
            }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    private var channel: AcceptedChannel {
        let base = HTTP1Channel(
            responder: { request, writer, channel in
                let response = try await respond(to: request, on: channel)
                do {
                    try await writer.write(response: response.head, body: response.body)
                } catch is HTTPParserError {
                    // As a parser's error it would make the framework write a second response.
                    throw BrimError(.invalid, "the request turned out malformed while it was answered")
                }
            },
            configuration: HTTP1Channel.Configuration(
                additionalChannelHandlers: [ExchangeHandler()], idleTimeout: .seconds(WireLimits.serverIdleSeconds),
                httpDecoderConfiguration: .init(
                    maxHeaderFieldSize: WireLimits.headerBytes, maxHeaderListSize: WireLimits.headerBytes,
                    maxHeaderFieldCount: WireLimits.headerFields)))
        return AcceptedChannel(base: base)
    }

    private func respond(to request: Request, on channel: any Channel) async throws -> Response {
        var logger = logger
        logger[metadataKey: "hb.request.id"] = .stringConvertible(RequestID())
        var request = request
        if request.headers[.expect]?.lowercased() == "100-continue" {
            request.body = RequestBody(asyncSequence: ContinuingBody(base: request.body, channel: channel))
        }
        let context = BrimRequestContext(source: ApplicationRequestContextSource(channel: channel, logger: logger))
        var response: Response
        do {
            response = try await responder.respond(to: request, context: context)
        } catch {
            response = try errorResponse(error, to: request, logger: logger)
        }
        response.headers[.date] = HTTPDate.now
        response.headers[.server] = "BrimFS"
        return response
    }

    private static func describe(_ error: any Error, address: HostPort) -> any Error {
        switch error {
        case let error as IOError where error.errnoCode == EADDRINUSE:
            return BrimError(
                .unavailable, "cannot listen on \(address): address in use",
                advice: "Stop what listens there, or choose another port with --listen", retryable: false)
        case let error as IOError where error.errnoCode == EADDRNOTAVAIL:
            return BrimError(
                .io, "cannot listen on \(address): this machine has no such address",
                advice: "Choose another with --listen; 0.0.0.0 stands for all")
        case let error as IOError where error.errnoCode == EACCES:
            return BrimError(
                .io, "cannot listen on \(address): permission denied", advice: "Choose a port above 1023 with --listen")
        case let error as IOError:
            return BrimError(.io, "cannot listen on \(address): \(String(cString: strerror(error.errnoCode)))")
        case is SocketAddressError, is SocketAddressError.UnknownHost:
            return BrimError(
                .invalid, "cannot listen on \(address): there is no such host", advice: "Choose another with --listen")
        default: return error
        }
    }
}

extension BrimServer: CustomStringConvertible {
    /// For logs: not the routes and all that hangs on them.
    public var description: String { "server \(label)" }
}
