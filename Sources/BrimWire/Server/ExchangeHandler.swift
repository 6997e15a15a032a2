import BrimModel
import HTTPTypes
import NIOCore
import NIOHTTPTypes

/// Minds the manners of one HTTP/1.1 connection that the server framework leaves out:
///
/// - it answers `Expect: 100-continue` once the application starts to read the body, and not when it answers without;
/// - a response to a request that was not read to its end says `Connection: close`; then the connection lingers a
///   moment, so that the peer gets to see the response, and is closed;
/// - a body that ends early is an error to its reader, never a shorter body;
/// - a peer that does not take its response is cut off.
final class ExchangeHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    /// Triggered, outbound, when the application wants the body of a request that expects a 100.
    struct BodyWanted: Sendable {}

    /// Requests of which the head, the end arrived; responses of which the end was written.
    private var heads = 0
    private var ends = 0
    private var responses = 0
    /// Whether a part of the body arrived, and whether the response was begun, of the request being answered.
    private var bodySeen = false
    private var responding = false
    /// Whether the connection closes with the response.
    private var closing = false
    private var lingering = false
    private var lingered = 0
    private var timer: Scheduled<Void>?

    /// Whether the request being answered has arrived completely.
    private var isComplete: Bool { ends > responses }
    /// Whether a request has begun to arrive and not ended.
    private var isMidRequest: Bool { heads > ends }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let part = unwrapInboundIn(data)
        if lingering {
            switch part {
            case .head: break
            case .body(let bytes):
                lingered += bytes.readableBytes
                if lingered > WireLimits.lingerBytes { context.close(promise: nil) }
            case .end: context.close(promise: nil)
            }
            return
        }
        switch part {
        case .head:
            heads += 1
            bodySeen = false
        case .body: bodySeen = true
        case .end: ends += 1
        }
        context.fireChannelRead(data)
    }

    func triggerUserOutboundEvent(context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?) {
        guard event is BodyWanted else {
            context.triggerUserOutboundEvent(event, promise: promise)
            return
        }
        promise?.succeed()
        guard !bodySeen, !isComplete, !responding, isMidRequest else { return }
        context.writeAndFlush(wrapOutboundOut(.head(HTTPResponse(status: .continue))), promise: nil)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(var head) where head.status.kind != .informational:
            responding = true
            if !isComplete { head.headerFields[.connection] = "close" }
            closing = closing || head.headerFields[.connection]?.lowercased() == "close"
            context.write(wrapOutboundOut(.head(head)), promise: promise)
        case .end:
            responses += 1
            responding = false
            guard closing else {
                context.write(data, promise: promise)
                return
            }
            let written = context.eventLoop.makePromise(of: Void.self)
            written.futureResult.cascade(to: promise)
            written.futureResult.assumeIsolated().whenComplete { _ in self.linger(context) }
            context.writeAndFlush(data, promise: written)
        default:
            context.write(data, promise: promise)
        }
    }

    /// Says that nothing more will come, and waits a moment for the peer to do the same.
    private func linger(_ context: ChannelHandlerContext) {
        guard context.channel.isActive else { return }
        if !isMidRequest {
            context.close(promise: nil)
            return
        }
        lingering = true
        context.close(mode: .output, promise: nil)
        schedule(context, seconds: WireLimits.lingerSeconds)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if !lingering {
            timer?.cancel()
            timer = nil
            if !context.channel.isWritable { schedule(context, seconds: WireLimits.stalledResponseSeconds) }
        }
        context.fireChannelWritabilityChanged()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? ChannelEvent, event == .inputClosed { endInput(context) }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        endInput(context)
        timer?.cancel()
        timer = nil
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        timer?.cancel()
        timer = nil
    }

    /// Nothing more will arrive: whoever reads the body of a request that has not ended must learn of it.
    private func endInput(_ context: ChannelHandlerContext) {
        guard isMidRequest else { return }
        ends = heads
        if lingering {
            context.close(promise: nil)
        } else {
            context.fireErrorCaught(
                BrimError(.unavailable, "the connection was closed before the whole request had arrived"))
        }
    }

    private func schedule(_ context: ChannelHandlerContext, seconds: Int64) {
        timer?.cancel()
        timer = context.eventLoop.assumeIsolated().scheduleTask(in: .seconds(seconds)) { context.close(promise: nil) }
    }
}

@available(*, unavailable)
extension ExchangeHandler: Sendable {}
