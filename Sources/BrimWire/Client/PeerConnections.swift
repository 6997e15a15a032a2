import AsyncHTTPClient
import BrimModel
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// Kept connections to peers, for requests and replies that are short enough to be held in memory. A connection stays on
/// the event loop of those who use it, so that no other thread has to be woken for a call.
final class PeerConnections: Sendable {
    private struct Key: Hashable {
        var address: HostPort
        var loop: ObjectIdentifier
    }
    private struct Host {
        /// Those that can be used at once, the one that was used last at the end.
        var idle: [(channel: any Channel, since: NIODeadline)] = []
        /// Those that were opened, or are being opened, and have not been closed.
        var open = 0
        var waiting: [EventLoopPromise<any Channel>] = []
    }
    private struct State {
        var hosts: [Key: Host] = [:]
        var channels: [ObjectIdentifier: any Channel] = [:]
        var isShutDown = false
    }

    private static let idleLimit = TimeAmount.seconds(WireLimits.clientIdleSeconds)
    private let state = Mutex(State())

    /// One request and its whole answer. Throws `timeout` when it has not arrived by `deadline`.
    func exchange(
        _ head: HTTPRequestHead, body: ByteBuffer?, with address: HostPort, deadline: NIODeadline, timeout: BrimError
    ) async throws -> PeerReply {
        let loop = Self.loop(for: address)
        let call = PeerCall(head: head, body: body, reply: loop.makePromise())
        // The caller learns of the reply when the connection is free again, so that its next call can use it.
        let answer = loop.makePromise(of: PeerReply.self)
        let end = { @Sendable (error: any Error) in
            call.reply.fail(error)
            answer.fail(error)
        }
        let timer = loop.scheduleTask(deadline: deadline) { end(timeout) }
        defer { timer.cancel() }
        return try await withTaskCancellationHandler {
            send(call, Key(address: address, loop: ObjectIdentifier(loop)), on: loop, answer)
            return try await answer.futureResult.get()
        } onCancel: {
            end(CancellationError())
        }
    }

    /// The caller's own; who is on none shares one for each peer, and so the connections there.
    private static func loop(for address: HostPort) -> any EventLoop {
        if let current = MultiThreadedEventLoopGroup.currentEventLoop { return current }
        let loops = Array(MultiThreadedEventLoopGroup.singleton.makeIterator())
        return loops[Int(UInt(bitPattern: address.hashValue) % UInt(loops.count))]
    }

    private func send(
        _ call: PeerCall, _ key: Key, on loop: any EventLoop, _ answer: EventLoopPromise<PeerReply>
    ) {
        take(key, on: loop).whenComplete { [self] taken in
            switch taken {
            case .failure(let error):
                call.reply.fail(error)
                answer.fail(error)
            case .success(let channel):
                channel.writeAndFlush(call).cascadeFailure(to: call.reply)
                call.reply.futureResult.whenComplete { outcome in
                    // Who gave up leaves a connection on which the answer may still come.
                    if case .success(let reply) = outcome, reply.keepsConnection {
                        self.park(channel, key)
                    } else {
                        channel.close(promise: nil)
                    }
                    answer.completeWith(outcome)
                }
            }
        }
    }

    // MARK: Connections

    private enum Step {
        case use(any Channel)
        case wait(EventLoopFuture<any Channel>)
        case connect
        case refuse
    }

    private func take(_ key: Key, on loop: any EventLoop) -> EventLoopFuture<any Channel> {
        var stale: [any Channel] = []
        let step = state.withLock { state -> Step in
            if state.isShutDown { return .refuse }
            var host = state.hosts[key] ?? Host()
            defer { state.hosts[key] = host }
            while let (channel, since) = host.idle.popLast() {
                if channel.isActive, since + Self.idleLimit > .now() { return .use(channel) }
                stale.append(channel)
            }
            guard host.open < WireLimits.connectionsPerHost else {
                let promise = loop.makePromise(of: (any Channel).self)
                host.waiting.append(promise)
                return .wait(promise.futureResult)
            }
            host.open += 1
            return .connect
        }
        for channel in stale { channel.close(promise: nil) }
        switch step {
        case .use(let channel): return loop.makeSucceededFuture(channel)
        case .wait(let channel): return channel
        case .connect: return connect(key, on: loop)
        case .refuse: return loop.makeFailedFuture(HTTPClientError.alreadyShutdown)
        }
    }

    private func connect(_ key: Key, on loop: any EventLoop) -> EventLoopFuture<any Channel> {
        let connecting = ClientBootstrap(group: loop)
            .connectTimeout(.milliseconds(WireLimits.connectMilliseconds))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers([
                        HTTPRequestEncoder(),
                        ByteToMessageHandler(HTTPResponseDecoder(leftOverBytesStrategy: .dropBytes)),
                        PeerCallHandler(),
                    ])
                }
            }
            .connect(host: key.address.host, port: key.address.port)
        connecting.whenComplete { [self] result in
            guard case .success(let channel) = result else { return closed(key, on: loop) }
            let isShutDown = state.withLock { state in
                state.channels[ObjectIdentifier(channel)] = channel
                return state.isShutDown
            }
            channel.closeFuture.whenComplete { _ in
                _ = self.state.withLock { $0.channels.removeValue(forKey: ObjectIdentifier(channel)) }
                self.closed(key, on: loop)
            }
            if isShutDown { channel.close(promise: nil) }
        }
        return connecting.map { $0 }
    }

    /// The connection is free for others.
    private func park(_ channel: any Channel, _ key: Key) {
        let next = state.withLock { state -> EventLoopPromise<any Channel>? in
            if state.hosts[key]?.waiting.isEmpty == false { return state.hosts[key]?.waiting.removeFirst() }
            state.hosts[key]?.idle.append((channel, .now()))
            return nil
        }
        next?.succeed(channel)
    }

    /// A connection has ended or was not made: who waited for one may open another.
    private func closed(_ key: Key, on loop: any EventLoop) {
        let next = state.withLock { state -> EventLoopPromise<any Channel>? in
            guard var host = state.hosts[key] else { return nil }
            host.open -= 1
            host.idle.removeAll { !$0.channel.isActive }
            let next = host.waiting.isEmpty ? nil : host.waiting.removeFirst()
            if next != nil { host.open += 1 }
            state.hosts[key] = host.open == 0 ? nil : host
            return next
        }
        if let next { connect(key, on: loop).cascade(to: next) }
    }

    /// Ends all connections, without waiting for it; calls under way fail.
    @discardableResult
    func close() -> [EventLoopFuture<Void>] {
        let (channels, waiting) = state.withLock { state in
            state.isShutDown = true
            defer { state.hosts = [:] }
            return (Array(state.channels.values), state.hosts.values.flatMap(\.waiting))
        }
        for promise in waiting { promise.fail(HTTPClientError.alreadyShutdown) }
        return channels.map { channel in
            channel.close(promise: nil)
            return channel.closeFuture
        }
    }
}

/// A request under way.
private struct PeerCall: Sendable {
    var head: HTTPRequestHead
    var body: ByteBuffer?
    var reply: EventLoopPromise<PeerReply>
}

/// The whole answer to a request.
struct PeerReply: Sendable {
    var status: Int
    var body = ByteBuffer()
    /// Whether another request may follow on the connection.
    var keepsConnection: Bool
}

/// Carries out one call after the other on its connection.
private final class PeerCallHandler: ChannelDuplexHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundIn = PeerCall
    typealias OutboundOut = HTTPClientRequestPart

    private var call: PeerCall?
    private var reply: PeerReply?

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let call = unwrapOutboundIn(data)
        self.call = call
        context.write(wrapOutboundOut(.head(call.head)), promise: nil)
        if let body = call.body { context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil) }
        context.write(wrapOutboundOut(.end(nil)), promise: promise)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            guard head.status.code >= 200 else { return }
            reply = PeerReply(status: Int(head.status.code), keepsConnection: head.isKeepAlive)
        case .body(var bytes):
            guard let size = reply?.body.readableBytes, size + bytes.readableBytes <= WireLimits.replyBytes else {
                return fail(context, NIOTooManyBytesError(maxBytes: WireLimits.replyBytes))
            }
            reply?.body.writeBuffer(&bytes)
        case .end:
            guard let reply else { return }
            finish(.success(reply))
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { fail(context, error) }

    func channelInactive(context: ChannelHandlerContext) {
        finish(.failure(HTTPClientError.remoteConnectionClosed))
        context.fireChannelInactive()
    }

    private func fail(_ context: ChannelHandlerContext, _ error: any Error) {
        finish(.failure(error))
        context.close(promise: nil)
    }

    /// Forgets the call first: whoever learns of its end may give the connection the next one at once.
    private func finish(_ outcome: Result<PeerReply, any Error>) {
        let call = call
        (self.call, reply) = (nil, nil)
        call?.reply.completeWith(outcome)
    }
}
