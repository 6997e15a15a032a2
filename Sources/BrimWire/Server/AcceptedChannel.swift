import HummingbirdCore
import Logging
import NIOCore
import Synchronization

/// `HTTP1Channel` whose connections may be let go of before anybody handled them, as happens to those that are accepted
/// in the moment when the server is cancelled. NIO ends the process for such a connection; here it is closed. Each is
/// handled on its own event loop.
struct AcceptedChannel: ServerChildChannel {
    /// A connection that `handle` comes to, or nobody.
    final class Value: ServerChildChannelValue {
        fileprivate let connection: HTTP1Channel.Value
        fileprivate let isHandled = Atomic(false)

        var channel: any Channel { connection.channel }

        fileprivate init(_ connection: HTTP1Channel.Value) { self.connection = connection }

        deinit {
            guard !isHandled.load(ordering: .relaxed) else { return }
            Task { [connection] in try? await connection.executeThenClose { _, _ in } }
        }
    }

    let base: HTTP1Channel

    /// How much is read at once: it grows with what arrives, so that few reads take in a large body.
    private static let reads = AdaptiveRecvByteBufferAllocator(
        minimum: 2048, initial: 8192, maximum: WireLimits.readBytes)

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.setOption(.recvAllocator, value: Self.reads)
            .flatMap { base.setup(channel: channel, logger: logger) }.map(Value.init)
    }

    func handle(value: Value, logger: Logger) async {
        value.isHandled.store(true, ordering: .relaxed)
        await withTaskExecutorPreference(EventLoopExecutor(value.channel.eventLoop)) {
            await base.handle(value: value.connection, logger: logger)
        }
    }
}
