import HummingbirdCore
import Logging
import NIOCore
import Synchronization

/// `HTTP1Channel` whose connections may be let go of before anybody handled them, as happens to those that are accepted
/// in the moment when the server is cancelled. NIO ends the process for such a connection; here it is closed.
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

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        base.setup(channel: channel, logger: logger).map(Value.init)
    }

    func handle(value: Value, logger: Logger) async {
        value.isHandled.store(true, ordering: .relaxed)
        await base.handle(value: value.connection, logger: logger)
    }
}
