import Logging
import ServiceLifecycle

/// Does what comes before serving; nil when the service was told to stop meanwhile.
func unlessStopped<Value: Sendable>(
    _ logger: Logger, _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value? {
    do {
        return try await cancelWhenGracefulShutdown(body)
    } catch  where Task.isShuttingDownGracefully {
        // Whatever went wrong then, it went wrong because it was cut short.
        logger.debug("stopped while starting", metadata: ["error": "\(error)"])
        return nil
    }
}
